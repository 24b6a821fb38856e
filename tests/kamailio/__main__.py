# SPDX-License-Identifier: GPL-2.0-or-later
"""`make rolling`: restarts three gateways in turn under 30 transfers a second, and says what became of those."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.kamailio.rolling import roll
from tests.support.certificates import Authority
from tests.support.processes import Net


def main() -> int:
    """Exit code 1: a transfer has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=30, help="transfers a second (default: 30)")
    parser.add_argument("--seconds", type=int, default=40, help="for so long (default: 40)")
    options = parser.parse_args()
    with Net() as net, tempfile.TemporaryDirectory() as directory:
        authority = Authority(Path(directory))
        done, took = asyncio.run(roll(net, authority, per_second=options.rate, seconds=options.seconds))
    print(f"{options.rate} transfers a second for {options.seconds} s: {done.asked} callers, {done.answered} answered, "
          f"{done.refused} refused, {done.completed} transferred, {done.reached} talked to the end")  # fmt: skip
    print("restarts, until all took calls again, in seconds:", " ".join(f"{each:.1f}" for each in took))
    if (done.refused, done.completed, done.reached) != (0, done.asked, done.asked):
        print(done.errors[:4000], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
