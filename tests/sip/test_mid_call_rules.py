# SPDX-License-Identifier: GPL-2.0-or-later
"""What passes from one leg to the other, with legs that are none, and a way for the audio that a test opens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.model import LegId
from gateway.core.outcome import CallEnd
from gateway.sip.calls.leg_control import Direction, Exchange, KeyPress, KeyWay
from gateway.sip.calls.midcall import MidCall
from tests.bench.leg import FakeLeg, TwoLegs


class Stage(TwoLegs):
    """What is between the two, from when their legs are established."""

    def __init__(self, **profile: str) -> None:
        super().__init__(joined=False)
        self.silent: set[LegId] = set()  # legs without audio
        self.past: set[LegId] = set()  # legs whose audio goes past us
        self.lost: list[tuple[LegId, CallEnd]] = []
        media: Any = SimpleNamespace(
            has_media=lambda leg: leg not in self.silent,
            activity=lambda leg: self.legs[leg].activity,
            keys_follow=lambda _leg: None,
            is_misplaced=lambda _leg: False,
            offering_again=lambda _leg: None,
            declined=lambda _leg, _code: None,
            goes_past=lambda leg: leg in self.past,
        )
        self.calls = MidCall(
            self.legs.get, self.pairs, media, self.clock, lambda *what: self.lost.append(what), lambda: None
        )
        settings = SimpleNamespace(**{"dtmf": "rfc4733", "srtp": "off"} | profile)
        sip = SimpleNamespace(rtp_timeout_s=10, max_call_s=0)
        config: Any = SimpleNamespace(sip=sip, profile=lambda _name: settings)
        self.calls.configure(config)
        for leg in self.legs.values():
            self.calls.established(leg)
        self.pairs.join(self.caller.id, self.agent.id)
        self.calls.joined(self.caller, self.agent)

    def press(self, leg: FakeLeg, key: str, stamp: int) -> None:
        self.calls.pressed(leg, KeyPress(key, KeyWay.EVENT, stamp))
        self.clock.advance(1)


def test_a_key_waits_until_the_partner_has_audio() -> None:
    stage = Stage()
    stage.silent.add(stage.agent.id)
    stage.press(stage.caller, "1", 100)
    assert stage.agent.given == ""
    stage.silent.clear()
    stage.calls.exchanged(stage.agent)
    assert stage.agent.given == "1"


def test_a_key_waits_while_the_partner_is_on_hold() -> None:
    stage = Stage()
    stage.agent.exchange = Exchange(False, Direction.HEARS, Direction.SENDS)
    stage.calls.exchanged(stage.agent)
    stage.press(stage.caller, "1", 100)
    assert stage.agent.given == ""
    stage.agent.exchange = Exchange(False, Direction.BOTH, Direction.BOTH)
    stage.calls.exchanged(stage.agent)
    assert stage.agent.given == "1"


def test_a_profile_may_want_keys_by_info() -> None:
    stage = Stage(dtmf="info")
    stage.press(stage.caller, "1", 100)
    assert stage.agent.keys == [("1", KeyWay.INFO)]
    stage.press(stage.caller, "2", 900)
    assert stage.agent.given == "1"
    stage.calls.answered(stage.agent, "INFO", 200)
    assert stage.agent.given == "12"


def test_a_target_that_asks_for_keys_is_given_what_was_pressed_on_the_way() -> None:
    stage = Stage()
    stage.pairs.wait(stage.caller.id)
    stage.calls.waiting(stage.caller, None)
    stage.press(stage.caller, "3", 100)
    target = FakeLeg("target", established=False)
    stage.legs[target.id] = target
    stage.pairs.wait(stage.caller.id, target.id)
    stage.calls.waiting(stage.caller, target)
    assert target.given == "3"


@pytest.mark.parametrize(("established", "slug"), [(True, "peer-gone"), (False, "answer-unusable")])
def test_a_leg_that_pjsip_ends_is_told_of_once_and_not_from_within_it(established: bool, slug: str) -> None:
    stage = Stage()
    stage.agent.established = established
    with capture_logs() as logs:
        stage.calls.answered(stage.agent, "BYE", 0)
        stage.calls.answered(stage.agent, "BYE", 0)
    assert [line["event"] for line in logs] == [slug]
    assert stage.lost == []
    stage.clock.advance(0)
    assert stage.lost == [(stage.agent.id, CallEnd.PEER_GONE)]
    assert stage.agent.why is CallEnd.PEER_GONE


def test_our_own_bye_is_no_news() -> None:
    stage = Stage()
    stage.agent.ending = True
    stage.calls.answered(stage.agent, "BYE", 0)
    stage.clock.advance(1)
    assert stage.lost == []


def test_a_leg_in_the_clear_is_told_of_once_where_its_profile_would_encrypt() -> None:
    stage = Stage(srtp="optional")
    with capture_logs() as logs:
        stage.calls.exchanged(stage.agent)
        stage.calls.exchanged(stage.agent)
        stage.caller.is_encrypted = True
        stage.calls.exchanged(stage.caller)
    assert [(line["event"], line["leg"]) for line in logs] == [("not-encrypted", stage.agent.id)]


def test_a_side_that_falls_silent_is_lost_and_one_that_ended_is_forgotten() -> None:
    stage = Stage()
    for _ in range(20):
        stage.clock.advance(1)
        stage.caller.activity += 50
    assert stage.lost[0] == (stage.agent.id, CallEnd.RTP_TIMEOUT)
    stage.lost.clear()
    stage.calls.ended(stage.agent)
    stage.pairs.unpair(stage.agent.id)
    stage.clock.advance(60)
    assert stage.lost == []


def test_nothing_runs_on_once_it_is_stopped() -> None:
    stage = Stage()
    stage.agent.exchange = Exchange(False, Direction.HEARS, Direction.SENDS)
    stage.calls.exchanged(stage.agent)
    stage.calls.stop()
    assert stage.clock.waiting == 0


@pytest.mark.keeps("17.31")
def test_whose_audio_goes_past_us_is_not_silent() -> None:
    stage = Stage()
    stage.past.add(stage.agent.id)
    for _ in range(10):
        stage.caller.activity += 1
        stage.clock.advance(2)
    assert stage.lost == []
