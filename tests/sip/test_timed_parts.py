# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user agent does by the clock: trunks asked, floods summed up, invitations ended, dialogs remembered."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pjsua2 as pj
import pytest
from structlog.testing import capture_logs

from gateway.config import TrunkProfile
from gateway.core.model import LegId, Peer, PeerKind
from gateway.core.outcome import Reason
from gateway.ports import Stranger
from gateway.sip.requests import dialogs
from gateway.sip.requests.dialogs import DialogId, Dialogs
from gateway.sip.requests.expiry import Expiries
from gateway.sip.requests.subscriptions import Subscriptions
from gateway.sip.stack.front import KEPT_S, MOST_KEPT, MOST_SOURCES, SUM_S, Tally
from gateway.sip.stack.rtp_source import DroppedMedia
from gateway.sip.stack.trunks import TrunkWatch
from tests.bench.clock import VirtualClock

if TYPE_CHECKING:
    from gateway.sip.calls.leg import Leg

PLATFORM = Peer("platform", PeerKind.TRUNK)
DIALOG = ("call-1", "ours", "theirs")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 2, 11, 0, tzinfo=UTC))


class Trunks:
    """A watch over trunks, and the OPTIONS that it sent."""

    def __init__(self, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[int, str, int]] = []
        self.changes: list[tuple[str, bool]] = []
        self.can_send = True
        self.registered: list[str] = []
        self.watch = TrunkWatch(lambda name, up: self.changes.append((name, up)), clock)
        self.watch.register = self.registered.append
        monkeypatch.setattr(pj, "send_options", self._send)

    def _send(self, account: int, uri: str, token: int) -> bool:
        self.sent.append((account, uri, token))
        return self.can_send

    def answer(self, code: int) -> None:
        """The last OPTIONS is answered."""
        self.watch.answered(self.sent[-1][2], code)


@pytest.fixture
def trunks(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Trunks:
    made = Trunks(clock, monkeypatch)
    told = {"kind": "trunk", "addresses": ["192.0.2.1"], "outbound": "sip:192.0.2.1", "options_interval_s": 30}
    profile = TrunkProfile.model_validate(told)
    made.watch.watch({"platform": profile}, {"platform": 7})
    return made


def test_a_trunk_is_asked_at_once_and_at_each_interval(trunks: Trunks, clock: VirtualClock) -> None:
    assert trunks.sent == [(7, "sip:192.0.2.1", 1)]
    trunks.answer(200)
    clock.advance(60)
    assert len(trunks.sent) == 2, "an OPTIONS that still waits for its answer is not sent again"
    trunks.answer(405)
    clock.advance(30)
    assert len(trunks.sent) == 3


@pytest.mark.keeps("16.132")
@pytest.mark.parametrize(
    ("code", "after_s"),
    [(403, 300), (401, 300), (407, 300), (404, 30), (423, 30), (302, 30), (503, 30), (603, 30), (200, 30)],
)  # fmt: skip
def test_a_registration_that_is_not_there_is_asked_for_again(
    trunks: Trunks, clock: VirtualClock, tmp_path: Path, code: int, after_s: float
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse")
    told = {"kind": "trunk", "addresses": ["192.0.2.1"], "outbound": "sip:192.0.2.1", "register": True}
    registrar = {"platform": TrunkProfile.model_validate({**told, "username": "hms", "password_file": str(secret)})}
    trunks.watch.watch(registrar, {"platform": 7})
    trunks.watch.registered("platform", False, code, 0)
    clock.advance(after_s - 1)
    assert trunks.registered == []
    clock.advance(1)
    assert trunks.registered == ["platform"]
    trunks.watch.registered("platform", False, code, 0)
    trunks.watch.watch(registrar, {"platform": 7})  # a reload
    clock.advance(after_s)
    assert trunks.registered == ["platform", "platform"]
    trunks.watch.registered("platform", True, 200, 300)
    clock.advance(3600)
    assert trunks.registered == ["platform", "platform"]
    assert trunks.changes == [("platform", False), ("platform", True)]


@pytest.mark.keeps("16.188")
def test_a_registration_for_a_moment_is_told_of_once(trunks: Trunks) -> None:
    with capture_logs() as logs:
        for granted_s in (300, 10, 10, 11, 10):
            trunks.watch.registered("platform", True, 200, granted_s)
        trunks.watch.registered("platform", False, 503, 0)
    assert [line["event"] for line in logs if line["event"] == "registration-short"] == ["registration-short"] * 2


def test_a_trunk_is_told_of_when_it_changes(trunks: Trunks, clock: VirtualClock) -> None:
    for code in (200, 404, 408, 503, 200):
        trunks.answer(code)
        clock.advance(30)
    assert trunks.changes == [("platform", True), ("platform", False), ("platform", True)]
    assert trunks.watch.up == {"platform": True}


def test_a_trunk_that_cannot_be_asked_is_down(trunks: Trunks, clock: VirtualClock) -> None:
    trunks.can_send = False
    trunks.answer(200)
    clock.advance(30)
    assert trunks.changes == [("platform", True), ("platform", False)]


def test_a_trunk_that_is_configured_no_more_is_not_asked(trunks: Trunks, clock: VirtualClock) -> None:
    trunks.watch.watch({}, {})
    trunks.answer(200)
    clock.advance(3600)
    assert (len(trunks.sent), trunks.changes, trunks.watch.up, clock.waiting) == (1, [], {}, 0)


# --- what is turned away


def test_the_first_of_a_source_is_logged_and_the_others_of_a_minute_in_one_line(clock: VirtualClock) -> None:
    counted: list[int] = []
    tally = Tally(lambda _reason, count: counted.append(count), clock)
    with capture_logs() as logs:
        for _ in range(3):
            tally.add(Reason.PEER_NOT_ALLOWED, "192.0.2.9", "REGISTER", count=5)
        clock.advance(SUM_S - 1)
        tally.tell()
        clock.advance(1)
        tally.tell()
        tally.tell()
    assert sum(counted) == 15
    told = [(line["event"], line["source"], line.get("requests")) for line in logs]
    assert told == [("request-rejected", "192.0.2.9", "5"), ("requests-rejected", "192.0.2.9", 10)]


def test_sources_without_end_share_a_line(clock: VirtualClock) -> None:
    tally = Tally(lambda _reason, _count: None, clock)
    with capture_logs() as logs:
        for number in range(MOST_SOURCES + 50):
            tally.add(Reason.PEER_NOT_ALLOWED, f"source-{number}")
        tally.tell(all_of_it=True)
    assert len(logs) == MOST_SOURCES + 2
    assert [(line["source"], line["requests"]) for line in logs if line["event"] == "requests-rejected"] == [
        ("many", 49)
    ]


def test_who_is_in_no_profile_is_known_for_an_hour_and_until_a_profile_has_the_address(clock: VirtualClock) -> None:
    tally = Tally(lambda _reason, _count: None, clock)
    tally.add(Reason.PEER_NOT_ALLOWED, "192.0.2.9", count=5)
    tally.add(Reason.BAD_REQUEST, "192.0.2.7")
    tally.add(Reason.PEER_NOT_ALLOWED, "")
    clock.advance(KEPT_S / 2)
    at = clock.now().wall
    tally.add(Reason.PEER_NOT_ALLOWED, "2001:db8::9", "INVITE")
    tally.add(Reason.PEER_NOT_ALLOWED, "192.0.2.9")
    assert tally.strangers == [Stranger("192.0.2.9", 6, at), Stranger("2001:db8::9", 1, at)]
    tally.admit(lambda source: source == "2001:db8::9")
    assert tally.strangers == [Stranger("192.0.2.9", 6, at)]
    clock.advance(KEPT_S + 1)
    assert tally.strangers == []
    tally.add(Reason.PEER_NOT_ALLOWED, "192.0.2.9")
    assert [each.requests for each in tally.strangers] == [1]
    for number in range(MOST_KEPT):
        tally.add(Reason.PEER_NOT_ALLOWED, f"198.51.100.{number}")
    assert (len(tally.strangers), tally.strangers[0].source) == (MOST_KEPT, f"198.51.100.{MOST_KEPT - 1}")


# --- media from elsewhere


def test_media_from_elsewhere_is_counted_and_told_once_for_each_call(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [["call-1", "3", "192.0.2.9:4000", "192.0.2.1:4000", "7", "0", "1"], ["call-1", "3", "", "", "2", "1", "0"]]
    monkeypatch.setattr(pj, "take_dropped", lambda: found.pop(0) if found else [])
    dropped: list[tuple[str, int]] = []
    looks = DroppedMedia(lambda account: f"peer-{account}", lambda kind, count: dropped.append((kind, count)), clock)
    looks.start()
    with capture_logs() as logs:
        clock.advance(5)
    assert dropped == [("rtp", 7), ("rtp", 2), ("rtcp", 1)]
    assert [(line["peer"], line["source"]) for line in logs] == [("peer-3", "192.0.2.9:4000")]
    looks.stop()
    assert clock.waiting == 0


# --- invitations


class Invited:
    """A leg that rings."""

    def __init__(self, name: str) -> None:
        self.id, self.peer, self.sip_call_id = LegId(name), PLATFORM, name
        self.expired = False

    def expire(self) -> None:
        """See Leg."""
        self.expired = True


def test_an_invitation_ends_when_its_time_is_over_unless_it_was_answered(clock: VirtualClock) -> None:
    kicks: list[int] = []
    expiries = Expiries(clock, lambda: kicks.append(1))
    late, answered, patient = Invited("late"), Invited("answered"), Invited("patient")
    for leg, seconds in ((late, 30), (answered, 30), (patient, None)):
        expiries.watch(cast("Leg", leg), seconds)
    clock.advance(29.9)
    expiries.forget(answered.id)
    assert not late.expired
    clock.advance(10)
    assert [leg.expired for leg in (late, answered, patient)] == [True, False, False]
    assert kicks == [1]
    expiries.watch(cast("Leg", Invited("more")), 30)
    expiries.stop()
    assert clock.waiting == 0


# --- dialogs that are over


class Found:
    """A leg that a header names."""

    def __init__(self, **facts: Any) -> None:
        self.peer, self.over, self.established, self.incoming = PLATFORM, False, True, True
        self.__dict__ |= facts


@pytest.mark.parametrize(
    ("leg", "early_only", "answer"),
    [
        (Found(), False, None),
        (Found(peer=Peer("asterisk", PeerKind.PBX)), False, Reason.PEER_NOT_ALLOWED),
        (Found(), True, Reason.DIALOG_NOT_EARLY),
        (Found(established=False), True, Reason.NO_SUCH_DIALOG),
        (Found(established=False, incoming=False), True, None),
        (Found(over=True), False, Reason.NO_SUCH_DIALOG),
    ],
)
def test_which_dialog_may_be_replaced(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, leg: Found, early_only: bool, answer: Reason | None
) -> None:
    """RFC 3891 §3."""
    monkeypatch.setattr(pj, "find_call", lambda *_: 0)
    found = Dialogs(lambda _index: cast("Leg", leg), clock).find(DialogId(*DIALOG, early_only), PLATFORM)
    assert found is (leg if answer is None else answer)


def test_a_dialog_that_is_over_is_remembered_for_a_while(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pj, "find_call", lambda *_: -1)
    known = Dialogs(lambda _index: None, clock)
    known.ended(DIALOG)
    assert known.find(DialogId(*DIALOG), PLATFORM) is Reason.DIALOG_ENDED
    clock.advance(dialogs.REMEMBERED_S + 1)
    assert known.find(DialogId(*DIALOG), PLATFORM) is Reason.NO_SUCH_DIALOG


def test_dialogs_without_end_are_not_kept(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pj, "find_call", lambda *_: -1)
    known = Dialogs(lambda _index: None, clock)
    for number in range(dialogs.REMEMBERED + 1):
        known.ended((f"call-{number}", "ours", "theirs"))
    assert known.find(DialogId("call-0", "ours", "theirs"), PLATFORM) is Reason.NO_SUCH_DIALOG
    assert known.find(DialogId("call-1", "ours", "theirs"), PLATFORM) is Reason.DIALOG_ENDED


# --- subscriptions


class Told:
    """Listens to a subscription."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def watch_told(self, watch: int, content_type: str, body: bytes) -> None:
        """See ports.WatchListener."""
        self.heard.append((watch, content_type, body))

    def watch_confirmed(self, watch: int) -> None:
        """See ports.WatchListener."""
        self.heard.append((watch, "confirmed"))

    def watch_ended(self, watch: int, code: int, reason: str, retry_after_s: int | None) -> None:
        """See ports.WatchListener."""
        self.heard.append((watch, code, reason, retry_after_s))


def test_what_a_subscription_tells_is_passed_on_after_pjsip_has_returned(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pj, "watch", lambda *_: 4)
    refreshed: list[bool] = [True]
    ended: list[int] = []
    monkeypatch.setattr(pj, "refresh_watch", lambda *_: refreshed[0])
    monkeypatch.setattr(pj, "end_watch", ended.append)
    listener = Told()
    watches = Subscriptions(lambda *_: (0, "sip:6001@192.0.2.7"), lambda: None, clock)
    assert watches.watch("asterisk", "6001", "dialog", listener) == 4
    watches.notified(4, "pending", "application/dialog-info+xml", "<not-yet/>")
    watches.notified(4, "Active", "Application/dialog-info+xml", "<state/>")
    watches.refreshed(4)
    watches.confirm(4)
    assert listener.heard == []
    clock.advance(0)
    assert listener.heard == [(4, "application/dialog-info+xml", b"<state/>"), (4, "confirmed")]
    refreshed[0] = False
    watches.confirm(4)
    clock.advance(0)
    assert (listener.heard[2:], ended) == ([(4, 503, "", None)], [4])
    watches.notified(4, "active", "text/plain", "nobody listens any more")
    clock.advance(0)
    assert len(listener.heard) == 3
