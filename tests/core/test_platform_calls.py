# SPDX-License-Identifier: GPL-2.0-or-later
"""What a platform says of its calls: merged in any order, joined where one alone fits, never guessed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.platform_calls import (
    LONGEST,
    TOLERANCE,
    MatchedBy,
    Ours,
    PlatformCall,
    Promise,
    PromisedBy,
    judged,
    match,
    merged,
    of_one,
    promised_by,
)

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ANNA, BEN = frozenset({"+31201112222"}), frozenset({"+31201113333"})


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


CALL = PlatformCall(
    platform="hms",
    call_id="0b7e",
    number="main-line",
    names=ANNA,
    status="ended",
    over=True,
    began_at=after(0),
    ended_at=after(60),
    reported_at=after(61),
)


def ours(seconds: float, names: frozenset[str] = ANNA, until: float | None = None) -> Ours:
    return Ours(id="t1", number="main-line", names=names, since=after(seconds), until=after(until or seconds))


@pytest.mark.parametrize(
    ("mine", "by"),
    [
        (ours(30), MatchedBy.CALLER),
        (ours(30, BEN), None),
        (ours(30, frozenset()), MatchedBy.TIME),
        (replace(ours(30), number="shop"), None),
        (ours(-TOLERANCE.total_seconds()), MatchedBy.CALLER),
        (ours(-TOLERANCE.total_seconds() - 0.1), None),
        (ours(60 + TOLERANCE.total_seconds()), MatchedBy.CALLER),
        (ours(60.1 + TOLERANCE.total_seconds()), None),
        (ours(-600, until=600), MatchedBy.CALLER),
        (ours(-600, until=-300), None),
    ],
    ids=[
        "same caller", "another caller", "caller not known here", "another number", "clocks differ", "too early",
        "clocks differ the other way", "too late", "a call of ours around it", "a call of ours before it",
    ],
)  # fmt: skip
def test_number_caller_and_time_decide(mine: Ours, by: MatchedBy | None) -> None:
    assert match(CALL, mine) is by


def test_a_caller_who_is_known_here_alone_is_somebody_else() -> None:
    assert match(replace(CALL, names=frozenset()), ours(30)) is None


def test_a_call_that_has_not_ended_goes_on_but_not_for_ever() -> None:
    goes_on = PlatformCall(platform="hms", call_id="1", number="main-line", names=ANNA, heard_at=after(0))

    assert match(goes_on, ours(7200)) is MatchedBy.CALLER
    assert match(goes_on, ours(LONGEST.total_seconds() + 31)) is None


def test_a_beginning_that_is_not_told_is_made_of_end_and_duration() -> None:
    told = replace(CALL, began_at=None, duration_s=60)

    assert told.since == after(0)
    assert replace(told, duration_s=None, heard_at=after(5)).since == after(5)
    assert match(replace(told, duration_s=None), ours(30)) is None  # nothing tells when it was


def test_what_fits_several_is_ambiguous() -> None:
    assert of_one({}) is None
    assert of_one({"a": MatchedBy.TIME}) is MatchedBy.TIME
    assert of_one({"a": MatchedBy.CALLER, "b": MatchedBy.TIME}) is MatchedBy.AMBIGUOUS


@pytest.mark.parametrize(
    ("changes", "came", "may_have_come", "settled", "promise"),
    [
        ({}, False, False, True, Promise.NONE),
        ({}, True, True, False, Promise.KEPT),
        ({"promised_by": PromisedBy.SPOKEN}, False, False, False, Promise.PENDING),
        ({"promised_by": PromisedBy.SPOKEN}, True, True, False, Promise.KEPT),
        ({"promised_by": PromisedBy.SPOKEN}, False, False, True, Promise.BROKEN),
        ({"promised_by": PromisedBy.SPOKEN}, False, True, True, Promise.UNCLEAR),
        ({"promised_by": PromisedBy.SPOKEN, "clock_off_s": 31.0}, False, False, True, Promise.UNCLEAR),
        ({"promised_by": PromisedBy.SPOKEN, "began_at": None}, False, False, True, Promise.UNCLEAR),
    ],
)
def test_a_promise_is_broken_only_where_nothing_else_can_be(
    changes: dict[str, object], came: bool, may_have_come: bool, settled: bool, promise: Promise
) -> None:
    call = replace(CALL, **changes)  # type: ignore[arg-type]

    assert judged(call, came=came, may_have_come=may_have_come, settled=settled) is promise


@pytest.mark.parametrize(
    ("status", "reason", "tool", "said", "by"),
    [
        ("transferred", None, False, (), PromisedBy.STATUS),
        ("ended", "assistant_forwarded_call", False, (), PromisedBy.END_REASON),
        ("ended", "user_hangup", False, (), None),
        ("ended", "transfer_failed", False, (), None),
        ("ended", None, True, (), PromisedBy.TOOL_CALL),
        ("ended", None, False, ("Sure. One moment, please!",), PromisedBy.SPOKEN),
        ("ended", None, False, ("ONE  MOMENT\nplease",), PromisedBy.SPOKEN),
        ("ended", None, False, ("One moment.", "Please hold"), None),
        ("ended", None, False, ("everyone moment pleased",), None),
    ],
)
def test_what_says_that_a_transfer_was_promised(
    status: str, reason: str | None, tool: bool, said: tuple[str, ...], by: PromisedBy | None
) -> None:
    spoken = ("One moment please.", "OK", "")

    assert promised_by(status, reason, tool_called=tool, spoken=spoken, said=said) is by


MOMENTS = st.none() | st.sampled_from([after(each) for each in (0, 1, 59, 60, 61)])
REPORTS = st.builds(
    PlatformCall,
    platform=st.just("hms"),
    call_id=st.just("0b7e"),
    number=st.just("main-line"),
    names=st.sampled_from([frozenset(), ANNA]),
    status=st.sampled_from([None, "ringing", "in-progress", "ended", "ended-with-error", "transferred"]),
    over=st.booleans(),
    ended_reason=st.sampled_from([None, "user_hangup", "max_duration"]),
    began_at=MOMENTS,
    ended_at=MOMENTS,
    heard_at=MOMENTS,
    over_at=MOMENTS,
    reported_at=MOMENTS,
    duration_s=st.sampled_from([None, 0.0, 60.0]),
    clock_off_s=st.sampled_from([None, -3.0, 0.1, 3.0, 900.0]),
    promised_by=st.sampled_from([None, *PromisedBy]),
)


@pytest.mark.keeps("19.29")
@given(st.lists(REPORTS, min_size=1, max_size=3), st.data())
def test_reports_tell_the_same_in_any_order_and_however_often(reports: list[PlatformCall], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(reports), max_size=2))

    told = {whole([*order]) for order in itertools.permutations([*reports, *again])}

    assert told == {whole(reports)}


def whole(reports: list[PlatformCall]) -> PlatformCall:
    known = reports[0]
    for report in reports[1:]:
        known = merged(known, report)
    return merged(known, known)
