# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench`: compares the gateway with Asterisk, and writes docs/benchmarks.md.

What earlier calls have measured of other parts stays: so parts can be measured one by one, each when there is time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from tests.compare import document, process
from tests.compare.figures import lines
from tests.compare.parts import PARTS, Bench
from tests.support import own_network
from tests.support.fetch import Programs, programs
from tests.support.processes import Net

QUIET = 0.5
"""The load above which what is measured says little."""


async def play(chosen: argparse.Namespace, installed: Programs) -> None:
    """Measure each part, tell it, and keep it."""
    with Net() as net:
        bench = Bench(net, chosen.rounds, chosen.seconds, chosen.rates, chosen.calls, chosen.many)
        takes = {name: PARTS[name].takes_s(bench) * bench.rounds for name in chosen.parts}
        told = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in takes.items())
        print(f"takes some {sum(takes.values()) / 60:.0f} minutes: {told}", flush=True)
        if chosen.estimate:
            return
        for name in chosen.parts:
            load, begun = process.load(), time.monotonic()
            if load > QUIET:
                print(f"the machine has other work: load {load:.1f}", flush=True)
            print(f"\n{name}, {bench.rounds} rounds:", flush=True)
            figures = await PARTS[name].play(bench)
            print(*lines(figures), sep="\n", flush=True)
            if not chosen.dry:
                document.keep(name, figures, bench, installed, load, time.monotonic() - begun)
                document.write()


def numbers(text: str) -> list[int]:
    """Of an argument, between commas."""
    return [int(one) for one in text.split(",")]


def main() -> int:
    """Parse the arguments, and measure in a network of its own, where that can be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.compare", description=__doc__)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5, help="how often each of the two is measured (5)")
    parser.add_argument("--seconds", type=int, default=10, help="how long each run lasts (10)")
    parser.add_argument("--rates", type=numbers, default=[50, 100], help="transfers, calls a second (50,100)")
    parser.add_argument("--calls", type=numbers, default=[50, 200, 500], help="lasting calls at a time (50,200,500)")
    parser.add_argument(
        "--many", type=numbers, default=[2000, 20_000], help="transfers before memory is read (2000,20000)"
    )
    parser.add_argument("--estimate", action="store_true", help="only say how long it would take")
    parser.add_argument("--dry", action="store_true", help="keep nothing, write nothing")
    parser.add_argument(own_network.HERE, action="store_true", help="in this machine's network")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    installed = programs()
    ended = own_network.played_in_one("tests.compare", here=chosen.here)
    if ended is not None:
        return ended
    asyncio.run(play(chosen, installed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
