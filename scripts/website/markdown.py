# SPDX-License-Identifier: GPL-2.0-or-later
"""Markdown, as the pages of the reference are written; and tables of Markdown, read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_CELL = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"(?<=\]\()(?!https?:)(?P<path>[^)#]*)(?P<anchor>#[^)]*)?(?=\))")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what separates cells is escaped in them."""
    lines = [list(heads), ["---"] * len(heads), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(value: object) -> str:
    """A value as code; empty for none."""
    return f"`{value}`" if value not in (None, "") else ""


def literal(value: Any) -> str:
    """A value as TOML writes it."""
    return json.dumps(value, ensure_ascii=False)


def rows(text: str, heading: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of each table with such a first line: the line of text before the table that names it, and the cells."""
    named, inside = "", False
    for line in text.splitlines():
        if line.startswith("|"):
            inside = inside or line.startswith(heading)
            if inside and not line.startswith((heading, "|---")):
                yield named, [cell.strip().replace("\\|", "|") for cell in _CELL.split(line)[1:-1]]
            continue
        inside = False
        if line.startswith("#") or re.match(r"`\[", line):
            named = line.lstrip("# ")


def moved(text: str, document: str) -> str:
    """Text of that document, such as `docs/events.md`, for a page one directory below the root: its links lead on."""
    directory = document.rpartition("/")[0]

    def link(found: re.Match[str]) -> str:
        path = f"{directory}/{found['path']}" if found["path"] else document
        return f"../{path}{found['anchor'] or ''}"

    return _LINK.sub(link, text)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))
