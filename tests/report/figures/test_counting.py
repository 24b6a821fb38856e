# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures are what a plain count of the same transfers gives, and a percentile is one of the times that were."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.outcome import Outcome, Reason
from gateway.report.figures.counting import Closed, Counting, Figures, Rung, Unreached, percentile
from gateway.report.history.keys import first_key
from gateway.report.history.questions import Overview

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=AMSTERDAM)


def row(
    reason: Reason = Reason.ANSWERED, *, at: datetime = NOON, human_ms: int | None = None, **changes: Any
) -> Overview:
    made = Overview(
        at=first_key(at), number="main", trunk="hms", pbx="asterisk", entry="refer", destination="sales",
        outcome=reason.outcome.value, reason=reason.value, decided_ms=1, ringing_ms=None, answered_ms=None,
        human_ms=human_ms, ended_ms=9, returned=0,
    )  # fmt: skip
    return made._replace(**changes)


def count(*rows: Overview, by: str | None = None) -> Counting:
    made = Counting(lambda _number, _destination: AMSTERDAM, by)  # type: ignore[arg-type]
    for each in rows:
        made.add(each)
    return made


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from([reason for reason in Reason if reason is not Reason.ACCEPTED]),
        at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
        human_ms=st.none() | st.integers(-5, 2**40),
        destination=st.sampled_from(("sales", "desk", "")),
        returned=st.sampled_from((0, 1)),
    )
)


@given(ROWS, st.sampled_from((None, "destination", "hour", "reason")))
def test_everybody_who_asked_is_counted_once(rows: list[Overview], by: str | None) -> None:
    counting = count(*rows, by=by)
    total = counting.total
    assert total.asked == len(rows) == total.reasons.total()
    parts = [[each.reached, each.unknown, each.refused, each.lost, each.failed, each.interrupted]
             for each in (total, *(figures for _, figures in counting.groups))]  # fmt: skip
    assert sum(parts[0]) == total.asked
    assert total.reached == sum(each.human_ms is not None for each in rows) == len(total.waits_ms)
    assert total.lost == sum(each.human_ms is None and each.outcome == Outcome.ABANDONED for each in rows)
    assert total.returned == sum(each.returned for each in rows)
    if by:
        assert [sum(column) for column in zip(*parts[1:], strict=True)] == (parts[0] if rows else [])


def test_completed_is_not_reached_where_nothing_tells_of_a_person() -> None:
    total = count(row(), row(human_ms=4000)).total
    assert (total.asked, total.reached, total.unknown) == (2, 1, 1)


def test_a_clock_that_was_set_back_makes_nobody_wait_for_less_than_nothing() -> None:
    assert list(count(row(human_ms=-3)).total.waits_ms) == [0]


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_that_so_many_do_not_exceed(waits: list[int], percent: int) -> None:
    found = percentile(waits, percent)
    assert found == min(each for each in waits if sum(one <= each for one in waits) * 100 >= percent * len(waits))
    assert found == sorted(waits)[math.ceil(percent * len(waits) / 100) - 1]


def test_of_nobody_there_is_no_percentile() -> None:
    assert percentile([], 95) is None


def test_within_holds_the_limit_itself() -> None:
    figures = Figures()
    for wait in (179_999, 180_000, 180_001):
        figures.add(row(human_ms=wait))
    assert figures.within(180_000) == 2


def test_hours_are_those_on_the_wall_in_summer_and_in_winter() -> None:
    summer = datetime(2026, 7, 1, 7, 30, tzinfo=UTC)
    winter = datetime(2026, 12, 1, 7, 30, tzinfo=UTC)
    groups = dict(count(row(at=summer), row(at=winter), row(at=winter), by="hour").groups)
    assert {group.hour: figures.asked for group, figures in groups.items()} == {"08:00": 2, "09:00": 1}


def test_the_hour_in_which_the_clock_goes_back_is_told_twice_the_same() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    counting = count(row(at=first), row(at=first + timedelta(hours=1)), by="hour")
    assert [(group.hour, figures.asked) for group, figures in counting.groups] == [("02:00", 2)]


def test_who_is_asked_for_when_closed_is_told_by_the_hour() -> None:
    late = NOON.replace(hour=19)
    counting = count(row(Reason.OUTSIDE_HOURS, at=late), row(Reason.HOLIDAY), row(Reason.OUTSIDE_HOURS, at=late))
    assert counting.closed == [Closed("main", "sales", 3, {"12:00": 1, "19:00": 2})]
    assert counting.unreached == []


def test_whom_nobody_reaches_is_told_with_the_reasons() -> None:
    counting = count(
        row(Reason.NO_ANSWER, destination="desk"),
        row(Reason.BUSY, destination="desk"),
        row(Reason.NO_ANSWER, destination="desk"),
        row(Reason.NO_ANSWER),
        row(human_ms=1),
        row(Reason.BUSY, destination="voicemail"),
        row(destination="voicemail"),  # completed: it may have been a person
        row(Reason.UNKNOWN_DESTINATION, destination=""),
    )
    assert counting.unreached == [Unreached("main", "desk", 3, {"no-answer": 2, "busy": 1})]


def test_a_hunt_counts_once_and_for_each_destination_that_it_rang() -> None:
    tried = (("desk", "no-answer"), ("sales", "busy"), ("support", "answered"))
    counting = count(
        row(destination="support", human_ms=9000, hunt=tried),
        row(Reason.BUSY, destination="sales", hunt=tried[:2]),
        row(Reason.CALLER_HUNG_UP, destination="sales", hunt=(("desk", "no-answer"), ("sales", "caller-hung-up"))),
        row(destination="sales", human_ms=4000),
        row(Reason.NO_ANSWER, destination="desk"),
        row(Reason.AGENTS_BUSY, destination="support"),
        row(Reason.OUTSIDE_HOURS, destination="desk"),
        by="destination",
    )
    assert counting.total.asked == 7
    assert {group.destination: figures.asked for group, figures in counting.groups} == {
        "sales": 3, "support": 2, "desk": 2,
    }  # fmt: skip
    assert counting.rung == [
        Rung("main", "desk", 4, 4, 0, {"no-answer": 4}),
        Rung("main", "sales", 4, 0, 1, {"busy": 2, "caller-hung-up": 1, "answered": 1}),
        Rung("main", "support", 1, 0, 1, {"answered": 1}),
    ]
    # Nobody was ever reached at the desk, though hunts went on from there.
    assert counting.unreached == [Unreached("main", "desk", 4, {"no-answer": 4})]


def test_who_answered_at_the_end_of_a_hunt_may_have_been_a_machine() -> None:
    counting = count(row(destination="sales", hunt=(("desk", "no-answer"), ("sales", "answered"))))
    assert [(one.destination, one.reached) for one in counting.rung] == [("desk", 0), ("sales", 0)]
    assert [one.destination for one in counting.unreached] == ["desk"]
