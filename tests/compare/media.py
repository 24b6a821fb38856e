# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that last, with sound or in silence: what they take, and how late the sound is.

Both ends are media_calls.cpp.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.compare import process
from tests.compare.compiled import compiled
from tests.support.company import NUMBER

if TYPE_CHECKING:
    from tests.compare.jobs import Hosts
    from tests.support.sip_message import Address

RAMP = 50
"""Calls that begin in a second."""
SETTLED_S = 2.0
"""From when the last call is up until it is measured."""
PATIENCE_S = 60.0
TOO_LATE_MS = 100.0
"""Five packets: ends that send so late measure themselves."""


class NotMeasuredError(RuntimeError):
    """Calls did not come up, or the ends had no time to do their part: the message says which."""


class Measured(Protocol):
    """Who is measured; a systems.System is one."""

    @property
    def sip(self) -> Address:
        """Where it takes calls."""

    @property
    def pid(self) -> int:
        """Its one process."""


@dataclass(frozen=True)
class Lasting:
    """What calls took that all lasted at the same time."""

    calls: int
    core: float
    """The share of one core, of all threads."""
    memory_mb: float
    """Resident memory that came with each call."""
    delays_ms: list[float]
    """Of the sound, in both directions: the shortest first. Empty in silence."""
    lost: float
    """The share of packets that did not arrive, of those that both ends sent."""
    late_ms: float
    """How late an end was at most to send a packet."""
    ends_core: float
    """The share of one core that the ends themselves took."""
    refused: int
    """How often a caller had to call again: the machine was too busy, or who is measured was."""


async def lasting(
    system: Measured, net: Hosts, *, calls: int, seconds: float, sound: bool, too_late_ms: float = TOO_LATE_MS,
    number: str = NUMBER, transcoded: bool = False,
) -> Lasting:  # fmt: skip
    """Have so many calls come up, and measure for so long; `transcoded`: of A-law here and µ-law there.

    Raises NotMeasuredError.
    """
    program = str(compiled("media_calls.cpp"))
    before = process.memory_mb(system.pid)
    ends = await asyncio.create_subprocess_exec(
        program, system.sip[0], net.pbx, net.trunk, number, str(calls), str(seconds), str(RAMP),
        "sound" if sound else "silence", *(["ulaw"] if transcoded else []),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip
    assert ends.stdin is not None
    assert ends.stdout is not None
    assert ends.stderr is not None
    try:
        async with asyncio.timeout(calls / RAMP + seconds + PATIENCE_S):
            if await ends.stdout.readline() != b"up\n":
                complaint = (await ends.stderr.read()).decode().strip()
                await ends.wait()
                raise NotMeasuredError(complaint)
            await asyncio.sleep(SETTLED_S)
            used, begun = process.cpu_s(system.pid), time.monotonic()
            ends.stdin.write(b"\n")
            line = await ends.stdout.readline()
            used, took = process.cpu_s(system.pid) - used, time.monotonic() - begun
            after = process.memory_mb(system.pid)
            await ends.wait()
    finally:
        if ends.returncode is None:
            ends.kill()
            await ends.wait()
    told = json.loads(line)
    if told["late_ms"] > too_late_ms:
        raise NotMeasuredError(f"the ends had no time: they sent {told['late_ms']:.0f} ms late")
    return Lasting(
        calls=calls,
        core=used / took,
        memory_mb=(after - before) / calls,
        delays_ms=sorted(told["delays_ms"]),
        lost=max(0.0, 1 - told["received"] / told["sent"]) if told["sent"] else 0.0,
        late_ms=told["late_ms"],
        ends_core=told["cpu_s"] / seconds,
        refused=told["refused"],
    )
