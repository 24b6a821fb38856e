# SPDX-License-Identifier: GPL-2.0-or-later
"""`make model`: explores, and prints how much there is; and how it came to what does not hold, with exit code 1."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.model import tables
from tests.model.explore import BrokenError, explore
from tests.model.moves import Scope

SCOPES = {
    "transfer": Scope(commands=False),  # one call, and one transfer of it
    "early": Scope(commands=False, early=True),  # whose platform is told of its end before there is one
    "commands": Scope(),  # and somebody who cancels it, or ends the call
    "invite": Scope(invites=True),  # one that the trunk asks for by INVITE
    "asked": Scope(asks=True),  # and who answers has to take the call by a key
    "kept": Scope(transfers=2, keeps=True, commands=False),  # whose place is kept past the deadline, and taken up
    "called back": Scope(calls=0, calls_back=True),  # a caller who has hung up, by who has to take it by a key
    "again": Scope(transfers=2, commands=False),
    "replaced": Scope(replacements=1, commands=False),  # a leg comes in the place of another
    "two": Scope(calls=2, commands=False),  # attended transfers among them
}
CHUNK = 32


def main() -> int:
    """Parse the arguments, explore, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--depth", type=int, default=8, help="moves from the beginning (8)")
    parser.add_argument("--scopes", type=lambda text: text.split(","), default=list(SCOPES), help=", ".join(SCOPES))
    chosen = parser.parse_args()
    seen: set[tables.Cell] = set()
    print("| scope | depth | states | moves | nothing beyond | s |\n|---|---:|---:|---:|---|---:|")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name in chosen.scopes:
            begun = time.monotonic()
            try:
                found = explore(SCOPES[name], chosen.depth, partial(pool.map, chunksize=CHUNK))
            except BrokenError as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            seen |= found.cells.keys()
            row = (name, len(found.states) - 1, sum(found.states), found.moves, "yes" if found.complete else "no")
            print(f"| {' | '.join(f'{one:,}' if isinstance(one, int) else one for one in row)} | "
                  f"{time.monotonic() - begun:.0f} |", flush=True)  # fmt: skip
    for line in tables.told(seen):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
