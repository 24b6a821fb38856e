# SPDX-License-Identifier: GPL-2.0-or-later
"""What a transfer takes of the gateway, in counts, and how much of each is far too much.

Counts and no times: they are the same on a slow machine and on a busy one. Two rounds of transfers go through one
gateway: while the first lasts it counts itself (counted.py), during the second strace does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.compare import jobs, process
from tests.compare.compiled import compiled
from tests.compare.counters import Counter, Counters
from tests.compare.strace import traced
from tests.compare.systems import GatewaySystem, Started
from tests.support.mqtt_broker import ScriptedBroker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.configuration import Configuration
    from tests.support.gateway import Gateway
    from tests.support.mqtt_broker import Published
    from tests.support.processes import Net

FIRST, COUNTED, TRACED = 20, 120, 50
"""Transfers until all that is made once has been made; of which is counted; while strace watches, which takes time."""
PER_SECOND, TRACED_PER_SECOND = 10, 5


@dataclass(frozen=True)
class Count:
    """Something that is counted, and how often it may happen in a transfer."""

    what: str
    most: float


# A third above what was counted on 29 November 2026: 189, 26, 17,300, 217, 1,590, 95, 6.5, 3, 503 and 121; about twice
# where it depends on how many events a commit or a wake-up finds. What takes less for good gets a lower bound.
CALLS = Count("calls from Python to PJSUA2", 250)
CALLBACKS = Count("callbacks from PJSUA2 to Python", 34)
PYTHON = Count("allocations by Python", 23_000)
PJSIP = Count("allocations by PJSIP", 285)
OTHERS = Count("allocations by other libraries", 2_100)
STATEMENTS = Count("SQL statements", 180)
PUBLISHED = Count("MQTT messages", 9)
LOGGED = Count("lines of the log", 4)
SYSTEM_CALLS = Count("system calls, waits left out", 1_000)
READS_AND_WRITES = Count("reads and writes", 220)


def of_counter(counter: Counter) -> Count:
    """What a counter of the process counts."""
    match counter:
        case Counter.CALLS_TO_PJSUA2:
            return CALLS
        case Counter.CALLS_FROM_PJSUA2:
            return CALLBACKS
        case Counter.SQL_STATEMENTS:
            return STATEMENTS
        case Counter.PYTHON_ALLOCATIONS:
            return PYTHON
        case Counter.PJSIP_ALLOCATIONS:
            return PJSIP
        case Counter.OTHER_ALLOCATIONS:
            return OTHERS


class CountedGateway(Started):
    """A gateway that counts itself."""

    module = "tests.compare.counted"

    def __init__(self, files: Configuration, *, worse: bool = False) -> None:
        super().__init__(files)
        file = self.directory / "counters"
        self.counters = Counters(file)
        self.env = {
            "LD_PRELOAD": str(compiled("counting.c")),
            "PYTHONMALLOC": "malloc",
            "COUNTS_FILE": str(file),
            **({"COUNTED_WORSE": "1"} if worse else {}),
        }


class CountedSystem(GatewaySystem):
    """The gateway of the comparison, with a broker that counts, and nobody who asks for metrics."""

    gateway: CountedGateway

    def __init__(self, net: Net, *, worse: bool = False) -> None:
        self.published = 0
        super().__init__(net, broker=ScriptedBroker(self._judge), read=False)
        self._worse = worse

    def made(self, files: Configuration) -> Gateway:
        return CountedGateway(files, worse=self._worse)

    def counts(self) -> dict[Count, float]:
        """All of them, since the start."""
        own = {of_counter(counter): float(value) for counter, value in self.gateway.counters.read().items()}
        return {**own, PUBLISHED: self.published, LOGGED: self.gateway.log.count("\n")}

    def _judge(self, _: Published) -> int:
        self.published += 1
        return 0


async def counted(net: Net) -> tuple[dict[Count, float], dict[str, float]]:
    """Counts for each transfer, and system calls for each by name. Raises AssertionError if any transfer fails."""
    async with CountedSystem(net) as system:
        await _transfers(system, net, FIRST, PER_SECOND)
        each = await counted_by_itself(system, net, COUNTED)
        io = process.reads_and_writes(system.pid)
        async with traced(system.pid) as calls:
            await _transfers(system, net, TRACED, TRACED_PER_SECOND)
        each[READS_AND_WRITES] = (process.reads_and_writes(system.pid) - io) / TRACED
    names = {name: calls[name] / TRACED for name, _ in calls.most_common()}
    if names:
        each[SYSTEM_CALLS] = sum(names.values())
    return each, names


async def counted_by_itself(system: CountedSystem, net: Net, transfers: int) -> dict[Count, float]:
    """What the gateway counts of so many transfers, for each. Raises AssertionError if any of them fails."""
    before = system.counts()
    await _transfers(system, net, transfers, PER_SECOND)
    return {count: (value - before[count]) / transfers for count, value in system.counts().items()}


async def _transfers(system: CountedSystem, net: Net, count: int, per_second: float) -> None:
    played = await jobs.transfers(system, net, per_second=per_second, count=count)
    assert played.done == count, (
        f"{played.done} of {count} transfers completed; {played.codes}\n{system.gateway.child.tail()}"
    )


def table(each: Mapping[Count, float], names: Mapping[str, float]) -> Iterator[str]:
    """What was counted, beside what is far too much."""
    yield "| for each transfer | counted | at most |"
    yield "|---|---:|---:|"
    for count, value in each.items():
        yield f"| {count.what} | {value:,.1f} | {count.most:,.0f} |"
    if names:
        most = ", ".join(f"{name} {value:.1f}" for name, value in names.items() if value >= 1)
        yield f"\nSystem calls: {most}."
    else:
        yield "\nSystem calls were not counted: there is no strace that may."


def excesses(each: Mapping[Count, float]) -> list[str]:
    """What is far too much, in words."""
    return [
        f"{count.what}: {value:,.1f} for each transfer, more than {count.most:,.0f}"
        for count, value in each.items()
        if value > count.most
    ]
