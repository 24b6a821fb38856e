# SPDX-License-Identifier: GPL-2.0-or-later
"""What is printed: tables and JSON, with colours where somebody sees them, and nothing that steers a terminal."""

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

GOOD, BAD, DOUBTFUL, TITLE, ASIDE = "32", "31", "33", "1", "2"
"""Styles, as a terminal names them (ECMA-48, 8.3.117): green, red, yellow, bold, faint."""
PLAIN = ""
# Control characters, and those that have text run the other way: who calls chooses what stands in a trail.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NARROWEST = 20  # columns beside a label, or in a table's last
_INDENT = 4

_choice = "auto"


class Line(NamedTuple):
    """A line of a page: what it tells, how it is shown, and the label before it; None: it begins at the margin."""

    text: str
    style: str = PLAIN
    label: str | None = None


def choose_colors(choice: str) -> None:
    """Take what --color says: auto, always or never."""
    global _choice  # noqa: PLW0603 - one terminal, and one choice
    _choice = choice


def has_colors(stream: IO[str]) -> bool:
    """Whether what is written there may be coloured (no-color.org)."""
    if _choice != "auto":
        return _choice == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return stream.isatty()


def painted(text: str, style: str, stream: IO[str] | None = None) -> str:
    """The text in a style, where there are colours."""
    stream = stream or sys.stdout
    return f"\x1b[{style}m{text}\x1b[0m" if style and text and stream and has_colors(stream) else text


def shown(text: object) -> str:
    r"""A text in one line, as a terminal may be given it: what would steer it is written out, such as `\x1b`."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def say(text: object, style: str = PLAIN) -> None:
    """Print a line."""
    print(painted(shown(text), style))


def say_all(lines: Iterable[object]) -> None:
    """Print lines."""
    for line in lines:
        say(line)


def print_json(document: object, *, indent: int | None = None) -> None:
    """Print a document for programs; in its texts, too, nothing steers a terminal."""
    has_all = (sys.stdout.encoding if sys.stdout else "").lower() in {"utf-8", "utf8"}
    text = json.dumps(document, ensure_ascii=not has_all, indent=indent)
    print("\n".join(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", line) for line in text.split("\n")))


def print_page(lines: Iterable[Line], label_width: int) -> None:
    """Print a page: no wider than the terminal, where there is one."""
    for text, style, label in laid_out(lines, label_width, columns()):
        margin = "" if label is None else f"{label:<{label_width}}"
        print(f"{painted(margin, TITLE if label else PLAIN)}{painted(text, style)}")


def laid_out(lines: Iterable[Line], label_width: int, width: int | None) -> Iterator[Line]:
    """The lines, each in so many that none is wider than `width` columns; None: as they are."""
    for text, style, label in lines:
        whole, margin = shown(text), 0 if label is None else label_width
        label = None if label is None else shown(label)  # noqa: PLW2901 - the same label, to be seen
        if width is None or len(whole) <= width - margin:
            yield Line(whole, style, label)
            continue
        own = len(whole) - len(whole.lstrip())
        room = max(width - margin, _NARROWEST)
        for part in textwrap.wrap(whole, room, subsequent_indent=" " * (own + 2), break_on_hyphens=False):
            yield Line(part, style, label)
            label = "" if label is not None else None  # noqa: PLW2901 - only the first line has it


def columns() -> int | None:
    """How wide the terminal is; None: there is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def print_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: its head, and its rows below. On a terminal the last column is as wide as there is room."""
    cells = [[shown(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for at, row in enumerate(cells):
        before = "".join(f"{cell:<{width}}  " for cell, width in zip(row[:-1], widths[:-1], strict=True))
        for line in _last_column(before, row[-1], columns()):
            print(painted(line.rstrip(), PLAIN if at else TITLE))


def _last_column(before: str, text: str, width: int | None) -> Iterator[str]:
    """A row whose last cell takes more lines, each below its beginning; where that is too far right, further left."""
    if width is None or len(before) + len(text) <= width:
        yield before + text
        return
    if (room := width - len(before)) < _NARROWEST:
        yield before
        before, room = " " * _INDENT, max(width - _INDENT, _NARROWEST)
    for part in textwrap.wrap(text, room, break_on_hyphens=False):
        yield before + part
        before = " " * len(before)


def print_table(table: Mapping[str, Any], indent: str = "") -> None:
    """Names and values, what stands within another value indented."""
    width = max((len(key) for key in table), default=0)
    for key, value in table.items():
        if isinstance(value, dict) and value:
            say(f"{indent}{key}")
            print_table(value, f"{indent}  ")
        else:
            say(f"{indent}{key:<{width}}  {_cell(value)}")


def _cell(value: object) -> str:
    match value:
        case True | False:
            return "yes" if value else "no"
        case None | {} | []:
            return "-"
        case list():
            return ", ".join(_cell(each) for each in value)
        case dict():
            return " ".join(f"{key}={_cell(each)}" for key, each in value.items())
    return str(value)
