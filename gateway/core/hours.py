# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening hours: when a destination is staffed, in its own time zone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo


@dataclass(frozen=True, slots=True)
class Schedule:
    """Weekly opening hours in wall-clock time of one time zone, less holidays and closed days."""

    id: str
    time_zone: tzinfo
    weekly: Mapping[int, tuple[tuple[time, time], ...]]  # weekday (0 = Monday) -> [from, to)
    closed: frozenset[date] = frozenset()
    holiday: Callable[[date], str | None] = field(default=lambda _day: None)  # name of the public holiday, if any
