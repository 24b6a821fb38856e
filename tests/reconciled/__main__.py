# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.reconciled`: prints the table; exit code 1 when somebody has counted something else."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.reconciled.run import Run
from tests.support import own_network
from tests.support.fetch import programs
from tests.support.processes import Net


async def play(transfers: int, seconds: float) -> int:
    """Play it, and tell."""
    with Net() as net:
        result = await Run(net, transfers=transfers, seconds=seconds).play()
    print(*result.lines(), sep="\n", flush=True)
    return bool(result.faults)


def main() -> int:
    """Parse the arguments, play, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.reconciled", description=__doc__)
    parser.add_argument("--transfers", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument(own_network.HERE, action="store_true", help="in this machine's network")
    chosen = parser.parse_args()
    programs()
    ended = own_network.played_in_one("tests.reconciled", here=chosen.here)
    if ended is not None:
        return ended
    return asyncio.run(play(chosen.transfers, chosen.seconds))


if __name__ == "__main__":
    sys.exit(main())
