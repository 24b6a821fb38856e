# SPDX-License-Identifier: GPL-2.0-or-later
"""What two processes of the gateway carry beside one, on a machine that has their callers on it too: `make processes`.

For one and for two, in turn, the highest rate of transfers without a failure is searched as `make bench` searches it,
with its callers and its other ends; each of two has half of the calls, and ends, PBX and broker of its own.

Whatever is no gateway uses the same processors: callers, platform, PBX, broker, this program, the kernel, anybody else.
It is counted as what all processors were busy with (/proc/stat), without what the gateways have used, from two seconds
after the first call until the last begins. Had it not been there, two gateways would have had all processors. They have
carried their rate with what was left to them; at the same cost of a transfer they carry

    rate * processors / (processors - others)

on as many processors of their own. Of one that is no more than what it carried, as others had another processor, where
there was one to spare; where there was not, that is said, for it would flatter two. What the kernel does to deliver a
packet is counted with whoever has sent it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.compare import jobs, process
from tests.compare.search import LIMIT, highest
from tests.compare.systems import system
from tests.support import own_network, tones
from tests.support.fetch import programs
from tests.support.processes import ChildError, Net

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.compare.systems import System

SETTLED_S = 2.0
"""After the first call: the first of them hang up, so that as many end as begin."""
FIRST = 50
WANTED = 1.8
SPARE = 0.05
"""Of all processors, how much has to be idle for one process to have had what it wanted."""


@dataclass(frozen=True)
class Share:
    """Who had how much of the processors while calls went on at one rate; 1 is a processor."""

    gateways: float
    others: float
    idle: float

    @property
    def processors(self) -> float:
        """How many there were."""
        return self.gateways + self.others + self.idle


@dataclass(frozen=True)
class Tried:
    """A rate, of all processes together."""

    rate: int
    whole: bool
    """Nothing has failed."""
    done: int
    asked: int
    share: Share | None
    """None: it was too short to be looked at."""


@dataclass(frozen=True)
class Ticks:
    """Processor time so far, in seconds."""

    at: float
    gateways: float
    busy: float
    idle: float

    @classmethod
    def now(cls, pids: Sequence[int]) -> Ticks:
        """Of these gateways, and of all processors."""
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
        # user, nice, system, idle, iowait, irq, softirq, steal; a guest's time is in user's.
        user, nice, system_s, idle, waiting, irq, soft, steal = (int(one) for one in fields[:8])
        hertz = os.sysconf("SC_CLK_TCK")
        busy = user + nice + system_s + irq + soft + steal
        return cls(time.monotonic(), sum(map(process.cpu_s, pids)), busy / hertz, (idle + waiting) / hertz)

    def until(self, later: Ticks) -> Share:
        """What was used from here on."""
        took = later.at - self.at
        gateways, busy = (later.gateways - self.gateways) / took, (later.busy - self.busy) / took
        return Share(gateways, max(0.0, busy - gateways), (later.idle - self.idle) / took)


async def looked_at(pids: Sequence[int], seconds: float) -> Share | None:
    """Who has what, while new calls begin."""
    if seconds <= 2 * SETTLED_S:
        return None
    await asyncio.sleep(SETTLED_S)
    begun = Ticks.now(pids)
    await asyncio.sleep(seconds - SETTLED_S)
    return begun.until(Ticks.now(pids))


async def tried(nets: Sequence[Net], rate: int, seconds: int) -> Tried:
    """A gateway in each net, which is started for it, with its part of so many transfers a second."""
    async with AsyncExitStack() as stack:
        systems: list[System] = [await stack.enter_async_context(system("gateway", net)) for net in nets]
        looking = asyncio.create_task(looked_at([one.pid for one in systems], seconds))
        stack.callback(looking.cancel)
        each = rate / len(nets)
        played = await asyncio.gather(
            *(
                jobs.transfers(one, net, per_second=each, count=round(each * seconds))
                for one, net in zip(systems, nets, strict=True)
            )
        )
        share = await looking
    done, asked = sum(one.done for one in played), sum(one.asked for one in played)
    return Tried(rate, all(one.whole for one in played), done, asked, share)


def told(name: str, one: Tried) -> str:
    """A try, in a line."""
    used = one.share
    shares = (
        f", processors: gateways {used.gateways:.2f}, others {used.others:.2f}, idle {used.idle:.2f}" if used else ""
    )
    return f"  {name}: {one.rate}/s: {one.done} of {one.asked}{'' if one.whole else ', not all well'}{shares}"


async def most(nets: Sequence[Net], seconds: int) -> Tried | None:
    """The highest rate without a failure; None: there is none."""
    last: dict[int, Tried] = {}
    name = f"{len(nets)} process{'es' if len(nets) > 1 else ''}"

    async def is_good(rate: int, length: int) -> bool:
        try:
            last[rate] = one = await tried(nets, rate, seconds * length)
        except (AssertionError, TimeoutError, ChildError) as error:
            print(f"  {name}: {rate}/s: {type(error).__name__}: {error}", flush=True)
            return False
        print(told(name, one), flush=True)
        return one.whole

    found = await highest(is_good, first=FIRST, limit=2 * LIMIT["transfers"])
    return last[found] if found else None


def alone(two: Tried) -> float:
    """What two would carry, were nobody else on their processors."""
    assert two.share is not None
    return two.rate * two.share.processors / (two.share.processors - two.share.others)


def verdict(ones: Sequence[Tried], twos: Sequence[Tried]) -> list[str]:
    """The medians, what they mean, and what is to be said against it."""
    one, two = (statistics.median(each.rate for each in found) for found in (ones, twos))
    freed = statistics.median(alone(each) for each in twos)
    enough = "at least" if freed / one >= WANTED else "not"
    cost_one, cost_two = (
        statistics.median(1000 * each.share.gateways / each.rate for each in found if each.share)
        for found in (ones, twos)
    )
    lines = [
        f"one process: {one:.0f} transfers a second; two: {two:.0f} beside their callers, {two / one:.2f} times one",
        f"without what else was running: two {freed:.0f}, {freed / one:.2f} times one ({enough} the {WANTED} wanted)",
        f"processor time of a transfer: {cost_one:.2f} ms of one, {cost_two:.2f} ms of two",
    ]
    if any(each.share and each.share.idle < SPARE * each.share.processors for each in ones):
        lines.append("the one had to wait for a processor at times: its rate is too low, and the factor too high")
    return lines


async def compare(rounds: int, seconds: int) -> int:
    """Print each try, and the verdict; exit code 1 where a rate could not be found, or two do not carry enough."""
    with Net() as first, Net() as second:
        ones, twos = [], []
        for _ in range(rounds):
            print(f"load {process.load():.1f}, {os.cpu_count()} processors: {process.processor()}", flush=True)
            ones.append(await most([first], seconds))
            twos.append(await most([first, second], seconds))
    good_ones, good_twos = [one for one in ones if one], [two for two in twos if two]
    if len(good_ones) + len(good_twos) < 2 * rounds:
        print("there was no rate at which nothing failed")
        return 1
    print(*verdict(good_ones, good_twos), sep="\n")
    return 0


def main() -> int:
    """Measure in a network of its own, where that can be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure.processes", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each of the two rates is searched (3)")
    parser.add_argument("--seconds", type=int, default=10, help="how long each try lasts (10)")
    parser.add_argument(own_network.HERE, action="store_true", help="in this machine's network")
    chosen = parser.parse_args()
    programs()
    if (ended := own_network.played_in_one("tests.measure.processes", here=chosen.here)) is not None:
        return ended
    tones.prepare()
    return asyncio.run(compare(chosen.rounds, chosen.seconds))


if __name__ == "__main__":
    sys.exit(main())
