# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws the SIP messages of a call as a ladder, one line a message, with what was decided between them at its time.

A lane for each leg, the gateway between those of the assistant and those of the PBX. Where the lines are too short for
that, each message is told in words instead.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.cli.message_words import words_of
from gateway.cli.output import shown
from gateway.core.message_words import named

Told = Mapping[str, Any]

NARROWEST = 100
"""Columns. In fewer a ladder of three legs has no room for what its messages are."""
NARROWEST_STEP, WIDEST_STEP = 22, 36
"""Between two lanes."""
TIME_WIDTH = 11
_INDENT = TIME_WIDTH + 2


@dataclass(frozen=True, slots=True)
class Signs:
    """What lines are drawn with."""

    lane: str
    line: str
    to_right: str
    to_left: str
    mark: str
    between: str


LINES = Signs("│", "─", "▶", "◀", "■", "→")
ASCII = Signs("|", "-", ">", "<", "*", "->")


def signs_for(encoding: str | None) -> Signs:
    """Those that can be written in this encoding."""
    try:
        "".join(LINES.__getattribute__(name) for name in Signs.__slots__).encode(encoding or "ascii")
    except (UnicodeError, LookupError):
        return ASCII
    return LINES


def ladder(told: Told, since: datetime, width: int, signs: Signs = LINES) -> Iterator[str]:
    """The lines of it: `told` is what `/api/transfers/{id}/messages` tells, `since` what times count from."""
    lanes = _Lanes.of(told, width)
    if lanes is not None:
        yield from lanes.head(signs)
    for at, event in _events(told):
        when = _when(at, since)
        if "what" in event:
            yield from _mark(event, when, width, signs)
        elif lanes is not None:
            yield lanes.row(event, when, signs)
        else:
            yield _words(event, told["legs"], when, width, signs)
    yield from _gaps(told["legs"])


def _events(told: Told) -> list[tuple[datetime, Told]]:
    """Messages and marks in the order of time; a mark of the same moment stands behind its message."""
    events = [(datetime.fromisoformat(each["at"]), each) for each in (*told["messages"], *told["marks"])]
    return sorted(events, key=lambda pair: pair[0])


def _when(at: datetime, since: datetime) -> str:
    return f"{(at - since).total_seconds():+.3f}".rjust(TIME_WIDTH - 2) + " s"


def _mark(mark: Told, when: str, width: int, signs: Signs) -> Iterator[str]:
    head = f"{when}  {signs.mark} "
    text = f"{mark['what']}: {shown(mark['text'])}"
    yield from textwrap.wrap(
        text, max(width, 40), initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    )


def _words(message: Told, legs: Sequence[Told], when: str, width: int, signs: Signs) -> str:
    name = " ".join(_name(legs[message["leg"]], legs))
    one, other = ("gateway", name) if message["sent"] else (name, "gateway")
    return f"{when}  {one} {signs.between} {other}: {words_of(message)}"[: max(width, 40)]


def _gaps(legs: Sequence[Told]) -> Iterator[str]:
    """What is missing."""
    for leg in legs:
        name = " ".join(_name(leg, legs))
        if leg["late"]:
            yield f"  the first messages of {name} had to make room for other calls"
        if leg["left_out"]:
            yield f"  {leg['left_out']} messages of {name} are left out: there were too many"


def _name(leg: Told, legs: Sequence[Told]) -> tuple[str, str]:
    """Who is at its end, and as what."""
    found = named(leg, legs)
    return shown(found["name"]), found["part"]


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Where each lane is; `gateway` is that of our own."""

    names: Mapping[int, tuple[str, str]]  # by column
    columns: Mapping[int, int]  # by the leg's place
    gateway: int

    @classmethod
    def of(cls, told: Told, width: int) -> _Lanes | None:
        """None: they do not fit."""
        legs = told["legs"]
        used = sorted({message["leg"] for message in told["messages"]})
        left = [place for place in used if legs[place]["side"] == "trunk"]
        right = [place for place in used if place not in left]
        steps = len(used)
        if width < NARROWEST or not steps:
            return None
        first = _INDENT + 8
        step = min((width - first - 10) // steps, WIDEST_STEP)
        if step < NARROWEST_STEP:
            return None
        at = {place: first + step * number for number, place in enumerate([*left, -1, *right])}
        names = {at[place]: _name(legs[place], legs) for place in used} | {at[-1]: ("gateway", "")}
        return cls(names, {place: at[place] for place in used}, at[-1])

    def head(self, signs: Signs) -> Iterator[str]:
        """Who each lane is."""
        for row in (0, 1):
            line = ""
            for column, name in sorted(self.names.items()):
                shown = name[row][: NARROWEST_STEP - 2]
                line = line.ljust(column - len(shown) // 2) + shown
            yield line.rstrip()
        yield self._empty("", signs)

    def row(self, message: Told, when: str, signs: Signs) -> str:
        """A message, as an arrow from the lane of its sender."""
        leg = self.columns[message["leg"]]
        low, high = sorted((leg, self.gateway))
        to_right = (self.gateway > leg) is not message["sent"]
        space = high - low - 1
        label = f" {words_of(message)} "
        if len(label) > space - 3:
            label = f"{label[: space - 5]}… " if signs is LINES else f"{label[: space - 6]}.. "
        arrow = label.center(space - 1, signs.line)
        arrow = arrow + signs.to_right if to_right else signs.to_left + arrow
        line = self._empty(when, signs).ljust(high + 1)
        return (line[: low + 1] + arrow + line[high:]).rstrip()

    def _empty(self, when: str, signs: Signs) -> str:
        line = when
        for column in sorted(self.names):
            line = line.ljust(column) + signs.lane
        return line
