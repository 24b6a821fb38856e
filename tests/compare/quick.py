# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench-quick`: prints what a transfer takes, in counts; exit code 1 when any of it is far too much."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from tests.compare.counts import counted, excesses, table
from tests.support import own_network
from tests.support.fetch import programs
from tests.support.processes import Net

HERE = "--here"


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
    if HERE not in sys.argv and not own_network.allowed():
        return subprocess.call([*own_network.command(), sys.executable, "-m", "tests.compare.quick", HERE])
    return asyncio.run(count())


if __name__ == "__main__":
    sys.exit(main())
