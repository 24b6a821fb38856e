# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold, with legs that are none: what each peer is offered when its partner's peer holds or resumes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from gateway.sip.calls.hold import ATTEMPTS, BUSY_S, Holds
from gateway.sip.calls.leg_control import Direction, Exchange
from gateway.sip.calls.pairs import Pairs
from tests.bench.clock import VirtualClock
from tests.bench.leg import FakeLeg

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.sip.calls.media_path import MediaPath

NONE, SENDS, HEARS, BOTH = Direction.NONE, Direction.SENDS, Direction.HEARS, Direction.BOTH


class Unmoved:
    """Implements what Holds asks of media_path.MediaPath: audio stays where it is."""

    def is_misplaced(self, _leg: LegId) -> bool:
        return False

    def offering_again(self, leg: LegId) -> None:
        pass

    def declined(self, leg: LegId, code: int) -> None:
        pass


class Stage:
    """A caller who talks with an assistant."""

    def __init__(self) -> None:
        self.clock, self.pairs = VirtualClock(datetime(2026, 11, 29, tzinfo=UTC)), Pairs()
        self.kicks = 0
        self.holds = Holds(self.pairs, cast("MediaPath", Unmoved()), self.clock, self._kick)
        self.caller, self.assistant = FakeLeg("caller", incoming=True), FakeLeg("assistant")
        for leg in (self.caller, self.assistant):
            self.holds.established(leg)
        self.join(self.caller, self.assistant)
        self.clock.advance(0)

    def _kick(self) -> None:
        self.kicks += 1

    def join(self, one: FakeLeg, other: FakeLeg) -> None:
        self.pairs.join(one.id, other.id)
        self.holds.joined(one, other)

    def says(self, leg: FakeLeg, theirs: Direction) -> None:
        """The peer of a leg offers a direction, and gets what mirrors it."""
        leg.exchange = Exchange(False, theirs.mirrored, theirs)
        self.holds.exchanged(leg)
        self.clock.advance(0)

    def accepts(self, leg: FakeLeg, theirs: Direction | None = None) -> None:
        """The peer of a leg answers our newest offer with 200."""
        ours = leg.offered[-1]
        leg.exchange = Exchange(True, ours, ours.mirrored if theirs is None else theirs)
        self.holds.exchanged(leg)
        self.holds.answered(leg, "INVITE", 200)
        self.clock.advance(0)


def test_nobody_is_asked_for_anything_while_everybody_talks() -> None:
    stage = Stage()
    assert stage.caller.offered == stage.assistant.offered == []
    assert stage.kicks == 0


@pytest.mark.keeps("9.1")
def test_a_hold_is_passed_on_and_so_is_its_end() -> None:
    stage = Stage()
    stage.says(stage.assistant, SENDS)  # music on hold
    assert stage.caller.offered == [SENDS]
    assert stage.kicks == 1
    stage.accepts(stage.caller)
    stage.says(stage.assistant, BOTH)
    assert stage.caller.offered == [SENDS, BOTH]
    stage.accepts(stage.caller)
    assert stage.assistant.offered == []


def test_what_an_answer_leaves_out_because_it_was_not_offered_is_no_hold() -> None:
    stage = Stage()
    stage.says(stage.assistant, SENDS)
    stage.accepts(stage.caller)  # recvonly, since we offered sendonly
    assert stage.assistant.offered == []
    assert stage.holds.hears_us(stage.caller.id)


def test_both_may_hold_and_the_call_is_still_there_afterwards() -> None:
    stage = Stage()
    stage.says(stage.assistant, SENDS)
    stage.accepts(stage.caller)
    stage.says(stage.caller, NONE)
    assert stage.assistant.offered == [NONE]
    stage.accepts(stage.assistant)
    stage.says(stage.caller, BOTH)
    assert stage.assistant.offered == [NONE, BOTH]


def test_who_holds_is_not_expected_to_send_and_does_not_hear_us() -> None:
    stage = Stage()
    assert stage.holds.should_be_heard(stage.assistant.id)
    stage.says(stage.assistant, SENDS)
    assert not stage.holds.should_be_heard(stage.assistant.id)
    assert not stage.holds.hears_us(stage.assistant.id)


def test_who_waits_is_taken_off_hold_to_hear_the_ringback() -> None:
    stage = Stage()
    stage.says(stage.assistant, SENDS)
    stage.accepts(stage.caller)
    stage.pairs.wait(stage.caller.id)
    stage.holds.waiting(stage.caller)
    stage.clock.advance(0)
    assert stage.caller.offered == [SENDS, BOTH]


def test_a_new_partner_who_holds_nobody_ends_the_hold_of_the_one_before() -> None:
    stage = Stage()
    stage.says(stage.assistant, SENDS)
    stage.accepts(stage.caller)
    agent = FakeLeg("agent")
    stage.holds.established(agent)
    stage.join(stage.caller, agent)
    stage.clock.advance(0)
    assert stage.caller.offered[-1] is BOTH
    assert agent.offered == []


@pytest.mark.keeps("9.4")
@pytest.mark.parametrize(("incoming", "earliest", "latest"), [(True, 0.0, 2.0), (False, 2.1, 4.0)])
def test_after_491_the_owner_of_the_dialog_waits_longer(incoming: bool, earliest: float, latest: float) -> None:
    stage = Stage()
    stage.caller.incoming = incoming
    stage.says(stage.assistant, SENDS)
    stage.holds.answered(stage.caller, "INVITE", 491)
    stage.clock.advance(max(earliest - 0.01, 0.0))
    assert stage.caller.offered == [SENDS] or earliest == 0.0
    stage.clock.advance(latest)
    assert stage.caller.offered == [SENDS, SENDS]  # RFC 3261 §14.1


def test_a_refused_hold_is_not_asked_for_again() -> None:
    stage = Stage()
    stage.says(stage.assistant, SENDS)
    stage.holds.answered(stage.caller, "INVITE", 488)
    stage.clock.advance(60)
    assert stage.caller.offered == [SENDS]


@pytest.mark.parametrize(("method", "code"), [("INVITE", 401), ("INVITE", 407), ("INVITE", 422), ("UPDATE", 200)])
def test_what_is_no_final_answer_to_the_offer_changes_nothing(method: str, code: int) -> None:
    stage = Stage()
    stage.says(stage.assistant, SENDS)
    stage.holds.answered(stage.caller, method, code)
    stage.says(stage.assistant, BOTH)
    assert stage.caller.offered == [SENDS]  # the one before is still on its way
    stage.accepts(stage.caller)
    assert stage.caller.offered == [SENDS, BOTH]


def test_a_busy_dialog_is_tried_again_and_given_up_in_the_end() -> None:
    stage = Stage()
    stage.caller.busy = True
    stage.says(stage.assistant, SENDS)
    stage.clock.advance(BUSY_S * 3)
    stage.caller.busy = False
    stage.clock.advance(BUSY_S)
    assert stage.caller.offered == [SENDS]
    stage.accepts(stage.caller)
    stage.caller.busy = True
    stage.says(stage.assistant, BOTH)
    stage.clock.advance(BUSY_S * (ATTEMPTS + 1))
    assert stage.clock.waiting == 0
    stage.caller.busy = False
    stage.clock.advance(60)
    assert stage.caller.offered == [SENDS]


def test_a_leg_that_is_over_or_not_answered_yet_is_offered_nothing() -> None:
    stage = Stage()
    stage.caller.established = False
    stage.says(stage.assistant, SENDS)
    assert stage.caller.offered == []
    stage.holds.established(stage.caller)
    stage.caller.established = True
    stage.clock.advance(0)
    assert stage.caller.offered == [SENDS]
    stage.accepts(stage.caller)
    stage.caller.ending = True
    stage.says(stage.assistant, BOTH)
    stage.holds.forget(stage.caller.id)
    stage.holds.stop()
    stage.clock.advance(60)
    assert stage.caller.offered == [SENDS]
    assert stage.clock.waiting == 0


def test_a_leg_without_an_exchange_says_nothing() -> None:
    stage = Stage()
    stage.assistant.exchange = None
    stage.holds.exchanged(stage.assistant)
    stage.clock.advance(1)
    assert stage.caller.offered == []
