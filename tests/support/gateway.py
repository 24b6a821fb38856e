# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway itself, as a child process with a configuration made for the test bed's addresses."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.asterisk import GATEWAY_AMI
from tests.support.processes import Child, free_port

if TYPE_CHECKING:
    from types import TracebackType

    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker
    from tests.support.processes import Net

NUMBER = "+31201234567"
SIP_PORT = 5060
TOKEN = "let-the-tests-in"  # opens a server that lives for one test

Table = dict[str, Any]

DESTINATIONS: tuple[Table, ...] = (
    {"id": "sales", "number": "+31612345678", "aliases": ["sales", "2001"], "extension": "6500", "queue": "sales",
     "description": "Questions about prices, quotes and new products", "ring_timeout_s": 10},
    {"id": "support", "number": "+31612345679", "extension": "6501", "queue": "support",
     "description": "Technical problems", "ring_timeout_s": 10},
    {"id": "tiny", "number": "+31612345680", "extension": "6510", "queue": "tiny", "min_available": 0,
     "max_waiting": 1},
    {"id": "anna", "number": "+31612345681", "extension": "6001"},
    {"id": "busy", "number": "+31612345682", "extension": "6010"},
    {"id": "silent", "number": "+31612345683", "extension": "6011", "ring_timeout_s": 1},
    {"id": "declining", "number": "+31612345684", "extension": "6012"},
    {"id": "missing", "number": "+31612345685", "extension": "6999"},
    {"id": "overflowing", "number": "+31612345686", "extension": "6501", "queue": "support", "overflow": ["anna"]},
    {"id": "voicemail", "extension": "6599"},
)  # fmt: skip


def settings(
    net: Net, *, pbx: Asterisk | None = None, pbx_uri: str = "", broker: Broker | None = None, **overrides: Any
) -> dict[str, Table]:
    """The configuration as tables by file name; `overrides` are merged into gateway.toml's tables."""
    main: Table = {
        "gateway": {"instance": "test", "state_dir": "", "default_country": "NL", "drain_timeout_s": 2},
        "sip": {"bind_address": net.gateway, "udp_port": SIP_PORT, "rtp_port_min": 20000, "rtp_port_max": 29999},
        "http": {"bind_address": "127.0.0.1", "port": free_port(), "token_file": "http.token"},
        "numbers": [
            {"id": "main-line", "number": NUMBER, "trunk": "hms", "pbx": "asterisk", "answer": "sales",
             "fallback": "voicemail", "destinations": [dict(one) for one in DESTINATIONS]},
        ],
    }  # fmt: skip
    if broker is not None:
        main["mqtt"] = {"host": broker.host, "port": broker.port}
    for name, table in overrides.items():
        main[name] = {**main.get(name, {}), **table} if isinstance(table, dict) else table
    trunk: Table = {"kind": "trunk", "addresses": [net.trunk], "outbound": f"sip:{net.trunk}:5060"}
    queues: Table = {"source": "none"}
    if pbx is not None:
        queues = {"source": "ami", "port": pbx.ami_port, "username": GATEWAY_AMI[0], "password_file": "ami.secret"}
    uri = pbx.uri if pbx else pbx_uri
    profile: Table = {"kind": "pbx", "address": uri, "queues": queues}
    if pbx is not None:
        profile["addresses"] = [net.provider]
    return {"gateway.toml": main, "sip_profiles/hms.toml": trunk, "sip_profiles/asterisk.toml": profile}


def destination(files: dict[str, Table], name: str) -> Table:
    """A destination's own table, to be changed before the gateway is started (or `write` is called)."""
    [found] = [one for one in files["gateway.toml"]["numbers"][0]["destinations"] if one["id"] == name]
    table: Table = found
    return table


class Gateway:
    """A gateway that is ready once the context is entered. Its directory outlives restarts within the context."""

    def __init__(
        self, files: dict[str, Table], *, secrets: dict[str, str] | None = None, env: dict[str, str] | None = None
    ) -> None:
        self.files = files
        self.env = env
        self.directory = Path(tempfile.mkdtemp(prefix="gateway-"))
        self.secrets = {"http.token": TOKEN, "sip_profiles/ami.secret": GATEWAY_AMI[1], **(secrets or {})}
        self._child: Child | None = None
        http = files["gateway.toml"]["http"]
        self.url = f"http://{http['bind_address']}:{http['port']}"
        sip = files["gateway.toml"]["sip"]
        self.sip = (sip["bind_address"], sip.get("udp_port", SIP_PORT))
        self.write()

    def write(self) -> None:
        """Write the configuration (anew)."""
        main = self.files["gateway.toml"]
        main["gateway"]["state_dir"] = main["gateway"]["state_dir"] or str(self.directory / "state")
        (self.directory / "state").mkdir(exist_ok=True)
        (self.directory / "sip_profiles").mkdir(exist_ok=True)
        for name, table in self.files.items():
            (self.directory / name).write_text(toml(table))
        for name, secret in self.secrets.items():
            (self.directory / name).write_text(secret)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        command = [sys.executable, "-m", "gateway.cli", "run", "--config", str(self.directory)]
        self._child = Child("gateway", command, self.directory / "gateway.log", env=self.env)
        await self.child.ready(self._is_ready, timeout_s)

    async def stop(self) -> int:
        """SIGTERM, and wait for its end."""
        return await self.child.stop(40)

    async def kill(self) -> None:
        """Crash it: no BYE, no goodbye."""
        await self.child.kill()

    async def queue(self, name: str, timeout_s: float = 10.0, **counts: Any) -> Table:
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
        try:
            status, _ = await self.http("GET", "/readyz")
        except aiohttp.ClientConnectionError as error:
            raise OSError(str(error)) from error
        return status == 200

    async def http(
        self, method: str, path: str, *, token: str | None = None, body: Any = None, host: str | None = None
    ) -> tuple[int, str]:
        """A request to its HTTP server, by the name `host`: status and text."""
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | ({"Host": host} if host else {})
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, headers=headers, json=body) as response,
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

    async def ended(self, count: int = 1, timeout_s: float = 10.0) -> list[Table]:
        """Wait until so many transfers have ended; newest first."""
        return await self.until(lambda one: one["outcome"] is not None, count, timeout_s)

    async def until(self, matches: Any, count: int = 1, timeout_s: float = 10.0) -> list[Table]:
        """Wait until so many transfers match; newest first."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            transfers = await self.transfers()
            found = [one for one in transfers if matches(one)]
            if len(found) >= count:
                return found
            assert asyncio.get_running_loop().time() < deadline, (
                f"{len(found)} of {count} within {timeout_s} s: {transfers}"
            )
            await asyncio.sleep(0.02)

    async def idle(self, timeout_s: float = 10.0) -> None:
        """Wait until no leg, call, transfer or subscription is left."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            status = await self.get("/api/status")
            left = {"calls": status["calls"], "transfers": status["transfers"], **status["sip"]}
            if not any(left.values()):
                return
            assert asyncio.get_running_loop().time() < deadline, f"still there after {timeout_s} s: {left}"
            await asyncio.sleep(0.02)

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        _, text = await self.http("GET", "/metrics")
        wanted = labels.items()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and wanted <= sample.labels.items()
        )

    async def counts(self, name: str, label: str) -> dict[str, int]:
        """A metric's samples, added up by the value of one label."""
        _, text = await self.http("GET", "/metrics")
        found: dict[str, int] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name:
                    key = sample.labels[label]
                    found[key] = found.get(key, 0) + int(sample.value)
        return found


def toml(table: Table, path: str = "") -> str:
    """Write tables, arrays of tables and plain values; enough for a configuration."""
    plain = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items() if not _is_nested(value)
    ]
    blocks = ["\n".join(plain)]
    for key, value in table.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            blocks.append(f"[{name}]\n{toml(value, f'{name}.')}")
        elif _is_nested(value):
            blocks += [f"[[{name}]]\n{toml(one, f'{name}.')}" for one in value]
    return "\n".join(blocks) + "\n"


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))
