# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that nobody ends: too long, silent, or never answered, on a clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.model import LegId, PeerKind
from gateway.core.outcome import CallEnd
from gateway.sip.calls.timer_c import TimerC
from gateway.sip.calls.watchdog import LOOK_S, Watchdog
from tests.bench.clock import VirtualClock
from tests.bench.leg import FakeLeg, TwoLegs


class Stage(TwoLegs):
    """A dog that watches the two who talk."""

    def __init__(self, *, rtp_timeout_s: float = 0.0, max_call_s: float = 0.0) -> None:
        super().__init__()
        self.held: set[LegId] = set()
        self.ended: list[tuple[LegId, CallEnd]] = []
        self.dog = Watchdog(
            self.pairs,
            self.legs.get,
            lambda leg: self.legs[leg].activity,
            lambda leg: leg not in self.held,
            self.clock,
            self._end,
        )
        self.dog.configure(rtp_timeout_s, max_call_s)

    def _end(self, leg: LegId, why: CallEnd) -> None:
        self.ended.append((leg, why))
        for each in self.legs.values():
            each.ending = True

    def talk(self, seconds: int, *legs: FakeLeg) -> None:
        """These legs send while the time passes."""
        for _ in range(seconds):
            self.clock.advance(1)
            for leg in legs:
                leg.activity += 50


@pytest.mark.keeps("9.14")
def test_a_side_that_falls_silent_ends_the_call() -> None:
    stage = Stage(rtp_timeout_s=10)
    stage.talk(60, stage.caller, stage.agent)
    assert stage.ended == []
    stage.talk(10 + 2 * int(LOOK_S), stage.caller)
    assert stage.ended == [(stage.agent.id, CallEnd.RTP_TIMEOUT)]


@pytest.mark.keeps("9.14")
def test_who_holds_may_be_silent_and_counts_from_when_they_are_back() -> None:
    stage = Stage(rtp_timeout_s=10)
    stage.talk(4, stage.caller, stage.agent)
    stage.held.add(stage.agent.id)
    stage.talk(300, stage.caller)
    stage.held.clear()
    stage.talk(8, stage.caller)
    assert stage.ended == []
    stage.talk(6, stage.caller)
    assert stage.ended == [(stage.agent.id, CallEnd.RTP_TIMEOUT)]


def test_who_waits_for_a_target_may_be_silent() -> None:
    stage = Stage(rtp_timeout_s=10)
    stage.pairs.wait(stage.caller.id, stage.agent.id)
    stage.talk(60)
    assert stage.ended == []


def test_who_is_not_answered_yet_may_be_silent() -> None:
    stage = Stage(rtp_timeout_s=10)
    stage.agent.established = False
    stage.talk(60)
    assert stage.ended == []


@pytest.mark.keeps("9.14")
def test_a_call_that_is_too_long_ends_once() -> None:
    stage = Stage(max_call_s=3600)
    stage.clock.advance(3600)
    assert stage.ended == []
    stage.clock.advance(2 * LOOK_S)
    assert stage.ended == [(stage.caller.id, CallEnd.TOO_LONG)]


def test_limits_may_change_while_calls_last_and_be_taken_away() -> None:
    stage = Stage(max_call_s=3600)
    stage.clock.advance(120)
    stage.dog.configure(0, 60)
    stage.clock.advance(2 * LOOK_S)
    assert [why for _, why in stage.ended] == [CallEnd.TOO_LONG]
    stage.dog.configure(0, 0)
    assert stage.clock.waiting == 0


def test_a_leg_that_is_over_is_forgotten() -> None:
    stage = Stage(rtp_timeout_s=10)
    stage.talk(4, stage.caller, stage.agent)
    del stage.legs[stage.agent.id]
    stage.dog.forget(stage.agent.id)
    stage.talk(60)
    assert stage.ended == []


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 11, 29, tzinfo=UTC))


def dialled(name: str = "assistant", kind: PeerKind = PeerKind.TRUNK) -> FakeLeg:
    return FakeLeg(name, kind, established=False)


@pytest.mark.keeps("9.15")
def test_a_call_to_an_assistant_that_nobody_answers_is_given_up(clock: VirtualClock) -> None:
    given_up: list[LegId] = []
    leg = dialled()
    timer = TimerC([leg], clock, given_up.append)
    timer.configure(180)
    clock.advance(180)
    assert given_up == []
    clock.advance(2 * LOOK_S)
    assert set(given_up) == {leg.id}
    timer.stop()
    assert clock.waiting == 0


@pytest.mark.keeps("9.15")
def test_each_180_gives_it_as_much_time_again(clock: VirtualClock) -> None:
    given_up: list[LegId] = []
    leg = dialled()
    TimerC([leg], clock, given_up.append).configure(180)
    clock.advance(170)
    leg.progressed_at = clock.now().steady  # RFC 3261 §16.7, step 2
    clock.advance(175)
    assert given_up == []
    clock.advance(10)
    assert given_up[0] == leg.id


@pytest.mark.keeps("9.15")
def test_targets_callers_and_those_who_are_answered_are_no_business_of_timer_c(clock: VirtualClock) -> None:
    given_up: list[LegId] = []
    answered, ending, caller = dialled("answered"), dialled("ending"), dialled("caller")
    answered.established = ending.ending = caller.incoming = True
    TimerC([answered, ending, caller, dialled("target", PeerKind.PBX)], clock, given_up.append).configure(10)
    clock.advance(600)
    assert given_up == []
