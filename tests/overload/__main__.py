# SPDX-License-Identifier: GPL-2.0-or-later
"""`make overload`: what a gateway does with 1, 1.5, 2, 4 and 8 times of what it can take; prints a table.

What it can take is found as `make bench` does it, unless it is told by --can.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.compare import jobs, process
from tests.compare.__main__ import QUIET
from tests.compare.search import LIMIT, highest
from tests.compare.systems import GatewaySystem
from tests.overload.crowd import CrowdedSystem
from tests.overload.offering import COLUMNS, columns, offer
from tests.support import own_network
from tests.support.fetch import programs
from tests.support.processes import ChildError, Net

SEARCHED_S = 5


async def can_take(net: Net) -> int:
    """How many transfers a second it takes without a failure."""

    async def is_good(rate: int, length: int) -> bool:
        count = rate * SEARCHED_S * length
        try:
            async with GatewaySystem(net) as system:
                played = await jobs.transfers(system, net, per_second=rate, count=count)
        except (AssertionError, TimeoutError, ChildError) as error:
            print(f"{rate}/s: {type(error).__name__}: {error}", flush=True)
            return False
        print(f"{rate}/s: {played.done} of {played.asked}, load {process.load():.1f}", flush=True)
        return played.whole

    return await highest(is_good, first=50, limit=LIMIT["transfers"])


async def play(chosen: argparse.Namespace) -> None:
    """Offer each, and tell."""
    with Net() as net:
        can = chosen.can or await can_take(net)
        print(f"it can take {can} transfers a second; each of these is offered for {chosen.seconds} s\n")
        print("| offered by | times | a second |", " | ".join(COLUMNS), "| load |", flush=True)
        print("|---|---|---|", "---|" * (len(COLUMNS) + 1), sep="")
        for trunks in chosen.trunks:
            for times in chosen.times:
                if (load := process.load()) > QUIET and chosen.waits:
                    await asyncio.sleep(chosen.waits)
                async with CrowdedSystem(net) as system:
                    told = await offer(system, net, per_second=can * times, seconds=chosen.seconds, trunks=trunks)
                row = [str(trunks), f"{times:g}", f"{can * times:g}", *columns(told), f"{load:.1f}"]
                print("|", " | ".join(row), "|", flush=True)


def numbers(text: str) -> list[float]:
    """Of an argument, between commas."""
    return [float(one) for one in text.split(",")]


def main() -> int:
    """In a network of its own, where that can be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.overload", description=__doc__)
    parser.add_argument("--can", type=int, help="transfers a second that it takes; else it is searched for first")
    parser.add_argument("--times", type=numbers, default=[1, 1.5, 2, 4, 8], help="how many times of that (1,1.5,2,4,8)")
    parser.add_argument("--trunks", type=numbers, default=[1, 2], help="by so many trunks together (1,2)")
    parser.add_argument("--seconds", type=float, default=10, help="how long each is offered (10)")
    parser.add_argument("--waits", type=float, default=0, help="seconds to wait before each while the machine is busy")
    parser.add_argument(own_network.HERE, action="store_true", help="in this machine's network")
    chosen = parser.parse_args()
    chosen.trunks = [int(one) for one in chosen.trunks]
    programs()
    ended = own_network.played_in_one("tests.overload", here=chosen.here)
    if ended is not None:
        return ended
    asyncio.run(play(chosen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
