# SPDX-License-Identifier: GPL-2.0-or-later
"""What the system says is wrong, for people."""

import re

_NUMBER = re.compile(r"^\[Errno -?[0-9]+\] ")


def in_words(error: BaseException) -> str:
    """The error's own words without the system's number: "Connection refused", or its kind where it has none."""
    return _NUMBER.sub("", str(error)) or type(error).__name__


def unreadable(error: OSError, user: int) -> str:
    """Why `user`, by its number, cannot read a file, whose name the reader knows."""
    needs = f"; user {user} has to be let read it" if isinstance(error, PermissionError) else ""
    return f"can't be read: {error.strerror}{needs}"


def with_remedy(words: str) -> str:
    """The words of an error at a start, and what to do where a program holds the port: on many hosts the PBX."""
    if not words.lower().endswith("address already in use"):
        return words
    return f"{words}; another program has that port, as `ss -lntup` says: one of the two needs another"
