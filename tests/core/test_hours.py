# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening hours by the clock on the wall."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.hours import Schedule, complement, opening

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NINE_TO_HALF_PAST_FIVE = ((time(9), time(17, 30)),)
OFFICE = Schedule(
    "office",
    AMSTERDAM,
    dict.fromkeys(range(5), NINE_TO_HALF_PAST_FIVE),
    closed=frozenset({date(2026, 12, 24)}),
    holiday={date(2026, 4, 27): "Koningsdag", date(2026, 12, 26): "Tweede Kerstdag"}.get,
)
NIGHT = Schedule("night", AMSTERDAM, {4: ((time(22), time(2)),)}, closed=frozenset({date(2026, 3, 13)}))
FEAST = replace(
    OFFICE,
    id="feast",
    special={date(2026, 12, 24): ((time(12), time(15)),), date(2026, 12, 26): ((time(10), time(16)),)},
)
ALWAYS = Schedule("always", AMSTERDAM, dict.fromkeys(range(7), ((time(0), time(0)),)))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM)


@pytest.mark.parametrize(
    ("schedule", "now", "text"),
    [
        (OFFICE, "2026-03-04T12:00", "office is open until 17:30"),
        (OFFICE, "2026-03-04T09:00", "office is open until 17:30"),
        (OFFICE, "2026-03-04T08:59:59", "office is closed: opens 09:00"),
        (OFFICE, "2026-03-04T17:30", "office is closed: opens Thu 09:00"),
        (OFFICE, "2026-03-06T18:00", "office is closed: opens Mon 09:00"),
        (OFFICE, "2026-04-27T12:00", "office is closed: holiday Koningsdag, opens Tue 09:00"),
        (OFFICE, "2026-12-24T12:00", "office is closed: closed on 24 Dec, opens Fri 09:00"),
        (OFFICE, "2026-12-26T12:00", "office is closed: opens Mon 09:00"),  # a Saturday is closed in any case
        (NIGHT, "2026-03-06T23:00", "night is open until Sat 02:00"),
        (NIGHT, "2026-03-07T01:59", "night is open until 02:00"),
        (NIGHT, "2026-03-07T02:00", "night is closed: opens Fri 20 Mar 22:00"),
        (NIGHT, "2026-03-14T01:00", "night is closed: closed on 13 Mar, opens Fri 22:00"),
        (FEAST, "2026-12-26T11:00", "feast is open until 16:00"),  # a Saturday, and a holiday
        (FEAST, "2026-12-26T09:00", "feast is closed: opens 10:00"),
        (FEAST, "2026-12-24T13:00", "feast is open until 15:00"),  # closed otherwise
        (FEAST, "2026-12-25T18:00", "feast is closed: opens Sat 10:00"),
        (FEAST, "2026-12-27T01:00", "feast is closed: opens Mon 09:00"),
        (Schedule("fair", AMSTERDAM, {}, special=FEAST.special), "2026-12-20T12:00", "fair is closed: opens Thu 12:00"),
        (ALWAYS, "2026-03-04T00:00", "always is open"),
        (complement(OFFICE), "2026-03-04T12:00", "!office is closed (office is open until 17:30)"),
        (complement(OFFICE), "2026-03-04T17:30", "!office is open (office is closed: opens Thu 09:00)"),
        (
            complement(OFFICE),
            "2026-04-27T12:00",
            "!office is open (office is closed: holiday Koningsdag, opens Tue 09:00)",
        ),
        (
            complement(OFFICE),
            "2026-12-24T12:00",
            "!office is open (office is closed: closed on 24 Dec, opens Fri 09:00)",
        ),
        (complement(FEAST), "2026-12-26T11:00", "!feast is closed (feast is open until 16:00)"),
        (complement(ALWAYS), "2026-03-04T12:00", "!always is closed (always is open)"),
        (Schedule("never", AMSTERDAM, {}), "2026-03-04T12:00", "never is closed: no opening in sight"),
    ],
)
def test_what_the_trail_says(schedule: Schedule, now: str, text: str) -> None:
    assert opening(schedule, at(now)).text == text


def test_the_time_zone_is_the_schedules_own() -> None:
    new_york = Schedule("us", ZoneInfo("America/New_York"), {2: NINE_TO_HALF_PAST_FIVE})
    assert opening(new_york, datetime(2026, 3, 4, 14, 0, tzinfo=UTC)).open
    assert not opening(new_york, datetime(2026, 3, 4, 13, 59, tzinfo=UTC)).open


def test_the_next_opening_is_a_moment_not_a_clock_reading() -> None:
    """Between Friday evening and Monday morning lie 62 hours when the clocks go forward."""
    opens_at = opening(OFFICE, at("2026-03-27T18:00")).changes_at
    assert opens_at == at("2026-03-30T09:00")
    assert opens_at.astimezone(UTC) - at("2026-03-27T18:00").astimezone(UTC) == timedelta(hours=62)


def test_an_hour_that_does_not_come_opens_when_the_clock_has_passed_it() -> None:
    early = Schedule("early", AMSTERDAM, {6: ((time(2, 30), time(5)),)})
    found = opening(early, at("2026-03-29T01:00"))
    assert found.changes_at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00 in Amsterdam
    assert opening(early, found.changes_at).open


def test_an_hour_that_comes_twice_counts_both_times() -> None:
    early = Schedule("early", AMSTERDAM, {6: ((time(2), time(2, 30)),)})
    moments = []
    now = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
    for _ in range(4):
        found = opening(early, now)
        assert found.changes_at is not None
        now = found.changes_at.astimezone(UTC)
        moments.append(f"{now:%H:%M}")
    assert moments == ["00:00", "00:30", "01:00", "01:30"]


TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
INTERVALS = st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=2).map(tuple)
# Half of them near a change of clocks in one of the zones.
DATES = st.dates(date(2026, 3, 1), date(2026, 11, 30)) | st.sampled_from(
    [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 4), date(2026, 10, 25), date(2026, 11, 1)]
)
SCHEDULES = st.builds(
    Schedule,
    st.just("any"),
    st.sampled_from([AMSTERDAM, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")]),
    st.dictionaries(st.integers(0, 6), INTERVALS, max_size=7),
    st.frozensets(DATES, max_size=5),
    special=st.dictionaries(DATES, INTERVALS, max_size=3),
)
MOMENTS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30), timezones=st.just(UTC)) | st.builds(  # noqa: DTZ001 - bounds
    lambda day, minutes: datetime.combine(day, time(), UTC) + timedelta(minutes=minutes), DATES, st.integers(-720, 2160)
)


def clock_is_within(schedule: Schedule, now: datetime) -> bool:
    """The rule in its plainest form: the clock on the wall shows a time that the notice on the door names."""
    local = now.astimezone(schedule.time_zone)
    minute = local.hour * 60 + local.minute
    for days_ago in (0, 1):
        day = local.date() - timedelta(days=days_ago)
        if day in schedule.closed and day not in schedule.special:
            continue
        for start, end in schedule.special.get(day, schedule.weekly.get(day.weekday(), ())):
            begins, ends = start.hour * 60 + start.minute, end.hour * 60 + end.minute
            if begins <= minute + days_ago * 1440 < (ends if ends > begins else ends + 1440):
                return True
    return False


@pytest.mark.thorough
@given(SCHEDULES, MOMENTS)
def test_open_is_what_the_clock_and_the_notice_say(schedule: Schedule, now: datetime) -> None:
    assert opening(schedule, now).open is clock_is_within(schedule, now)


@pytest.mark.thorough
@given(SCHEDULES, MOMENTS)
def test_one_is_open_whenever_the_other_is_not(schedule: Schedule, now: datetime) -> None:
    found, other = opening(schedule, now), opening(complement(schedule), now)
    assert (other.open, other.changes_at, other.holiday) == (not found.open, found.changes_at, None)


@pytest.mark.thorough
@settings(max_examples=60)
@given(SCHEDULES, MOMENTS)
def test_nothing_changes_before_the_next_change(schedule: Schedule, now: datetime) -> None:
    found = opening(schedule, now)
    end = found.changes_at or now + timedelta(days=6)
    assert end > now
    assert found.changes_at is None or opening(schedule, end).open is not found.open
    step = max((end - now) / 200, timedelta(minutes=1))
    moment = now
    while moment < end:
        assert clock_is_within(schedule, moment) is found.open
        moment += step


@pytest.mark.thorough
@given(SCHEDULES, MOMENTS)
def test_it_is_never_closed_without_a_next_opening_unless_hours_are_none(schedule: Schedule, now: datetime) -> None:
    found = opening(schedule, now)
    # Special hours may take the place of every opening for as long as is looked ahead.
    if not found.open and any(schedule.weekly.values()) and not schedule.special:
        assert found.changes_at is not None
