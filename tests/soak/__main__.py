# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak`: plays, and prints what there was; exit code 1 where anything was lost, or is left."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.soak.run import Soak
from tests.support import own_network
from tests.support.fetch import programs
from tests.support.processes import Net


async def play(minutes: float, per_second: float, *, recovers: bool) -> int:
    """Play it, and tell."""
    with Net() as net:
        soak = Soak(net, seconds=60 * minutes, per_second=per_second, tells=True, recovers=recovers)
        result = await soak.play()
    print(*result.lines(), sep="\n", flush=True)
    return bool(result.faults)


def main() -> int:
    """Parse the arguments, play, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--per-second", type=float, default=20)
    parser.add_argument("--recover", action="store_true", help="the gateway is killed now and then; calls outlive it")
    parser.add_argument(own_network.HERE, action="store_true", help="in this machine's network")
    chosen = parser.parse_args()
    programs()
    ended = own_network.played_in_one("tests.soak", here=chosen.here)
    if ended is not None:
        return ended
    return asyncio.run(play(chosen.minutes, chosen.per_second, recovers=chosen.recover))


if __name__ == "__main__":
    sys.exit(main())
