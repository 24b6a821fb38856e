# SPDX-License-Identifier: GPL-2.0-or-later
"""When audio may go past the gateway, and what each peer is told, with legs that are none."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gateway.core.media_way import DIRECT, RELAYED, Decision, Why, relayed
from gateway.sip.calls.direct import ATTEMPTS, SETTLED_S, Direct
from gateway.sip.calls.media_way import Format, Side
from gateway.sip.text.audio_place import read_place
from tests.bench.clock import VirtualClock
from tests.bench.leg import FakeLeg
from tests.support.sip_message import sdp

if TYPE_CHECKING:
    from gateway.core.model import LegId

SIDE = Side(Format("PCMA", 8000, 1), "direct")
OURS = sdp("192.0.2.1", 20000).decode()
CALLER, ASSISTANT, TARGET = ("192.0.2.10", 4000), ("192.0.2.20", 5000), ("192.0.2.30", 6000)


class Stage:
    """A caller, an assistant and a target, who take audio each at a place of their own."""

    def __init__(self) -> None:
        self.clock = VirtualClock(datetime(2026, 11, 29, tzinfo=UTC))
        self.caller, self.assistant, self.target = FakeLeg("in-1", incoming=True), FakeLeg("out-1"), FakeLeg("out-2")
        self.legs = {leg.id: leg for leg in (self.caller, self.assistant, self.target)}
        self.direct = Direct(lambda leg: self.legs.get(leg) if leg else None, self.clock)
        self.direct.tell(self._misplaced)
        self.told: list[LegId] = []
        self.takes(self.caller, CALLER, events=101)
        self.takes(self.assistant, ASSISTANT, events=120)
        self.takes(self.target, TARGET, events=120)

    def _misplaced(self, leg: LegId) -> None:
        self.told.append(leg)

    def takes(self, leg: FakeLeg, place: tuple[str, int], events: int | None = 101) -> None:
        self.direct.received(leg.id, sdp(*place, events=events).decode())

    def settle(self, one: FakeLeg, other: FakeLeg, first: Side = SIDE, second: Side = SIDE) -> Decision:
        """The two are relayed, as both of them are told."""
        self.direct.settle(other, one, second, first)
        return self.direct.settle(one, other, first, second)

    def offer(self, leg: FakeLeg) -> str:
        """What the leg's peer is offered in a re-INVITE of our own."""
        self.direct.offering(leg.id)
        return self.direct.sent(leg.id, OURS, answers=False)

    def agree(self, leg: FakeLeg, place: tuple[str, int], events: int = 101) -> str:
        """… and takes."""
        offered = self.offer(leg)
        self.takes(leg, place, events)
        self.direct.negotiated(leg.id)
        return offered

    def go(self) -> None:
        """Caller and assistant send to each other."""
        self.settle(self.caller, self.assistant)
        self.clock.advance(SETTLED_S)
        self.agree(self.caller, CALLER)
        self.agree(self.assistant, ASSISTANT)
        assert self.settle(self.caller, self.assistant) == DIRECT
        self.told.clear()


def where(description: str) -> tuple[str, int]:
    found = read_place(description)
    assert found
    return found.address, found.port


@pytest.mark.keeps("17.31")
def test_each_is_offered_the_others_place_and_one_numbering() -> None:
    stage = Stage()
    assert stage.settle(stage.caller, stage.assistant) == RELAYED
    assert stage.told == []
    stage.clock.advance(SETTLED_S)
    assert set(stage.told) == {"in-1", "out-1"}
    for leg, own, others in ((stage.caller, CALLER, ASSISTANT), (stage.assistant, ASSISTANT, CALLER)):
        offered = stage.agree(leg, own)
        assert where(offered) == others
        assert re.findall(r"m=audio \d+ (.*)\r", offered) == ["RTP/AVP 8 101"]
        assert "a=rtpmap:101 telephone-event/8000" in offered
        assert not stage.direct.is_misplaced(leg.id)
    assert stage.settle(stage.caller, stage.assistant) == DIRECT
    assert stage.direct.goes_past(stage.caller.id)


@pytest.mark.keeps("17.31")
def test_who_is_parted_sooner_is_told_nothing() -> None:
    stage = Stage()
    stage.settle(stage.caller, stage.assistant)
    stage.clock.advance(SETTLED_S / 2)
    stage.direct.leave(stage.caller.id, Why.WAITING)
    stage.direct.leave(stage.assistant.id)
    stage.clock.advance(10)
    assert stage.told == []


@pytest.mark.keeps("17.31")
def test_an_answer_that_nobody_has_acknowledged_is_waited_for() -> None:
    stage = Stage()
    stage.caller.established = False
    stage.settle(stage.caller, stage.assistant)
    stage.clock.advance(SETTLED_S)
    assert not stage.direct.is_misplaced(stage.assistant.id)
    stage.caller.established = True
    stage.clock.advance(SETTLED_S)
    assert stage.direct.is_misplaced(stage.assistant.id)


@pytest.mark.keeps("17.32")
def test_who_is_parted_is_told_to_send_to_us_again() -> None:
    stage = Stage()
    stage.go()
    stage.direct.leave(stage.caller.id, Why.WAITING)
    assert set(stage.told) == {"in-1", "out-1"}
    for leg, own in ((stage.caller, CALLER), (stage.assistant, ASSISTANT)):
        assert stage.agree(leg, own) == OURS
        assert not stage.direct.goes_past(leg.id)
    stage.settle(stage.caller, stage.target)
    stage.clock.advance(SETTLED_S)
    assert where(stage.offer(stage.caller)) == TARGET


@pytest.mark.keeps("17.32")
def test_whose_partner_is_over_is_told_to_send_to_us_again() -> None:
    stage = Stage()
    stage.go()
    stage.direct.forget(stage.assistant.id)
    stage.direct.leave(stage.caller.id)
    assert "in-1" in stage.told
    assert stage.offer(stage.caller) == OURS


@pytest.mark.keeps("17.33")
def test_a_peer_that_moves_is_answered_with_the_others_place_and_the_other_is_told() -> None:
    stage = Stage()
    stage.go()
    stage.takes(stage.assistant, TARGET)
    assert where(stage.direct.sent(stage.assistant.id, OURS, answers=True)) == CALLER
    stage.direct.negotiated(stage.assistant.id)
    stage.settle(stage.caller, stage.assistant)
    assert set(stage.told) == {"in-1"}
    assert where(stage.offer(stage.caller)) == TARGET


@pytest.mark.keeps("17.33")
@pytest.mark.parametrize("place", [("0.0.0.0", 5000), ("192.0.2.20", 0), ("224.0.0.1", 5000)])
def test_a_peer_that_takes_no_audio_any_more_has_the_others_come_to_us(place: tuple[str, int]) -> None:
    stage = Stage()
    stage.go()
    stage.takes(stage.assistant, place)
    stage.direct.sent(stage.assistant.id, OURS, answers=True)
    stage.direct.negotiated(stage.assistant.id)
    assert stage.settle(stage.caller, stage.assistant) == RELAYED
    assert "in-1" in stage.told
    assert stage.agree(stage.caller, CALLER) == OURS
    stage.takes(stage.assistant, ASSISTANT)
    assert stage.settle(stage.caller, stage.assistant) == RELAYED
    stage.clock.advance(SETTLED_S)
    assert where(stage.offer(stage.caller)) == ASSISTANT


@pytest.mark.keeps("17.34")
def test_a_peer_that_declines_is_not_asked_again() -> None:
    stage = Stage()
    stage.settle(stage.caller, stage.assistant)
    stage.clock.advance(SETTLED_S)
    stage.agree(stage.caller, CALLER)
    stage.offer(stage.assistant)
    stage.direct.declined(stage.assistant.id, 488)
    assert stage.settle(stage.caller, stage.assistant) == relayed(Why.DECLINED)
    assert stage.offer(stage.caller) == OURS
    assert not stage.direct.is_misplaced(stage.assistant.id)


@pytest.mark.keeps("17.34")
def test_a_peer_that_keeps_numbers_of_its_own_is_relayed_from_then_on() -> None:
    stage = Stage()
    stage.settle(stage.caller, stage.assistant)
    stage.clock.advance(SETTLED_S)
    stage.agree(stage.caller, CALLER)
    stage.agree(stage.assistant, ASSISTANT, events=96)
    assert stage.settle(stage.caller, stage.assistant) == relayed(Why.DECLINED)
    for leg, own in ((stage.caller, CALLER), (stage.assistant, ASSISTANT)):
        assert stage.agree(leg, own) == OURS
    stage.clock.advance(10)
    assert stage.settle(stage.caller, stage.assistant) == relayed(Why.DECLINED)


@pytest.mark.keeps("17.34")
def test_a_peer_with_which_nothing_comes_to_an_end_is_left_alone() -> None:
    stage = Stage()
    stage.settle(stage.caller, stage.assistant)
    stage.clock.advance(SETTLED_S)
    for _ in range(ATTEMPTS):
        assert stage.direct.is_misplaced(stage.assistant.id)
        stage.offer(stage.assistant)
    assert not stage.direct.is_misplaced(stage.assistant.id)


@pytest.mark.keeps("17.34")
def test_who_needs_something_of_ours_has_the_audio_come_to_us_and_stay() -> None:
    stage = Stage()
    stage.go()
    stage.direct.keep(stage.caller.id)
    assert stage.settle(stage.caller, stage.assistant) == relayed(Why.DECLINED)
    assert set(stage.told) == {"in-1", "out-1"}


@pytest.mark.keeps("17.34")
@pytest.mark.parametrize(
    ("side", "why"),
    [
        (Side(Format("PCMA", 8000, 1)), None),
        (Side(Format("PCMA", 8000, 1), "bridge"), None),
        (Side(Format("PCMA", 8000, 1, events=False), "direct"), Why.PAYLOAD_TYPES),
        (Side(Format("G722", 16000, 1), "direct"), None),
    ],
)
def test_what_keeps_audio_here(side: Side, why: Why | None) -> None:
    stage = Stage()
    assert stage.settle(stage.caller, stage.assistant, SIDE, side) == (relayed(why) if why else RELAYED)


@pytest.mark.keeps("17.34")
def test_keys_of_ones_own_keep_audio_here() -> None:
    stage = Stage()
    stage.assistant.is_encrypted = True
    assert stage.settle(stage.caller, stage.assistant) == relayed(Why.ENCRYPTED)


@pytest.mark.keeps("17.34")
def test_other_versions_of_ip_keep_audio_here() -> None:
    stage = Stage()
    stage.takes(stage.assistant, ("2001:db8::1", 5000))
    assert stage.settle(stage.caller, stage.assistant) == relayed(Why.PAYLOAD_TYPES)


def test_an_offer_of_another_kind_has_audio_come_to_us() -> None:
    """One that a peer has asked for may be for somebody else, with other codecs."""
    stage = Stage()
    stage.go()
    assert stage.direct.sent(stage.caller.id, OURS, answers=False) == OURS


@pytest.mark.parametrize(
    "text",
    ["", "v=0", "m=audio", "m=audio x RTP/AVP 8", "m=audio 99999999 RTP/AVP 8\r\nc=IN IP4 192.0.2.1",
     "c=IN IP4 host.example\r\nm=audio 4000 RTP/AVP 8", "c=IN IP4 192.0.2.1\r\nm=audio 4000 udptl t38",
     "c=IN IP4\r\nm=audio 4000 RTP/AVP 8", "m=video 4000 RTP/AVP 8\r\nc=IN IP4 192.0.2.1"],
)  # fmt: skip
def test_what_names_no_place_is_none(text: str) -> None:
    assert read_place(text) is None


def test_a_name_at_several_clocks_is_no_format() -> None:
    described = "c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 96 97\r\n"
    two = "a=rtpmap:96 telephone-event/8000\r\na=rtpmap:97 telephone-event/48000\r\n"
    found = read_place(described + two)
    assert found
    assert found.only("PCMA", events=True) is None
    assert found.only("PCMA", events=False)
