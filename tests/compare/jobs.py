# SPDX-License-Identifier: GPL-2.0-or-later
"""The work that both are given: SIPp calls from the PBX's side, and the ends of transfer_ends.cpp answer."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

from tests.compare import process
from tests.compare.compiled import compiled
from tests.compare.systems import TARGET
from tests.support.company import NUMBER
from tests.support.sipp import Sipp

if TYPE_CHECKING:
    from tests.compare.systems import System
    from tests.support.processes import Net

CALLERS_PORT = 5071
STAY_MS = 1000
REFER_AFTER_MS = 100
NO_REFER = -1
PATIENCE_S = 30.0
"""For what is still under way when the last caller should have gone."""


class Hosts(Protocol):
    """Where the two ends are."""

    @property
    def pbx(self) -> str:
        """Callers, and the second party."""

    @property
    def trunk(self) -> str:
        """The platform."""


@dataclass(frozen=True)
class Played:
    """What became of calls that all began at one rate, and what they took of who was measured."""

    asked: int
    done: int
    """Calls that were answered, with transfers: transfers of which the platform was told that they have worked."""
    failed: int
    """Callers whose call did not go as it should to its end, as SIPp counts them: none was answered by an error."""
    refused: int
    """Calls that were answered by 503 and the like."""
    repeated: int
    """Messages that an end had to send again, or got again."""
    codes: str
    """With what transfers failed."""
    cpu_ms: float
    """Each, of all threads, until nothing was left."""
    took_s: float
    to_202_ms: list[float]
    to_invite_ms: list[float]
    to_final_ms: list[float]
    """From a REFER until 202, the INVITE to the second party, the NOTIFY with 200: the shortest first."""
    memory_mb: float
    """Resident in the end."""
    was_idle: bool

    @property
    def whole(self) -> bool:
        """Whether nothing at all has failed (RFC 7502)."""
        return self.done == self.asked and not self.failed and not self.refused and self.was_idle


class TransferEnds:
    """The platform and the second party, ready to be called once the context is entered."""

    def __init__(self, net: Hosts, system: System, target: str | None) -> None:
        """`system` is asked to transfer callers to `target`; None: it is not asked at all."""
        self._rings = system.rings
        refer_to = f"<sip:{target}@{system.sip[0]}>"
        refer_after_ms = REFER_AFTER_MS if target else NO_REFER
        program = str(compiled("transfer_ends.cpp"))
        self._command = [program, net.trunk, net.pbx, refer_to, str(refer_after_ms)]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26
        )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line == b"ready\n", line
        self._counts = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def _read(self, output: asyncio.StreamReader) -> str:
        """Tell of each call of the second party; returns what is said in the end."""
        while (line := (await output.readline()).decode()).startswith("rings "):
            call_id = line.split()[1]
            self._rings(call_id, partial(self._pick_up, call_id))
        return line

    def _pick_up(self, call_id: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"picked-up {call_id}\n".encode())

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._counts.cancel()

    async def told(self) -> dict[str, Any]:
        """Its counts and times; it ends with them."""
        self._process.terminate()
        counts: dict[str, Any] = json.loads(await self._counts)
        await self._process.wait()
        return counts


async def transfers(system: System, net: Net, *, per_second: float, count: int, target: str = TARGET) -> Played:
    """Callers reach the platform, which has them put through to the second party, and hang up after a second."""
    return await _played(system, net, per_second, count, target)


async def calls(system: System, net: Net, *, per_second: float, count: int) -> Played:
    """Callers reach the platform and hang up after a second."""
    return await _played(system, net, per_second, count, None)


async def _played(system: System, net: Net, per_second: float, count: int, target: str | None) -> Played:
    patience = count / per_second + STAY_MS / 1000 + PATIENCE_S
    system.expects(per_second)
    async with TransferEnds(net, system, target) as ends:
        used, begun = process.cpu_s(system.pid), time.monotonic()
        async with callers(system, net, per_second, count, patience) as calling:
            called = await calling.finished()
        took = time.monotonic() - begun
        system.expects(0)
        was_idle = await system.idle(PATIENCE_S)
        used = process.cpu_s(system.pid) - used
        told = await ends.told()
    done = told["completed"] if target else called.counters["answered"]
    to_202, to_invite, to_final = (
        sorted(value / 1000 for value in told[key]) for key in ("to_202_us", "to_invite_us", "to_final_us")
    )
    return Played(
        asked=count,
        done=done,
        failed=called.failed,
        refused=called.counters["refused"],
        repeated=told["repeated"],
        codes=told["codes"].strip(),
        cpu_ms=used * 1000 / max(1, done),
        took_s=took,
        to_202_ms=to_202,
        to_invite_ms=to_invite,
        to_final_ms=to_final,
        memory_mb=process.memory_mb(system.pid),
        was_idle=was_idle,
    )


def callers(
    system: System, net: Hosts, per_second: float, count: int, patience_s: float, *, number: str = NUMBER
) -> Sipp:
    """SIPp as callers of a number, with one each themselves, none of whom waits until another has gone."""
    return Sipp(
        "call", net.pbx, port=CALLERS_PORT, remote=system.sip, service=number, calls=count, rate=per_second,
        limit=count, hold_ms=STAY_MS, timeout_s=patience_s, logged=False,
        values={"CALLER": "[field0]", "CALLER_SPEAKS": ""},
        rows=[[f"+3162{caller:07d}"] for caller in range(count)],
    )  # fmt: skip
