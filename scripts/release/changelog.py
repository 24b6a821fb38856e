# SPDX-License-Identifier: GPL-2.0-or-later
"""CHANGELOG.md as Keep a Changelog 1.1.0 has it: `## [Unreleased]`, then each release, the newest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

UNRELEASED = "Unreleased"
_HEADING = re.compile(r"^## \[([^\]\n]+)\](?: - (\d{4}-\d{2}-\d{2}))?[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """What changed in one release: `body` is Markdown without the heading; `day` is None before it was released."""

    name: str
    day: date | None
    body: str

    @property
    def empty(self) -> bool:
        """Whether it tells of no change, whatever headings it has."""
        return not any(line.strip() and not line.startswith("#") for line in self.body.splitlines())


def sections(text: str) -> dict[str, Section]:
    """The sections by name, in their order. Raises ValueError where a day is none of the calendar."""
    headings = list(_HEADING.finditer(text))
    edges = [*(heading.start() for heading in headings), len(text)]
    found = {}
    for heading, end in zip(headings, edges[1:], strict=True):
        name, day = heading.groups()
        found[name] = Section(name, date.fromisoformat(day) if day else None, text[heading.end() : end].strip())
    return found


def released(text: str, version: str, day: date) -> str:
    """The same text, in which what was unreleased is the section of `version`, and nothing is unreleased."""
    heading = f"## [{UNRELEASED}]"
    before, found, after = text.partition(f"{heading}\n")
    if not found:
        raise ValueError(f"there is no line {heading}")
    return f"{before}{heading}\n\n## [{version}] - {day.isoformat()}\n{after}"
