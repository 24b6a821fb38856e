# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening hours: when a destination is staffed, by the clock on the wall of its own time zone.

An interval belongs to the day it begins on, also where it ends after midnight: a holiday takes away the intervals that
begin on it, and special hours take the place of those of the week. On the days the clocks change, a place is open
whenever its clock shows a time within its hours.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_LOOK_AHEAD_OPEN = 8  # days: past a week, hours repeat
_LOOK_AHEAD_CLOSED = 60  # days: the longest closure that is looked through for the next opening
_DAY = timedelta(days=1)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Schedule:
    """Weekly opening hours in wall-clock time of one time zone, less holidays and closed days.

    `weekly` gives `[from, to)` by weekday, 0 = Monday; an interval whose `to` is not later than its `from` ends on the
    next day, so that (00:00, 00:00) is the whole day. `special` gives the hours of single dates: they take the place of
    those of the week, and no holiday or closed day takes them away.
    """

    id: str
    time_zone: tzinfo
    weekly: Mapping[int, tuple[tuple[time, time], ...]]
    closed: frozenset[date] = frozenset()
    holiday: Callable[[date], str | None] = field(default=lambda _day: None)  # name of the public holiday, if any
    special: Mapping[date, tuple[tuple[time, time], ...]] = field(default_factory=dict)
    complement_of: str | None = None  # the id of the hours whenever whose place is closed this one is open


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a schedule is open at a moment, and until when that holds."""

    open: bool
    changes_at: datetime | None  # the next closing or opening, in the schedule's zone; None: none in sight
    holiday: str | None  # what closes it on a day it would be open: the holiday's name, or "closed on 24 Dec"
    text: str  # for the trail


def complement(schedule: Schedule) -> Schedule:
    """Open whenever `schedule` is closed: at night, on its holidays and closed days, and not when it is open."""
    return replace(schedule, id=f"!{schedule.id}", complement_of=schedule.id)


def opening(schedule: Schedule, now: datetime) -> Opening:
    """Tell whether `schedule` is open at `now` (aware), and when that changes.

    The next end of opening hours is looked for within 8 days, the next beginning of them within 60.
    """
    if schedule.complement_of is None:
        return _opening(schedule, now)
    theirs = _opening(replace(schedule, id=schedule.complement_of), now)
    text = f"{schedule.id} is {'closed' if theirs.open else 'open'} ({theirs.text})"
    return Opening(not theirs.open, theirs.changes_at, None, text)


def _opening(schedule: Schedule, now: datetime) -> Opening:
    local = now.astimezone(schedule.time_zone)
    is_open = _open_at(schedule, local)
    changes_at = _next_change(schedule, local, is_open)
    holiday = None if is_open else _closing_holiday(schedule, local)
    if is_open:
        text = f"{schedule.id} is open" + (f" until {_moment(changes_at, local)}" if changes_at else "")
    else:
        why = [f"holiday {holiday}" if not holiday.startswith("closed on") else holiday] if holiday else []
        when = [f"opens {_moment(changes_at, local)}"] if changes_at else ["no opening in sight"]
        text = f"{schedule.id} is closed: {', '.join(why + when)}"
    return Opening(is_open, changes_at, holiday, text)


def _intervals(schedule: Schedule, day: date) -> tuple[tuple[time, time], ...]:
    special = schedule.special.get(day)
    return schedule.weekly.get(day.weekday(), ()) if special is None else special


def _closed_for(schedule: Schedule, day: date) -> str | None:
    if day in schedule.special:
        return None
    if day in schedule.closed:
        return f"closed on {day.day} {_MONTHS[day.month - 1]}"
    return schedule.holiday(day)


def _covers(intervals: tuple[tuple[time, time], ...], clock: time, *, next_day: bool) -> bool:
    """Whether the clock shows a time within intervals of its own day, or of the day before that end after midnight."""
    if next_day:
        return any(end <= start and clock < end for start, end in intervals)
    return any(start <= clock and (clock < end or end <= start) for start, end in intervals)


def _open_at(schedule: Schedule, local: datetime) -> bool:
    today, clock = local.date(), local.time()
    yesterday = today - _DAY
    return (_covers(_intervals(schedule, today), clock, next_day=False) and _closed_for(schedule, today) is None) or (
        _covers(_intervals(schedule, yesterday), clock, next_day=True) and _closed_for(schedule, yesterday) is None
    )


def _closing_holiday(schedule: Schedule, local: datetime) -> str | None:
    today = local.date()
    yesterday = today - _DAY
    if _covers(_intervals(schedule, yesterday), local.time(), next_day=True):
        return _closed_for(schedule, yesterday)
    return _closed_for(schedule, today) if _intervals(schedule, today) else None


def _next_change(schedule: Schedule, local: datetime, is_open: bool) -> datetime | None:
    if not any(schedule.weekly.values()) and not schedule.special:
        return None
    days = _LOOK_AHEAD_OPEN if is_open else _LOOK_AHEAD_CLOSED
    now = local.astimezone(UTC)
    for offset in range(-1, days):
        moments = _moments(schedule, local.date() + offset * _DAY)
        for moment in sorted(moment for moment in moments if moment > now):
            there = moment.astimezone(schedule.time_zone)
            if _open_at(schedule, there) is not is_open:
                return there
    return None


def _moments(schedule: Schedule, day: date) -> Iterator[datetime]:
    """The moments, in UTC, at which the schedule may open or close on `day`: its ends and a change of clocks."""
    zone = schedule.time_zone
    clocks = {clock for interval in _intervals(schedule, day) for clock in interval}
    clocks |= {end for start, end in _intervals(schedule, day - _DAY) if end <= start}
    clocks.add(time.min)
    for clock in clocks:
        for fold in (0, 1):  # an hour that comes twice
            yield datetime.combine(day, clock.replace(fold=fold), zone).astimezone(UTC)
    first = datetime.combine(day, time.min, zone).astimezone(UTC)
    last = datetime.combine(day + _DAY, time.min, zone).astimezone(UTC)
    if first.astimezone(zone).utcoffset() != last.astimezone(zone).utcoffset():
        yield _clock_change(zone, first, last)


def _clock_change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The first whole second of the offset that holds at `after`, given one change between the two (UTC)."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _moment(moment: datetime, seen_from: datetime) -> str:
    clock = f"{moment:%H:%M}"
    days = (moment.date() - seen_from.date()).days
    if days == 0:
        return clock
    weekday = _WEEKDAYS[moment.weekday()]
    if days < 7:
        return f"{weekday} {clock}"
    return f"{weekday} {moment.day} {_MONTHS[moment.month - 1]} {clock}"
