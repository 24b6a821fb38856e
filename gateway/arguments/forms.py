# SPDX-License-Identifier: GPL-2.0-or-later
"""What the values of arguments look like; what does not is refused with a word on what would be right."""

import argparse
import re
from datetime import datetime

YEARS = range(1970, 9999)
"""Those in which every zone can tell the time."""
SHORTEST_S, LONGEST_S = 0.5, 3600.0
"""How often a running gateway may be looked at."""
MOST_OF_A_PAGE = 1000
_HASH = re.compile("[0-9a-f]{64}")  # SHA-256


def port(text: str) -> int:
    """A TCP port."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return int(text)


def pid(text: str) -> int:
    """The id of a process."""
    if not text.isascii() or not text.isdigit() or int(text[:20]) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no process that could be a gateway")
    return int(text[:20])


def head(text: str) -> tuple[int, str]:
    """A line of the chain of outcomes: its number and hash."""
    n, _, noted = text.partition(":")
    if not n.isascii() or not n.isdigit() or not _HASH.fullmatch(noted):
        raise argparse.ArgumentTypeError(f"{text} is no number and hash, as chain-head in the log has them: N:HASH")
    return int(n), noted


def time(text: str) -> datetime:
    """A time, with or without a zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.year not in YEARS:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 2026-12-24T18:00 or 2026-12-24T17:00Z")
    return found


def interval(text: str) -> float:
    """Seconds between two looks."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds from {SHORTEST_S:g} to {LONGEST_S:g}")
    return seconds


def limit(text: str) -> int:
    """How many at most."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:5]) <= MOST_OF_A_PAGE):
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to {MOST_OF_A_PAGE}")
    return int(text)
