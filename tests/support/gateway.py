# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway itself, as a child process with a configuration made for the test bed's addresses."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from gateway.sip.stack.front import ASK_S
from tests.support.configuration import SIP_PORT
from tests.support.prepared import Copy, prepared
from tests.support.processes import WAIT_S, Child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client.samples import Sample

    from tests.support.configuration import Configuration, Table


class Gateway:
    """A gateway that is ready once the context is entered. Its directory outlives restarts within the context."""

    copied = "PYTEST_XDIST_WORKER" in os.environ
    """Whether it is a copy of a process that has loaded all modules: where tests run side by side, CPU is short."""
    module = "gateway.cli"
    """What is run, if it is no copy."""

    def __init__(self, files: Configuration, *, env: dict[str, str] | None = None) -> None:
        self.files = files
        self.env = env
        self.directory = Path(tempfile.mkdtemp(prefix="gateway-"))
        self._child: Child | None = None
        http = files.main["http"]
        self.http_address = (http["bind_address"], http["port"])
        self.url = f"http://{http['bind_address']}:{http['port']}"
        self.sip = (files.sip["bind_address"], files.sip.get("udp_port", SIP_PORT))
        self.write()

    def write(self) -> None:
        """Write the configuration (anew)."""
        gateway = self.files.main["gateway"]
        gateway["state_dir"] = gateway["state_dir"] or str(self.directory / "state")
        (self.directory / "state").mkdir(exist_ok=True)
        self.files.write(self.directory)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.child.exit_code is None:
            await self.child.stop(15)
        if kind is not None:
            sys.stderr.write(f"--- the gateway's log\n{self.child.tail()}\n")
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def child(self) -> Child:
        """The process."""
        if self._child is None:
            raise RuntimeError("the gateway was not started")
        return self._child

    @property
    def log(self) -> str:
        """All it has written."""
        return self.child.log.read_text(errors="replace")

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start it and wait until it says that it is ready."""
        arguments, log = ["run", "--config", str(self.directory)], self.directory / "gateway.log"
        if self.copied and self.env is None and prepared().fits:
            self._child = await asyncio.to_thread(Copy, "gateway", arguments, log)
        else:
            command = [sys.executable, "-m", self.module, *arguments]
            self._child = Child("gateway", command, log, env=self.env)
        try:
            await self.child.ready(self._is_ready, timeout_s)
        except BaseException:
            # Whatever else is at its HTTP port, say: nobody would end it, and its addresses are the next one's.
            if self.child.exit_code is None:
                await self.child.kill()
            raise

    async def stop(self) -> int:
        """SIGTERM, and wait for its end."""
        return await self.child.stop(40)

    async def kill(self) -> None:
        """Crash it: no BYE, no goodbye."""
        await self.child.kill()

    @asynccontextmanager
    async def scenario(self) -> AsyncIterator[None]:
        """At its end nothing may be left. What is, of one that goes wrong, is not for the next; its log is shown."""
        begun = len(self.log)
        try:
            yield
            await self.idle()
        except BaseException:
            sys.stderr.write(f"--- the gateway's log of this scenario\n{self.log[begun:]}\n")
            await self.child.stop(10)
            await self.start()
            raise

    async def queue(self, name: str, timeout_s: float = WAIT_S, **counts: Any) -> Table:
        """Wait until it knows a queue of the PBX, and these of its counts are so; the queue as /api/queues has it."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            queues: list[Table] = (await self.get("/api/queues"))["queues"]
            for one in queues:
                if one["queue"] == name and one["known"] and counts.items() <= one.items():
                    return one
            assert asyncio.get_running_loop().time() < deadline, f"{name} {counts} not within {timeout_s} s: {queues}"
            await asyncio.sleep(0.02)

    def terminate(self) -> None:
        """SIGTERM, and do not wait."""
        self.child.signal(signal.SIGTERM)

    async def _is_ready(self) -> bool:
        # Until it listens this costs next to nothing, and it is asked a hundred times a second.
        with socket.create_connection(self.http_address, timeout=1):
            pass
        try:
            status, _ = await self.http("GET", "/readyz")
        except aiohttp.ClientConnectionError as error:
            raise OSError(str(error)) from error
        return status == 200

    async def http(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        host: str | None = None,
        data: bytes | None = None,
    ) -> tuple[int, str]:
        """A request to its HTTP server, by the name `host`: status and text. `data` goes as it is, `body` as JSON."""
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | ({"Host": host} if host else {})
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, headers=headers, json=body, data=data) as response,
        ):
            return response.status, await response.text()

    async def get(self, path: str) -> Any:
        """The JSON of an API path."""
        status, text = await self.http("GET", path)
        assert status == 200, f"{path}: {status} {text}"
        return json.loads(text)

    async def transfers(self) -> list[Table]:
        """Running and ended transfers, newest first."""
        found: list[Table] = (await self.get("/api/transfers"))["transfers"]
        return found

    async def ended(self, count: int = 1, timeout_s: float = WAIT_S) -> list[Table]:
        """Wait until so many transfers have ended; newest first."""
        return await self.until(lambda one: one["outcome"] is not None, count, timeout_s)

    async def until(self, matches: Any, count: int = 1, timeout_s: float = WAIT_S) -> list[Table]:
        """Wait until so many transfers match; newest first."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            status, text = await self.http("GET", "/api/transfers")
            assert status == 200 or "unreadable" in text, text  # a virtual disk may stand still for seconds
            transfers = json.loads(text).get("transfers", [])
            found = [one for one in transfers if matches(one)]
            if len(found) >= count:
                return found
            assert asyncio.get_running_loop().time() < deadline, (
                f"{len(found)} of {count} within {timeout_s} s: {transfers}"
            )
            await asyncio.sleep(0.02)

    async def idle(self, timeout_s: float = WAIT_S) -> None:
        """Wait until no leg, call, transfer or subscription is left."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            status = await self.get("/api/status")
            left = {"calls": status["calls"], "transfers": status["transfers"], **status["sip"]}
            if not any(left.values()):
                return
            assert asyncio.get_running_loop().time() < deadline, (
                f"still there after {timeout_s} s: {left}\n{self.child.tail()}"
            )
            await asyncio.sleep(0.02)

    async def carries(self, call_id: str) -> bool:
        """Whether a leg with this Call-ID is still there; True of one that it does not know at all."""
        dialogs = (await self.get(f"/api/dialogs?call_id={quote(call_id)}"))["dialogs"]
        return not dialogs or any(dialog["leg"] for dialog in dialogs)

    async def call_ids(self) -> frozenset[str]:
        """The Call-IDs of all dialogs that it still holds, of those that are over too (the 200 oldest)."""
        return frozenset(dialog["call_id"] for dialog in (await self.get("/api/dialogs"))["dialogs"])

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        wanted = labels.items()
        return sum(sample.value for sample in await self._samples(name) if wanted <= sample.labels.items())

    async def rejected(self, reason: str = "peer-not-allowed") -> float:
        """How many requests it has rejected for this reason, as far as they are counted."""
        return await self.metric("transfer_gateway_requests_rejected_total", reason=reason)

    async def rejected_so_far(self, reason: str = "peer-not-allowed") -> float:
        """The same once all are counted: of earlier scenarios' strangers it is told once a second."""
        before, now = -1.0, await self.rejected(reason)
        while now != before:
            await asyncio.sleep(ASK_S + 0.2)
            before, now = now, await self.rejected(reason)
        return now

    async def counts(self, name: str, label: str) -> dict[str, int]:
        """A metric's samples, added up by the value of one label."""
        found: dict[str, int] = {}
        for sample in await self._samples(name):
            key = sample.labels[label]
            found[key] = found.get(key, 0) + int(sample.value)
        return found

    async def _samples(self, name: str) -> list[Sample]:
        _, text = await self.http("GET", "/metrics")
        # To parse all three thousand of them takes longer than most of what is counted.
        lines = "".join(line for line in text.splitlines(keepends=True) if line.startswith(name))
        families = text_string_to_metric_families(lines)
        return [sample for family in families for sample in family.samples if sample.name == name]
