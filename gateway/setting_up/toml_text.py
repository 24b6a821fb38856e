# SPDX-License-Identifier: GPL-2.0-or-later
"""Values as TOML, for files that people read and edit."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def value(given: object) -> str:
    """A value on one line."""
    match given:
        case bool():
            return "true" if given else "false"
        case int() | float():
            return str(given)
        case Mapping():
            return "{ " + ", ".join(f"{key(str(name))} = {value(one)}" for name, one in given.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(value(one) for one in given) + "]"
        case date():
            return value(given.isoformat())
    # DEL is the one control character that JSON leaves as it is and TOML does not allow.
    return json.dumps(str(given), ensure_ascii=False).replace("\u007f", "\\u007f")


def key(name: str) -> str:
    """A key, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else value(name)


def lines(entries: Iterable[tuple[str, object, str]]) -> str:
    """Keys, values and what is said of them; a value of None is left out, one with a comment has it in a column."""
    text = ""
    for name, given, comment in entries:
        if given is not None:
            line = f"{key(name)} = {value(given)}"
            text += with_comment(line, comment) if comment else f"{line}\n"
    return text


def with_comment(line: str, said: str) -> str:
    """A line, and in a column beside it what is said of it."""
    return f"{line:<41} # {said}\n"


def comment(text: str, width: int = 116) -> str:
    """A text as comment lines."""
    made, line = "", "#"
    for word in "".join(each if each.isprintable() else " " for each in text).split():
        if len(line) + 1 + len(word) > width and line != "#":
            made, line = f"{made}{line}\n", "#"
        line += f" {word}"
    return f"{made}{line}\n"
