# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench-quick`: prints what a transfer takes, in counts; exit code 1 when any of it is far too much."""

from __future__ import annotations

import asyncio
import sys

from tests.compare.counts import counted, excesses, table
from tests.support import own_network
from tests.support.fetch import programs
from tests.support.processes import Net


async def count() -> int:
    """Count, and tell."""
    with Net() as net:
        each, names = await counted(net)
    print(*table(each, names), sep="\n", flush=True)
    found = excesses(each)
    print(*(f"bench-quick: {one}" for one in found), sep="\n", file=sys.stderr)
    return bool(found)


def main() -> int:
    """In a network of its own, where that can be had."""
    programs()
    ended = own_network.played_in_one("tests.compare.quick", here=own_network.HERE in sys.argv)
    if ended is not None:
        return ended
    return asyncio.run(count())


if __name__ == "__main__":
    sys.exit(main())
