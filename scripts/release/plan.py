# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a version may be released of a tree, and how it differs from the tree: decided from facts, without git."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from scripts.release.changelog import UNRELEASED, released, sections

Number = tuple[int, int, int]
_NUMBER = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})", re.ASCII)


class ReleaseError(Exception):
    """There is no release; the message says why, and what helps."""


@dataclass(frozen=True)
class Facts:
    """What is so in the tree.

    `version` is what the code says that it is; `changes` are the files that differ from the commit; `tags` are all that
    there are, `tags_here` those of this commit.
    """

    version: str
    changelog: str
    changes: Sequence[str]
    tags: Sequence[str]
    tags_here: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """A release: its version and day, CHANGELOG.md as it has it, and whether the commit has all of that already."""

    version: str
    day: date
    changelog: str
    again: bool

    @property
    def tag(self) -> str:
        """What its commit is to be called."""
        return f"v{self.version}"

    @property
    def notes(self) -> str:
        """What changed, in Markdown."""
        return sections(self.changelog)[self.version].body + "\n"

    @property
    def epoch(self) -> int:
        """The time of all that is made of it, in seconds since 1970: the beginning of its day, whenever it is built."""
        return int(datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC).timestamp())


def number(version: str) -> Number | None:
    """The numbers of a version as "1.2.3" (Semantic Versioning 2.0.0, without pre-releases); None: it is none."""
    found = _NUMBER.fullmatch(version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def plan(wanted: str, facts: Facts, today: date) -> Plan:
    """The release `wanted`. Raises ReleaseError where there is to be none."""
    asked = number(wanted)
    if asked is None:
        raise ReleaseError(f"{wanted!r} is no version as 1.2.3: make release VERSION=1.2.3")
    if facts.changes:
        shown = ", ".join(facts.changes[:5]) + (" …" if len(facts.changes) > 5 else "")
        raise ReleaseError(f"the tree differs from its commit ({shown}): commit, or take away, what is there")
    try:
        there = sections(facts.changelog)
    except ValueError as error:
        raise ReleaseError(f"CHANGELOG.md: {error}") from None
    news = there.get(UNRELEASED)
    if news is None:
        raise ReleaseError(f"CHANGELOG.md has no section [{UNRELEASED}]")
    newest = next((name for name in there if name != UNRELEASED), "")
    if wanted == newest == facts.version and news.empty and _nobody_else_is(f"v{wanted}", facts):
        day = there[wanted].day
        if day is None:
            raise ReleaseError(f"CHANGELOG.md names no day for [{wanted}]: ## [{wanted}] - {today.isoformat()}")
        return Plan(wanted, day, facts.changelog, again=True)
    _is_newer(wanted, asked, [name for name in there if name != UNRELEASED], facts)
    if news.empty:
        raise ReleaseError(f"the section [{UNRELEASED}] of CHANGELOG.md is empty: say there what changes for whom")
    return Plan(wanted, today, released(facts.changelog, wanted, today), again=False)


def _nobody_else_is(tag: str, facts: Facts) -> bool:
    return tag in facts.tags_here or tag not in facts.tags


def _is_newer(wanted: str, asked: Number, written: Sequence[str], facts: Facts) -> None:
    """Raise ReleaseError where `wanted` is older than the code says it is, or not newer than all that is released."""
    known = [(name.removeprefix("v"), f"the tag {name}") for name in facts.tags if name.startswith("v")]
    known += [(name, f"CHANGELOG.md's [{name}]") for name in written]
    for name, what in known:
        at = number(name)
        if at is not None and at >= asked:
            raise ReleaseError(f"{wanted} is not newer than {what}")
    code = number(facts.version)
    if code is not None and code > asked:
        raise ReleaseError(f"{wanted} is older than the {facts.version} of gateway/__init__.py")
