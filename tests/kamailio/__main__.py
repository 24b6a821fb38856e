# SPDX-License-Identifier: GPL-2.0-or-later
"""`make rolling`: restarts three gateways in turn under 30 transfers a second, and says what became of those."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.kamailio.cluster import NODES
from tests.kamailio.costs import cost
from tests.kamailio.rolling import roll
from tests.support.certificates import Authority
from tests.support.processes import Net


def main() -> int:
    """Exit code 1: a transfer has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=30, help="transfers a second (default: 30)")
    parser.add_argument("--seconds", type=int, default=40, help="for so long (default: 40)")
    parser.add_argument("--costs", action="store_true", help="what a transfer takes with 1, 2 and 3 gateways instead")
    options = parser.parse_args()
    if options.costs:
        return costs(options.rate, options.seconds)
    with Net() as net, tempfile.TemporaryDirectory() as directory:
        authority = Authority(Path(directory))
        done, took = asyncio.run(roll(net, authority, per_second=options.rate, seconds=options.seconds))
    print(f"{options.rate} transfers a second for {options.seconds} s: {done.asked} callers, {done.answered} answered, "
          f"{done.refused} refused, {done.completed} transferred, "
          f"{done.gone} gone before, {done.reached} talked to the end")  # fmt: skip
    print("restarts, until all took calls again, in seconds:", " ".join(f"{each:.1f}" for each in took))
    if (done.refused, done.completed, done.reached) != (0, done.asked, done.asked):
        print(done.errors[:4000], file=sys.stderr)
        return 1
    return 0


def costs(rate: int, seconds: int) -> int:
    """A line for each number of gateways."""
    failed = 0
    for gateways in range(1, len(NODES) + 1):
        with Net() as net, tempfile.TemporaryDirectory() as directory:
            authority = Authority(Path(directory))
            told = asyncio.run(cost(net, authority, gateways=gateways, per_second=rate, seconds=seconds))
        done = told.done
        failed += done.asked - done.completed
        each = " + ".join(f"{one:.1f}" for one in told.each_ms)
        print(f"{gateways} gateways, {rate}/s for {seconds} s: {done.completed} of {done.asked} transferred; "
              f"a transfer takes {sum(told.each_ms):.1f} ms of the gateways' processor time ({each}) "
              f"and {told.proxy_ms:.1f} ms of the proxy's", flush=True)  # fmt: skip
        if done.completed < done.asked:
            print(f"{done.failed} failed, {done.gone} callers were gone before\n{done.errors[:4000]}", file=sys.stderr)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
