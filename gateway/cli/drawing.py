# SPDX-License-Identifier: GPL-2.0-or-later
"""The screen of `watch`, drawn with rich, which comes as the extra `watch`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.cli.looks import Section, clock_time, sections
from gateway.cli.output import ASIDE, BAD, DOUBTFUL, GOOD, Line, has_colors, shown
from gateway.cli.status import verdict

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.cli.looks import Look

MOST_PROBLEMS = 5
GAP = 2
LEAST = 12
"""Columns of the terminal in which a text that is cut off still says something."""
_NAMES = {GOOD: "green", BAD: "red", DOUBTFUL: "yellow", ASIDE: "dim"}


class Screen:
    """The whole terminal while it is open; whatever was there comes back when it closes."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        # A size in the environment would be kept when the window gets another one.
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        colors = has_colors(sys.stdout)
        self._console = Console(
            no_color=not colors,
            color_system="auto" if colors else None,
            highlight=False,
            markup=False,
            emoji=False,
            _environ=environment,
        )
        self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stderr=False)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def show(self, found: Look | None, gone_since: datetime | None, why: str) -> None:
        """Draw what was found last and, where nobody has answered since then, that and why."""
        width, height = self._console.size
        self._live.update(Group(*self._lines(found, gone_since, why, width, height)), refresh=True)

    def _lines(
        self, found: Look | None, gone_since: datetime | None, why: str, width: int, height: int
    ) -> Iterator[RenderableType]:
        head: list[Line] = []
        if gone_since is not None:
            head.append(Line(f"not reachable since {clock_time(gone_since)}: {why}", BAD))
        if found is not None:
            if gone_since is None:
                head.append(verdict(found.status))
                head += _problems(found.status["problems"])
            else:
                head.append(Line(f"below is what was found at {clock_time(found.at)}", ASIDE))
        elif gone_since is None:
            head.append(Line("asking", ASIDE))
        foot = f"{clock_time(found.at) if found else '-'}  every {self._interval_s:g} s  q ends"
        yield from (_text(line) for line in head)
        left = height - len(head) - 1
        if found is not None:
            tables = list(sections(found))
            wanted = [len(each.rows) for each in tables]
            has_room = sum(wanted) + 2 * len(tables) <= left
            for each, rows in zip(tables, rows_given(wanted, left - len(tables)), strict=True):
                if has_room:
                    yield Text("")
                yield _table(each, rows, width, faint=gone_since is not None)
        yield Text(foot[:width], style="dim", no_wrap=True)


def rows_given(wanted: Sequence[int], room: int) -> list[int]:
    """How many rows each table gets of `room`, in turn, until none wants more or none is left."""
    given = [0] * len(wanted)
    while room > 0 and any(mine < wants for mine, wants in zip(given, wanted, strict=True)):
        for at, wants in enumerate(wanted):
            if given[at] < wants and room > 0:
                given[at] += 1
                room -= 1
    return given


def _problems(found: Sequence[str]) -> Iterator[Line]:
    yield from (Line(f"  ! {problem}", BAD) for problem in found[:MOST_PROBLEMS])
    if len(found) > MOST_PROBLEMS:
        yield Line(f"  ! and {len(found) - MOST_PROBLEMS} more", BAD)


def _text(line: Line) -> Text:
    return Text(shown(line.text), style=_NAMES.get(line.style, ""), no_wrap=True, overflow="ellipsis")


def _table(section: Section, rows: int, width: int, *, faint: bool) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), expand=True)
    cells = [[shown(cell) for cell in row] for row in section.rows[:rows]]
    head = (titled(section, rows), *(section.head[1:] if cells else ()))
    spared = [section.head.index(name) for name in section.spared] if cells else []
    kept = columns_kept(head, cells, width, spared)
    for at in kept:
        ratio = 1 if at == kept[-1] else None  # it takes the room that is left
        made.add_column(Text(head[at]), header_style="bold dim" if faint else "bold", no_wrap=True, ratio=ratio)
    for row, style in zip(cells, section.styles, strict=False):
        made.add_row(*(Text(row[at]) for at in kept), style="dim" if faint else _NAMES.get(style, ""))
    return made


def titled(section: Section, rows: int) -> str:
    """What stands above the first column: the table's name, with how many there are, and are shown."""
    name = section.head[0]
    if section.total is None:
        return name
    total = max(section.total, len(section.rows))
    return f"{name} ({total})" if total <= rows else f"{name} ({rows} of {total})"


def columns_kept(head: Sequence[str], rows: Sequence[Sequence[str]], width: int, spared: Sequence[int]) -> list[int]:
    """The columns for which there is room, by their positions; of those that can be spared the first goes first."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    kept = list(range(len(head)))
    for position in spared:
        if sum(widths[at] for at in kept) + GAP * (len(kept) - 1) <= width:
            break
        if position == kept[-1] and sum(widths[at] for at in kept[:-1]) + GAP * (len(kept) - 1) + LEAST <= width:
            break  # the last may be cut off
        kept.remove(position)
    return kept
