# SPDX-License-Identifier: GPL-2.0-or-later
"""A manager interface that floods holds up nothing else, and nothing that it sends is kept without end."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from gateway.core.model import DeviceState
from gateway.pbx.asterisk.snapshot import MAX_MEMBERS
from tests.bench.jumping_loop import JumpingLoop
from tests.pbx.fake_ami import FakeAmi, Listener, changed, hint, member
from tests.pbx.running_ami import known, running
from tests.support.processes import Child

event_loop = JumpingLoop

PER_SECOND = 10_000
HELD_S = 0.1


class Poured:
    """Where a process that pours events listens; the secret is the fake's."""

    secret = "right"

    def __init__(self, port: int) -> None:
        self.port = port


@asynccontextmanager
async def pouring(directory: Path, kind: str) -> AsyncIterator[Poured]:
    command = [sys.executable, "-m", "tests.pbx.pouring_ami", str(PER_SECOND), kind]
    child = Child("ami", command, directory / "log")
    try:
        async for line in child.lines():
            yield Poured(int(line))
            break
    finally:
        await child.kill()


async def held_up(seconds: float) -> list[float]:
    """How long the loop computed before it ran what was due, each 5 ms: by this thread's CPU, which others may have."""
    loop = asyncio.get_running_loop()
    held = []
    end = loop.time() + seconds
    while loop.time() < end:
        began = time.thread_time()
        await asyncio.sleep(0.005)
        held.append(time.thread_time() - began)
    return sorted(held)


@pytest.mark.keeps("16.88")
@pytest.mark.alone
@pytest.mark.parametrize("kind", ["status", "members", "callers", "answers", "noise"])
def test_ten_thousand_events_a_second_hold_up_nothing(tmp_path: Path, kind: str) -> None:
    uvloop.run(flooded(tmp_path, kind))


async def flooded(directory: Path, kind: str) -> None:
    listener = Listener()
    async with pouring(directory, kind) as pbx, running(pbx, listener) as source:
        await held_up(0.5)
        held = await held_up(3.0)
        # Half of the loop's turns at most may wait for a piece of work, and none for long.
        assert held[len(held) * 99 // 100] < HELD_S
        assert held[len(held) // 2] < 0.02
        told = len(listener.states)
        await asyncio.sleep(1.0)
        assert len(listener.states) - told <= 120
        assert source is not None


@pytest.mark.keeps("16.89")
async def test_members_without_end_are_not_kept(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener) as source:
        pbx.send(*[changed("QueueMemberAdded", f"Local/{number}@x") for number in range(MAX_MEMBERS + 500)])
        await pbx.asked("QueueStatus", 2)
        # Read anew, the queue has those that the PBX lists.
        await listener.until(lambda: source.state.queues["sales"].logged_in == 2)
        pbx.queues["sales"] = [member(f"Local/{number}@x") for number in range(MAX_MEMBERS + 1)]
        pbx.send({"Event": "Reload"})
        await listener.until(lambda: not source.state.queues)


@pytest.mark.alone
async def test_a_list_may_be_long_where_little_of_it_matters(pbx: FakeAmi, listener: Listener) -> None:
    pbx.hints = [hint(str(number), 0) for number in range(10_000, 40_000)] + [hint("6001", 1)]
    async with running(pbx, listener):
        # 30 000 of them take a loaded machine a while.
        assert (await listener.known(within=30)).extensions == {"6001": DeviceState.IN_USE}
