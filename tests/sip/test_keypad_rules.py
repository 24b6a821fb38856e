# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys, with legs that are none: each is given once, in the way its side wants, and to who is there to have it."""

from __future__ import annotations

import pytest

from gateway.core.model import LegId
from gateway.sip.calls.dtmf import ECHO_S, HELD_S, LONG_PAUSE_S, PAUSE_MS, TONE_MS, Keypads
from gateway.sip.calls.leg_control import KeyPress, KeyWay
from tests.bench.leg import FakeLeg, TwoLegs

EVENT, INFO = KeyWay.EVENT, KeyWay.INFO
ONE_KEY_S = (TONE_MS + PAUSE_MS) / 1000


class Stage(TwoLegs):
    """Two who press keys."""

    def __init__(self, *, joined: bool = True) -> None:
        super().__init__(joined=joined)
        self.by_info: set[LegId] = set()
        self.deaf: set[LegId] = set()
        self.keys = Keypads(
            self.pairs,
            self.legs.get,
            lambda leg: leg.id in self.by_info,
            lambda leg: leg not in self.deaf,
            self.clock,
            lambda: None,
            chosen=lambda leg, key: self.chosen.append((leg, key)),
        )
        self.chosen: list[tuple[LegId, str]] = []
        self._stamp = 0

    def press(self, leg: FakeLeg, keys: str, way: KeyWay = EVENT) -> None:
        for key in keys:
            self._stamp += 200
            self.keys.pressed(leg, KeyPress(key, way, self._stamp if way is EVENT else 0))
            self.clock.advance(ECHO_S)


def test_keys_go_to_the_partner_in_their_order() -> None:
    stage = Stage()
    stage.press(stage.caller, "12#a")
    assert stage.agent.keys == [("1", EVENT), ("2", EVENT), ("#", EVENT), ("A", EVENT)]
    stage.press(stage.agent, "*")
    assert stage.caller.given == "*"


def test_the_gateway_s_own_keys_have_pauses_between_them_and_keep_their_order() -> None:
    stage = Stage()
    stage.keys.press(stage.agent, "w1w2")
    stage.press(stage.caller, "9")  # which takes longer than all of it
    assert stage.agent.given == "129"
    stage = Stage()
    stage.keys.press(stage.agent, "ww1")
    stage.clock.advance(2 * LONG_PAUSE_S - 0.01)
    assert stage.agent.given == ""
    stage.clock.advance(0.02)
    assert (stage.agent.given, stage.caller.given) == ("1", "")


def test_nobody_else_makes_a_pause() -> None:
    stage = Stage()
    stage.press(stage.caller, "w1")
    assert stage.agent.given == "1"


def test_what_is_no_key_is_left_out() -> None:
    stage = Stage()
    stage.press(stage.caller, "E!1")
    assert stage.agent.given == "1"


def test_no_key_follows_on_another_faster_than_a_receiver_can_tell_them_apart() -> None:
    stage = Stage()
    for stamp, key in enumerate("123"):
        stage.keys.pressed(stage.caller, KeyPress(key, EVENT, stamp))
    assert stage.agent.given == "1"
    stage.clock.advance(ONE_KEY_S)
    assert stage.agent.given == "12"
    stage.clock.advance(ONE_KEY_S)
    assert stage.agent.given == "123"


@pytest.mark.keeps("9.16")
def test_a_key_that_comes_in_both_ways_is_given_once() -> None:
    stage = Stage()
    stage.keys.pressed(stage.caller, KeyPress("5", EVENT, 100))
    stage.keys.pressed(stage.caller, KeyPress("5", INFO))
    stage.clock.advance(ECHO_S)
    assert stage.agent.given == "5"
    stage.press(stage.caller, "5", INFO)
    assert stage.agent.given == "55"


def test_all_packets_of_a_press_are_one_key() -> None:
    stage = Stage()
    for ended in (False, False, True, True):
        stage.keys.pressed(stage.caller, KeyPress("7", EVENT, 100, ended))
    stage.clock.advance(1)
    assert stage.agent.given == "7"


@pytest.mark.keeps("9.16")
def test_a_side_that_wants_info_gets_one_at_a_time() -> None:
    stage = Stage()
    stage.by_info.add(stage.agent.id)
    for stamp, key in enumerate("123"):
        stage.keys.pressed(stage.caller, KeyPress(key, EVENT, stamp))
    stage.clock.advance(60)
    assert stage.agent.keys == [("1", INFO)]
    stage.keys.answered(stage.agent.id, "INFO", 200)
    assert stage.agent.given == "12"
    stage.keys.answered(stage.agent.id, "INVITE", 200)  # of a hold
    assert stage.agent.given == "12"
    stage.keys.answered(stage.agent.id, "INFO", 415)  # refused, and the next one may be taken
    assert stage.agent.given == "123"


def test_a_side_without_telephone_events_gets_info() -> None:
    stage = Stage()
    stage.agent.deaf_for = {EVENT}
    stage.press(stage.caller, "1")
    assert stage.agent.keys == [("1", INFO)]


def test_a_side_that_has_not_answered_gets_no_info_but_gets_it_then() -> None:
    stage = Stage()
    stage.agent.deaf_for, stage.agent.established = {EVENT}, False
    stage.press(stage.caller, "1")
    assert stage.agent.given == ""
    stage.agent.established = True
    stage.keys.changed(stage.agent.id)
    assert stage.agent.keys == [("1", INFO)]


def test_a_key_that_can_be_given_in_no_way_holds_up_no_other() -> None:
    stage = Stage()
    stage.agent.deaf_for = {EVENT, INFO}
    stage.press(stage.caller, "1")
    stage.agent.deaf_for = set()
    stage.press(stage.caller, "2")
    assert stage.agent.given == "2"


def test_a_target_that_rings_hears_the_caller_and_the_caller_hears_nothing_of_it() -> None:
    stage = Stage(joined=False)
    stage.press(stage.caller, "1")
    stage.pairs.wait(stage.caller.id, stage.agent.id)
    stage.keys.awaits(stage.caller, stage.agent)
    stage.press(stage.caller, "2")
    stage.press(stage.agent, "9")
    assert stage.agent.given == "12"
    assert stage.caller.given == ""
    stage.pairs.join(stage.caller.id, stage.agent.id)
    stage.keys.joined(stage.caller, stage.agent)
    assert stage.caller.given == "9"


@pytest.mark.parametrize("state", ["over", "ending"])
def test_a_leg_at_its_end_is_given_nothing(state: str) -> None:
    stage = Stage()
    setattr(stage.agent, state, True)
    stage.press(stage.caller, "1")
    assert stage.agent.given == ""


def test_what_is_forgotten_is_given_nothing_more() -> None:
    stage = Stage()
    for stamp, key in enumerate("123"):
        stage.keys.pressed(stage.caller, KeyPress(key, EVENT, stamp))
    stage.keys.stop()
    stage.clock.advance(60)
    assert stage.agent.given == "1"
    assert stage.clock.waiting == 0


# --- keys that the gateway asks for


def test_the_keys_of_a_leg_that_is_asked_are_for_the_gateway_until_it_is_joined() -> None:
    stage = Stage(joined=False)
    stage.keys.asks(stage.agent)
    stage.press(stage.agent, "7", INFO)
    stage.press(stage.agent, "1")
    assert stage.chosen == [(stage.agent.id, "7"), (stage.agent.id, "1")]
    stage.pairs.join(stage.caller.id, stage.agent.id)
    stage.keys.joined(stage.caller, stage.agent)
    stage.press(stage.agent, "5")
    assert (stage.chosen[2:], stage.caller.given) == ([], "5")


def test_what_was_pressed_before_the_gateway_asked_counts() -> None:
    stage = Stage(joined=False)
    stage.press(stage.agent, "1")
    stage.press(stage.caller, "9")
    stage.keys.asks(stage.agent)
    assert stage.chosen == [(stage.agent.id, "1")]


def test_a_key_that_is_asked_for_counts_when_it_is_released() -> None:
    stage = Stage(joined=False)
    stage.keys.asks(stage.agent)
    stage.keys.pressed(stage.agent, KeyPress("1", EVENT, 100))
    stage.clock.advance(HELD_S / 2)
    assert stage.chosen == []
    for _ in range(3):  # as its end is sent (RFC 4733 §2.5.1.4)
        stage.keys.pressed(stage.agent, KeyPress("1", EVENT, 100, ended=True))
    assert stage.chosen == [(stage.agent.id, "1")]
    stage.clock.advance(10 * HELD_S)
    assert stage.chosen == [(stage.agent.id, "1")]


def test_a_key_whose_end_never_comes_counts_after_a_while() -> None:
    stage = Stage(joined=False)
    stage.keys.asks(stage.agent)
    stage.keys.pressed(stage.agent, KeyPress("1", EVENT, 100))
    stage.clock.advance(HELD_S + 0.01)
    assert stage.chosen == [(stage.agent.id, "1")]


def test_a_key_counts_once_that_comes_in_both_ways_to_the_gateway() -> None:
    stage = Stage(joined=False)
    stage.keys.asks(stage.agent)
    stage.keys.pressed(stage.agent, KeyPress("1", EVENT, 100))
    stage.keys.pressed(stage.agent, KeyPress("1", INFO))
    stage.clock.advance(HELD_S + 0.01)
    assert stage.chosen == [(stage.agent.id, "1")]


def test_the_key_of_a_leg_that_is_over_means_nothing() -> None:
    stage = Stage(joined=False)
    stage.keys.asks(stage.agent)
    stage.keys.pressed(stage.agent, KeyPress("1", EVENT, 100))
    stage.keys.forget(stage.agent.id)
    stage.clock.advance(HELD_S + 0.01)
    assert stage.chosen == []
