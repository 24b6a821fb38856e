# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.fuzz`: the fuzzer by hand; exit code 1 when it found something."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz.result import keep
from tests.fuzz.run import Run
from tests.fuzz.sanitized import environment
from tests.support import own_network, tones


def main() -> int:
    """Parse the arguments, play, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--recover", action="store_true", help="it is killed halfway; calls outlive it")
    parser.add_argument("--plain", action="store_true", help="the ordinary binding, without sanitizers")
    parser.add_argument(own_network.HERE, action="store_true", help="in this machine's network")
    chosen = parser.parse_args()
    env = None if chosen.plain else environment()
    # Contacts, Vias and descriptions are made to name any address: nothing of what follows may leave the machine.
    ended = own_network.played_in_one("tests.fuzz", "--seed", str(chosen.seed), here=chosen.here)
    if ended is not None:
        return ended
    print(f"seed {chosen.seed}, {chosen.seconds:.0f} s", flush=True)
    tones.prepare()
    result = asyncio.run(Run(chosen.seed, env, recovers=chosen.recover).play(chosen.seconds))
    print(*result.lines(), sep="\n")
    for fault in result.faults:
        print(f"found: {fault}")
    if result.faults:
        kept = Path(tempfile.gettempdir()) / f"fuzz-{chosen.seed}"
        keep(result, kept)
        print(f"what went out last is in {kept}.latest, what the gateway wrote in {kept}.log")
        print(f"what was said in the dialogs that were left is in {kept}.left")
    return bool(result.faults)


if __name__ == "__main__":
    sys.exit(main())
