# SPDX-License-Identifier: GPL-2.0-or-later
"""`make model-on-the-wire`: explores, chooses, plays, and prints the counts; exit code 1 where anything differs."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

from tests.model import tables
from tests.model.__main__ import CHUNK, SCOPES
from tests.model.explore import explore
from tests.model.on_the_wire import choosing, run
from tests.support import own_network
from tests.support.processes import Net

SHORT = {name: replace(scope, short=True) for name, scope in SCOPES.items()}


def found(depth: int) -> choosing.Ways:
    """The ways of all scopes as far as a depth; tells how many."""
    ways = choosing.Ways()
    print("| scope | states | ways that can be played |\n|---|---:|---:|")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        each = partial(pool.map, chunksize=CHUNK)
        for name, scope in SHORT.items():
            paths = explore(scope, depth, each).paths[1:]
            own = choosing.all_ways(name, scope, paths, each)
            print(f"| {name} | {len(paths):,} | {len(own.found):,} |", flush=True)
            ways.found += own.found
            ways.left_out += own.left_out
    return ways


def told(ways: choosing.Ways, taken: list[choosing.Way]) -> None:
    """What was chosen, of what, and what it goes through."""
    for why, count in ways.left_out.items():
        print(f"left out, {why}: {count:,}")
    print(f"{len(taken):,} chosen of {len(ways.found):,}, with seed {choosing.SEED}: "
          f"{sum(len(way.path) for way in taken):,} moves and what ends them")  # fmt: skip
    for line in tables.told({cell for way in taken for cell in way.cells}):
        print(line)
    for what, of in (
        ("transitions of all that any way goes through", [way.cells for way in ways.found]),
        ("outcomes", [way.outcomes for way in ways.found]),
        ("moves, each with its state and the one before", [way.moves for way in ways.found]),
    ):
        own = {id(way) for way in taken}
        having = {one for way, ones in zip(ways.found, of, strict=True) if id(way) in own for one in ones}
        print(f"{len(having)} of {len({one for ones in of for one in ones})} {what}")


def main() -> int:
    """Parse the arguments, explore, choose, play, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.on_the_wire", description=__doc__)
    parser.add_argument("--depth", type=int, default=8, help="moves from the beginning (8)")
    parser.add_argument("--count", type=int, default=1000, help="how many ways are played (1000)")
    parser.add_argument("--places", type=int, default=run.PLACES, help=f"… how many at a time ({run.PLACES})")
    parser.add_argument(own_network.HERE, action="store_true", help="in this machine's network")
    chosen = parser.parse_args()
    ended = own_network.played_in_one("tests.model.on_the_wire", here=chosen.here)
    if ended is not None:
        return ended
    ways = found(chosen.depth)
    taken = choosing.chosen(ways.found, chosen.count)
    told(ways, taken)
    begun = time.monotonic()
    with Net() as net:
        result = asyncio.run(run.play(net, taken, SHORT, chosen.places))
    print(*result.lines(), f"in {time.monotonic() - begun:.0f} s", sep="\n", flush=True)
    return bool(result.faults)


if __name__ == "__main__":
    sys.exit(main())
