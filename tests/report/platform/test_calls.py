# SPDX-License-Identifier: GPL-2.0-or-later
"""The calls of platforms and ours, joined as they come: once, late, twice, after a kill, never."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.model import TransferId
from gateway.core.platform_calls import LONGEST, SETTLES, TOLERANCE, MatchedBy, PlatformCall, Promise, PromisedBy
from gateway.report.event import platform_call_event, read_platform_call, write
from gateway.report.platform import calls as module
from gateway.report.platform.calls import KEPT, PlatformCalls
from tests.bench.clock import VirtualClock
from tests.report import samples

if TYPE_CHECKING:
    from gateway.core.record import PlatformCallRecord, TransferRecord

ANNA, BEN = "+31201112222", "+31201113333"
OWN = "+31201234567"


@dataclass
class Watched:
    """The registry, and what it has published and counted."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(samples.START))
    published: list[PlatformCallRecord] = field(default_factory=list)
    counted: list[PlatformCallRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.calls = PlatformCalls(self.clock, self.published.append, self.counted.append, lambda caller: (caller,))
        self.calls.configure(active=True, own=(OWN,))

    @property
    def now(self) -> datetime:
        return self.clock.now().wall

    def settle(self) -> None:
        self.clock.advance(SETTLES.total_seconds())


@pytest.fixture
def watched() -> Watched:
    return Watched()


def report(call_id: str = "one", since: float = 0, until: float | None = 60, **changes: object) -> PlatformCall:
    made = PlatformCall(
        platform="hms",
        call_id=call_id,
        number="main-line",
        caller=ANNA,
        status="in-progress" if until is None else "ended",
        over=until is not None,
        heard_at=samples.after(since),
        began_at=samples.after(since),
        ended_at=None if until is None else samples.after(until),
        clock_off_s=0.1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def transfer(at: float = 30, which: str = "t1", **changes: object) -> TransferRecord:
    return replace(samples.requested(which), requested_at=samples.after(at), **changes)  # type: ignore[arg-type]


def test_a_transfer_says_what_the_platform_has_told_by_then(watched: Watched) -> None:
    watched.calls.told(report(until=None))

    view = watched.calls.transfer(transfer())

    assert view is not None
    assert (view.call_id, view.matched_by, view.status, view.ended_reason) == ("one", "caller", "in-progress", None)
    assert watched.published == []  # it goes on


def test_the_end_of_a_call_is_published_with_its_transfers(watched: Watched) -> None:
    for at, which in ((30, "t1"), (40, "t2")):
        watched.calls.transfer(transfer(at, which))

    watched.calls.told(report(ended_reason="user_hangup"))
    watched.settle()

    [told] = watched.published
    assert [(one.transfer, one.matched_by) for one in told.transfers] == [("t1", "caller"), ("t2", "caller")]
    assert (told.promise, told.ended_reason) == (Promise.KEPT, "user_hangup")
    assert watched.counted == [told]
    view = watched.calls.view("t1")
    assert view is not None
    assert view.ended_reason == "user_hangup"


def test_a_report_that_comes_twice_changes_nothing(watched: Watched) -> None:
    watched.calls.transfer(transfer())
    watched.calls.told(report())
    watched.clock.advance(20)
    watched.calls.told(report(clock_off_s=20.1))
    watched.settle()
    watched.calls.told(report(clock_off_s=60.1))

    assert len(watched.published) == len(watched.counted) == 1


def test_a_transfer_that_comes_after_the_report_keeps_its_promise(watched: Watched) -> None:
    watched.calls.told(report(promised_by=PromisedBy.SPOKEN))
    watched.clock.advance(5)
    watched.calls.transfer(transfer(65))
    watched.settle()

    assert [told.promise for told in watched.published] == [Promise.PENDING, Promise.KEPT]
    assert [told.promise for told in watched.counted] == [Promise.KEPT]


@pytest.mark.keeps("19.28")
def test_a_promised_transfer_that_never_came_is_told_and_counted_once(watched: Watched) -> None:
    watched.calls.transfer(transfer(caller=BEN))
    watched.calls.told(report(promised_by=PromisedBy.END_REASON))
    watched.settle()
    watched.clock.advance(KEPT.total_seconds())

    assert [told.promise for told in watched.published] == [Promise.PENDING, Promise.BROKEN]
    assert [told.promise for told in watched.counted] == [Promise.BROKEN]


@pytest.mark.keeps("19.29")
def test_two_calls_of_one_caller_at_a_time_are_not_told_apart(watched: Watched) -> None:
    watched.calls.told(report("one", promised_by=PromisedBy.SPOKEN))
    watched.calls.told(report("two", 10, 70, promised_by=PromisedBy.SPOKEN))
    view = watched.calls.transfer(transfer())
    watched.settle()

    assert view is not None
    assert (view.call_id, view.matched_by, view.candidates) == (None, MatchedBy.AMBIGUOUS, 2)
    assert {told.promise for told in watched.counted} == {Promise.UNCLEAR}
    last = {told.call_id: told for told in watched.published}
    assert all(told.transfers[0].matched_by is MatchedBy.AMBIGUOUS for told in last.values())


def test_a_later_report_makes_what_was_joined_ambiguous(watched: Watched) -> None:
    watched.calls.transfer(transfer())
    watched.calls.told(report("one"))
    watched.calls.told(report("two", 10, 70))

    assert [(told.call_id, told.transfers[0].matched_by) for told in watched.published] == [
        ("one", MatchedBy.CALLER),
        ("one", MatchedBy.AMBIGUOUS),
        ("two", MatchedBy.AMBIGUOUS),
    ]


@pytest.mark.parametrize("caller", [None, OWN], ids=["withheld", "the number's own"])
def test_a_transfer_without_its_caller_is_joined_by_time_alone(watched: Watched, caller: str | None) -> None:
    watched.calls.told(report())

    view = watched.calls.transfer(transfer(caller=caller))

    assert view is not None
    assert view.matched_by is MatchedBy.TIME


def test_a_report_that_comes_late_again_after_a_kill_puts_no_clock_in_doubt(watched: Watched) -> None:
    watched.calls.told(report(promised_by=PromisedBy.SPOKEN))
    again = Watched(watched.clock)
    again.calls.recall(watched.published[0])
    again.calls.told(report(promised_by=PromisedBy.SPOKEN, clock_off_s=120.0))
    again.settle()

    assert [(told.promise, told.clock_off_s) for told in again.published] == [(Promise.BROKEN, None)]


def test_clocks_that_differ_too_much_break_no_promise(watched: Watched) -> None:
    watched.calls.told(report(promised_by=PromisedBy.SPOKEN, clock_off_s=TOLERANCE.total_seconds() + 1))
    watched.settle()

    assert [told.promise for told in watched.counted] == [Promise.UNCLEAR]


def test_after_a_kill_a_promise_is_judged_and_nothing_told_twice(watched: Watched) -> None:
    watched.calls.transfer(transfer(caller=BEN))
    watched.calls.told(report(promised_by=PromisedBy.SPOKEN))
    stored = read_platform_call(write(platform_call_event("pbx-1", watched.published[0], watched.now))[0])
    watched.clock.advance(10)
    again = Watched(watched.clock)

    again.calls.recall(stored)
    again.calls.transfer(transfer(caller=BEN))
    again.calls.told(report(promised_by=PromisedBy.SPOKEN))
    assert again.published == []
    again.settle()

    assert [told.promise for told in again.published] == [Promise.BROKEN]
    assert [told.promise for told in again.counted] == [Promise.BROKEN]


def test_after_a_kill_what_was_joined_stays_joined(watched: Watched) -> None:
    watched.calls.transfer(transfer())
    watched.calls.told(report())
    again = Watched(watched.clock)
    again.calls.recall(watched.published[-1])
    again.calls.told(report(ended_reason="user_hangup"))

    [told] = again.published
    assert [one.transfer for one in told.transfers] == ["t1"]
    assert told.promise is Promise.KEPT


@pytest.mark.parametrize("kept", ["+31…22", "hmac:0123456789abcdef01234567"])
def test_a_caller_who_is_known_no_more_breaks_no_promise(watched: Watched, kept: str) -> None:
    watched.calls.told(report(promised_by=PromisedBy.SPOKEN))
    again = Watched(watched.clock)
    again.calls.recall(replace(watched.published[0], caller=kept))
    again.settle()

    expected = Promise.UNCLEAR if "…" in kept else Promise.BROKEN  # by a hash they are known
    assert [told.promise for told in again.counted] == [expected]


def test_the_same_is_told_with_the_same_event_id(watched: Watched) -> None:
    watched.calls.told(report())
    [told] = watched.published

    ids = {platform_call_event("pbx-1", each, watched.now)["id"] for each in (told, replace(told))}

    assert len(ids) == 1
    assert platform_call_event("pbx-1", replace(told, error="x"), watched.now)["id"] not in ids


def test_another_platform_with_the_same_call_id_has_a_call_of_its_own(watched: Watched) -> None:
    watched.calls.told(report())
    watched.calls.told(report(platform="other", caller=BEN, status="failed"))

    assert len({told.id for told in watched.published}) == 2
    assert [told.status for told in watched.published] == ["ended", "failed"]


def test_a_platform_that_reports_without_end_pushes_out_its_own_alone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CALLS", 3)
    watched.calls.told(report("mine", until=None))
    for number in range(10):
        watched.calls.told(report(f"flood-{number}", until=None, platform="other"))

    assert watched.calls.knows("hms", "mine")
    assert [watched.calls.knows("other", f"flood-{number}") for number in range(10)] == [False] * 7 + [True] * 3


def test_what_is_held_of_ours_is_bounded(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OURS", 3)
    for number in range(10):
        watched.calls.transfer(transfer(30, f"t{number}"))
    watched.calls.told(report())

    [told] = watched.published
    assert [one.transfer for one in told.transfers] == ["t7", "t8", "t9"]


def test_a_call_that_never_ends_is_let_go(watched: Watched) -> None:
    watched.calls.told(report(until=None))
    watched.clock.advance(LONGEST.total_seconds() + 1)

    assert not watched.calls.knows("hms", "one")
    assert watched.published == watched.counted == []


def test_without_a_platform_nothing_is_held(watched: Watched) -> None:
    watched.calls.configure(active=False, own=())

    assert watched.calls.transfer(transfer()) is None
    watched.calls.configure(active=True, own=())
    watched.calls.told(report())
    assert watched.published[-1].transfers == ()


def test_a_forgotten_caller_is_in_no_memory(watched: Watched) -> None:
    watched.calls.told(report())
    watched.calls.transfer(transfer())
    watched.calls.forget((ANNA,))

    assert not watched.calls.knows("hms", "one")
    assert watched.calls.view("t1") is None
    assert watched.calls.published == []


CALLERS = st.sampled_from([ANNA, BEN, None])
SECONDS = st.integers(0, 200).map(float)


@st.composite
def reports(draw: st.DrawFn) -> PlatformCall:
    since = draw(SECONDS)
    until = draw(st.none() | st.integers(0, 100).map(lambda length: since + length))
    promise = draw(st.none() | st.sampled_from(PromisedBy)) if until is not None else None
    which = draw(st.sampled_from("abcd"))
    caller = {"a": ANNA, "b": BEN, "c": ANNA, "d": None}[which]
    return report(which, since, until, caller=caller, promised_by=promise)


@st.composite
def transfers(draw: st.DrawFn) -> TransferRecord:
    which = draw(st.integers(0, 5))
    caller = draw(CALLERS)
    return transfer(draw(SECONDS), f"t{which}{caller}", caller=caller)


@pytest.mark.keeps("19.29")
@settings(deadline=None)
@given(st.lists(reports() | transfers(), max_size=10), st.randoms(use_true_random=False))
def test_in_whatever_order_all_comes_the_same_is_known_at_the_end(
    happened: list[PlatformCall | TransferRecord], chance: object
) -> None:
    first: dict[TransferId, TransferRecord] = {}
    happened = [
        first.setdefault(each.transfer, each) if not isinstance(each, PlatformCall) else each for each in happened
    ]
    shuffled = [*happened, *happened[:3]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert outcome(happened) == outcome(shuffled)


def outcome(happened: list[PlatformCall | TransferRecord]) -> object:
    watched = Watched()
    for each in happened:
        if isinstance(each, PlatformCall):
            watched.calls.told(each)
        else:
            watched.calls.transfer(each)
    watched.settle()
    last = {told.id: told for told in watched.published}
    assert last.keys() == {told.id for told in watched.counted}
    for told in last.values():
        for one in told.transfers:
            view = watched.calls.view(one.transfer)
            assert view is not None
            assert (view.matched_by, view.candidates) == (one.matched_by, one.candidates)
            assert (view.call_id == told.call_id) == (one.matched_by is not MatchedBy.AMBIGUOUS)
    views = {
        each.transfer: watched.calls.view(each.transfer) for each in happened if not isinstance(each, PlatformCall)
    }
    ambiguous = {which for which, view in views.items() if view and view.matched_by is MatchedBy.AMBIGUOUS}
    # An ambiguous view names the platform, whichever of its calls comes first.
    return last, {which: view for which, view in views.items() if which not in ambiguous}, ambiguous
