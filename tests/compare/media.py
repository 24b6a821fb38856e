# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that last, with sound or in silence: what they take, and how late the sound is.

Both ends are media_calls.cpp.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.compare import process
from tests.compare.compiled import compiled
from tests.support.company import NUMBER

if TYPE_CHECKING:
    from tests.compare.systems import System
    from tests.support.processes import Net

RAMP = 80
"""Calls that begin in a second."""
SETTLED_S = 2.0
"""From when the last call is up until it is measured."""
PATIENCE_S = 60.0


class CallsDidNotComeUpError(RuntimeError):
    """Some call was refused, or not answered in time; the message is the program's."""


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
    """How late an end was at most to send a packet: where that is much, the machine was too busy to say anything."""


async def lasting(system: System, net: Net, *, calls: int, seconds: float, sound: bool) -> Lasting:
    """Have so many calls come up, and measure for so long. Raises CallsDidNotComeUpError."""
    program = str(compiled("media_calls.cpp"))
    before = process.memory_mb(system.pid)
    ends = await asyncio.create_subprocess_exec(
        program, system.sip[0], net.pbx, net.trunk, NUMBER, str(calls), str(seconds), str(RAMP),
        "sound" if sound else "silence",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip
    assert ends.stdin is not None
    assert ends.stdout is not None
    assert ends.stderr is not None
    try:
        async with asyncio.timeout(calls / RAMP + seconds + PATIENCE_S):
            if await ends.stdout.readline() != b"up\n":
                raise CallsDidNotComeUpError((await ends.stderr.read()).decode().strip())
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
    return Lasting(
        calls=calls,
        core=used / took,
        memory_mb=(after - before) / calls,
        delays_ms=sorted(told["delays_ms"]),
        lost=max(0.0, 1 - told["received"] / told["sent"]) if told["sent"] else 0.0,
        late_ms=told["late_ms"],
    )
