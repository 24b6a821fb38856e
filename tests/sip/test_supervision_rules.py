# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of what legs tell, and of legs that are as good as over; with legs that are none, on a test's clock."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway.core.model import PeerKind
from gateway.core.outcome import CallEnd, Reason
from gateway.sip import supervision
from gateway.sip.calls.pairs import Pairs
from gateway.sip.supervision import Supervision
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.bench.leg import FakeLeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.model import LegId


class Leg(FakeLeg):
    """A leg.Leg as far as its supervision looks at it."""

    def __init__(self, name: str, **more: Any) -> None:
        super().__init__(name, **more)
        self.refer: Any = None
        self.dialog: tuple[str, ...] = ()
        self.reported_over = self.unanswerable = self.is_unacknowledged = False
        self.early = False
        self.has_audio = True
        self.lost_code = 408


class Legs(dict[Any, Any]):
    """A leg_registry.LegRegistry."""

    def release(self, leg: Leg) -> None:
        """PJSUA's call is over."""

    def remove(self, leg: Leg) -> None:
        """The leg is."""
        del self[leg.id]

    def __iter__(self) -> Any:
        return iter(list(self.values()))


class Stage:
    """A caller who talks with an assistant, and what is said of them."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.clock, self.pairs = VirtualClock(BEGIN), Pairs()
        self.caller, self.assistant = Leg("in-1", incoming=True), Leg("out-1", kind=PeerKind.TRUNK)
        self.legs = Legs({leg.id: leg for leg in (self.caller, self.assistant)})
        self.goes_on = False  # whether another server is tried
        told = (
            "leg_ended",
            "leg_failed",
            "leg_answered",
            "leg_early_media",
            "leg_progress",
            "leg_pressed",
            "leg_renewed",
        )
        listener: Any = self._saying(*told)
        media: Any = self._saying("negotiated", "stopped", "changed", "forget", "keys_follow")
        media.activity = lambda leg: self.legs[leg].activity
        media.has_media = lambda _leg: True
        media.is_misplaced = media.goes_past = lambda _leg: False
        media.counted = lambda leg: f"counts of {leg.id}"
        others: Any = SimpleNamespace(forget=lambda _leg: None, ended=lambda _dialog: None)
        self.supervision = Supervision(
            self.legs,  # type: ignore[arg-type]
            self.pairs,
            media,
            others,
            others,
            listener,
            self.clock,
            lambda: None,
        )
        failover: Any = SimpleNamespace(forget=lambda _leg: None, goes_on=lambda _leg, _code: self.goes_on)
        self.supervision.failover = failover
        profile = SimpleNamespace(dtmf="rfc4733", srtp="off")
        sip = SimpleNamespace(rtp_timeout_s=10, max_call_s=0, answer_timeout_s=60)
        config: Any = SimpleNamespace(sip=sip, trunks={}, profile=lambda _name: profile)
        self.supervision.configure(config)
        self.pairs.join(self.caller.id, self.assistant.id)

    def _saying(self, *names: str) -> SimpleNamespace:
        def saying(name: str) -> Callable[..., None]:
            return lambda *what: self.said.append((name, *(getattr(one, "id", one) for one in what)))

        return SimpleNamespace(**{name: saying(name) for name in names})

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """What was said by these names."""
        return [one for one in self.said if one[0] in names]


def test_whoever_is_left_is_not_in_silence_before_the_engine_knows() -> None:
    stage = Stage()
    stage.supervision.ended(stage.assistant, 200, True)  # type: ignore[arg-type]
    assert stage.said == [
        ("leg_ended", "out-1", 200, True, CallEnd.HUNG_UP),
        ("changed", ("in-1", "out-1")),
        ("forget", "out-1"),
    ]
    assert stage.assistant.id not in stage.legs


def test_what_was_counted_of_a_leg_can_be_asked_for_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    monkeypatch.setattr(supervision, "COUNTED_OF", 1)
    assert stage.supervision.counted(stage.assistant.id) == "counts of out-1"  # type: ignore[comparison-overlap]
    stage.supervision.ended(stage.assistant, 200, True)  # type: ignore[arg-type]
    assert stage.supervision.counted(stage.assistant.id) == "counts of out-1"  # type: ignore[comparison-overlap]
    # Not for ever: of as many as may end within one turn of the loop.
    stage.supervision.ended(stage.caller, 200, True)  # type: ignore[arg-type]
    assert stage.supervision.counted(stage.caller.id) == "counts of in-1"  # type: ignore[comparison-overlap]
    assert stage.supervision.counted(stage.assistant.id) is None


def test_nobody_hears_of_a_server_after_which_another_is_tried() -> None:
    stage = Stage()
    stage.goes_on = True
    stage.supervision.ended(stage.assistant, 503, True)  # type: ignore[arg-type]
    assert stage.said == [("stopped", "out-1")]


def test_nor_of_one_whose_place_another_has_taken() -> None:
    stage = Stage()
    stage.legs[stage.assistant.id] = Leg("out-1", kind=PeerKind.TRUNK)
    stage.supervision.ended(stage.assistant, 487, False)  # type: ignore[arg-type]
    assert stage.said == []


def test_a_silent_leg_is_hung_up_and_told_of_once() -> None:
    stage = Stage()
    for leg in (stage.caller, stage.assistant):
        stage.supervision.answered(leg)  # type: ignore[arg-type]
    with capture_logs() as logs:
        for _ in range(20):
            stage.caller.activity += 50
            stage.clock.advance(1)
    assert [line["event"] for line in logs] == ["rtp-timeout"]
    assert stage.assistant.ended == 200
    assert stage.of("leg_ended") == [("leg_ended", "out-1", 408, False, CallEnd.RTP_TIMEOUT)]
    stage.supervision.ended(stage.assistant, 200, False)  # type: ignore[arg-type]
    assert len(stage.of("leg_ended")) == 1


def test_an_end_of_ours_waits_for_the_last_notify() -> None:
    stage = Stage()
    waiting: list[Callable[[], None]] = []
    stage.assistant.refer = SimpleNamespace(when_quiet=waiting.append)
    stage.supervision.hang_up(stage.assistant.id, 200, Reason.ANSWERED)
    assert stage.assistant.ended is None
    waiting[0]()
    assert stage.assistant.ended == 200


def test_an_answer_that_cannot_be_acknowledged_ends_the_leg() -> None:
    stage = Stage()
    stage.assistant.established, stage.assistant.lost_code = False, 488
    stage.supervision.taken(stage.assistant)  # type: ignore[arg-type]
    stage.assistant.is_unacknowledged = True
    with capture_logs() as logs:
        stage.clock.advance(0)
    assert [line["event"] for line in logs] == ["answer-unusable"]
    assert stage.of("leg_ended") == [("leg_ended", "out-1", 488, False, CallEnd.PEER_GONE)]
    assert stage.assistant.ended == 488


def test_a_trunk_that_answers_nothing_is_given_up() -> None:
    stage = Stage()
    stage.assistant.established = False
    stage.pairs.wait(stage.caller.id, stage.assistant.id)
    with capture_logs():
        stage.clock.advance(70)
    assert stage.of("leg_ended") == [("leg_ended", "out-1", 408, False, CallEnd.PEER_GONE)]
    assert stage.assistant.ended == 408


def test_media_that_comes_and_goes() -> None:
    stage = Stage()
    stage.assistant.early = True
    stage.supervision.media(stage.assistant)  # type: ignore[arg-type]
    stage.assistant.has_audio = False
    stage.supervision.media(stage.assistant)  # type: ignore[arg-type]
    assert stage.said == [("negotiated", "out-1"), ("leg_early_media", "out-1"), ("stopped", "out-1")]


def test_a_caller_who_could_not_be_answered_is_a_failure() -> None:
    stage = Stage()
    stage.caller.unanswerable = True
    stage.supervision.ended(stage.caller, 500, False)  # type: ignore[arg-type]
    assert stage.of("leg_failed", "leg_ended") == [("leg_failed", "in-1", "the caller's INVITE could not be answered")]


def test_an_unknown_leg_is_no_error() -> None:
    stage = Stage()
    stage.supervision.hang_up(_nobody(), 200, Reason.ANSWERED)
    stage.supervision.stop()
    assert stage.said == []
    assert stage.clock.waiting == 0


def _nobody() -> LegId:
    return Leg("nobody").id
