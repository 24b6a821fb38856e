# SPDX-License-Identifier: GPL-2.0-or-later
"""What requests are answered, without a network: requests that a test writes, put before those who judge them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.config import Config, load
from gateway.core.caller import Asserted
from gateway.core.model import LegId
from gateway.core.outcome import Reason
from gateway.sip.calls.leg_control import KeyPress, KeyWay
from gateway.sip.requests.dialogs import parse_replaces, parse_target_dialog
from tests.bench import PBX, TRUNK
from tests.bench.leg import FakeLeg
from tests.config_directory import write
from tests.sip.request_stage import FAR_PBX, LINE, PLATFORM, SALES, STRANGER, Request, Stage, invite, refer


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return load(write(tmp_path_factory.mktemp("configuration")))


@pytest.fixture
def stage(config: Config) -> Stage:
    return Stage(config)


# --- an INVITE


def test_an_invite_of_a_peer_is_let_in_and_read(stage: Stage) -> None:
    asserted = ("P-Asserted-Identity", '"Eve" <sip:+31203334444@pbx>')
    assert stage.ask(invite(FAR_PBX, asserted, ("Max-Forwards", "12"))) == (0, [])
    (invitation,) = stage.expected
    assert invitation.peer == PBX
    assert invitation.called == (LINE,)
    assert [each.uri for each in invitation.calling] == ["sip:+31201112222@far", "sip:+31203334444@pbx"]
    call = invitation.call(LegId("in-1"), "call-1")
    assert (call.leg, call.call_id, call.peer, call.max_forwards) == ("in-1", "call-1", PBX, 12)
    assert stage.rejected == []


def test_a_stranger_is_refused_whatever_they_ask(stage: Stage) -> None:
    for method in ("INVITE", "OPTIONS", "REFER", "BYE", "PUBLISH"):
        assert stage.ask(Request(method, LINE, STRANGER))[0] == 403
    assert stage.rejected == [Reason.PEER_NOT_ALLOWED] * 5
    assert stage.expected == []


@pytest.mark.parametrize(
    ("what", "code", "reason"),
    [
        ("overload", 503, Reason.GATEWAY_STOPPED),
        ("full", 503, Reason.TRUNK_AT_CAPACITY),
        ("no room", 503, Reason.AT_CAPACITY),
    ],
)
def test_who_cannot_be_taken_now_is_told_when_to_come_again(stage: Stage, what: str, code: int, reason: Reason) -> None:
    stage.overload = Reason.GATEWAY_STOPPED if what == "overload" else None
    stage.full, stage.room = what == "full", 0 if what == "no room" else 9
    answered, headers = stage.ask(invite(PLATFORM))
    assert (answered, stage.rejected) == (code, [reason])
    assert ("Retry-After", "5") in headers
    assert stage.expected == []


def test_our_own_invite_and_one_that_came_twice_go_round_in_circles(stage: Stage) -> None:
    assert stage.ask(invite("127.0.0.2"))[0] == 482
    stage.leg("caller", PBX).sip_call_id = "call-1"
    assert stage.ask(invite(FAR_PBX))[0] == 482
    assert stage.rejected == [Reason.LOOP] * 2


def test_an_invite_without_hops_left_goes_nowhere(stage: Stage) -> None:
    assert stage.ask(invite(FAR_PBX, ("Max-Forwards", "0")))[0] == 483
    assert stage.rejected == [Reason.TOO_MANY_HOPS]


def test_an_offer_that_cannot_be_used_makes_no_call(stage: Stage) -> None:
    request = invite(FAR_PBX)
    request.offer_problem = 488
    assert stage.ask(request)[0] == 488
    assert stage.expected == []


def test_an_invite_that_has_expired_already_ends_at_once(stage: Stage) -> None:
    assert stage.ask(invite(FAR_PBX, ("Expires", "0")))[0] == 487


def test_replaces_names_a_leg_and_is_ours_to_carry_out(stage: Stage) -> None:
    stage.dialog = FakeLeg("assistant")
    stage.overload, stage.full, stage.room = Reason.GATEWAY_STOPPED, True, 1  # the new leg takes the place of one
    request = invite(PLATFORM, ("Replaces", "abc@x;to-tag=1;from-tag=2"))
    assert stage.ask(request)[0] == 0
    assert stage.expected[0].replaces == "assistant"
    assert request.values("Replaces") == ()


@pytest.mark.parametrize(
    ("values", "code"), [(["abc;to-tag=1;from-tag=2"], 481), (["abc"], 400), (["abc;to-tag=1;from-tag=2"] * 2, 400)]
)
def test_a_replaces_that_names_nothing_makes_no_call(stage: Stage, values: list[str], code: int) -> None:
    assert stage.ask(invite(PLATFORM, *(("Replaces", value) for value in values)))[0] == code
    assert stage.expected == []


def test_a_peer_behind_nat_is_named_once(stage: Stage) -> None:
    request = invite(PLATFORM)
    request.headers = [("From", "<sip:a@b>"), ("Contact", "<sip:x@10.0.0.5>")]
    with capture_logs() as logs:
        stage.ask(request)
        stage.ask(request)
    assert [line["contact"] for line in logs if line["event"] == "contact-not-the-source"] == ["10.0.0.5"]


# --- other requests outside of a dialog


def test_options_asks_whether_an_invite_would_be_let_in(stage: Stage) -> None:
    code, headers = stage.ask(Request("OPTIONS", "sip:127.0.0.2", PLATFORM))
    assert code == 200
    assert {"Allow", "Accept", "Supported"} <= dict(headers).keys()
    assert stage.ask(Request("OPTIONS", SALES, PLATFORM))[0] == 200
    assert stage.ask(Request("OPTIONS", LINE, PLATFORM))[0] == 404
    stage.room = 1
    assert stage.ask(Request("OPTIONS", SALES, PLATFORM))[0] == 503
    stage.full = True
    assert stage.ask(Request("OPTIONS", SALES, PLATFORM))[0] == 503
    stage.overload = Reason.GATEWAY_STOPPED
    code, headers = stage.ask(Request("OPTIONS", "tel:+31612345678", PLATFORM))
    assert (code, "gateway-stopped" in dict(headers)["Reason"]) == (503, True)
    assert stage.ask(Request("OPTIONS", "sip:transfer-gateway@127.0.0.2", PLATFORM))[0] == 200


@pytest.mark.parametrize(("method", "code"), [("BYE", 481), ("NOTIFY", 481), ("MESSAGE", 405), ("SUBSCRIBE", 405)])
def test_what_belongs_to_no_dialog_and_what_we_do_not_do(stage: Stage, method: str, code: int) -> None:
    assert stage.ask(Request(method, LINE, PLATFORM))[0] == code


@pytest.mark.keeps("16.189")
@pytest.mark.parametrize(
    "more", ['x="a;local-tag=9;to-tag=9";', r'x="\";local-tag=9;to-tag=9";', "x=<;local-tag=9;to-tag=9>;", ""]
)
def test_a_semicolon_in_quotes_begins_no_parameter(more: str) -> None:
    """RFC 3261 section 25.1: a generic-param may hold a quoted-string; a quote in a Call-ID begins none."""
    named, _ = parse_target_dialog(f'a"b@x;{more}local-tag=1;remote-tag=2')
    assert (named.call_id, named.local_tag, named.remote_tag) == ('a"b@x', "1", "2")
    replaced = parse_replaces(f'a"b@x ; {more}to-tag=1 ;from-tag= 2;early-only')
    assert (replaced.call_id, replaced.local_tag, replaced.remote_tag, replaced.early_only) == ('a"b@x', "1", "2", True)


def test_a_refer_outside_of_a_dialog_has_to_name_one(stage: Stage) -> None:
    assert stage.ask(refer(("Refer-To", f"<{SALES}>")))[0] == 403
    assert stage.ask(Request("REFER", LINE, PLATFORM, ("Refer-To", f"<{SALES}>")))[0] == 400
    assert stage.ask(refer(("Target-Dialog", "nothing")))[0] == 400
    stage.dialog = stage.leg("assistant", TRUNK)
    stage.ask(refer(("Refer-To", f"<{SALES}>"), ("Target-Dialog", "abc;local-tag=1;remote-tag=2")))
    assert [each.target for each in stage.refers] == [SALES]


# --- REFER in a dialog


def test_a_refer_is_read_answered_and_tied_to_its_leg(stage: Stage) -> None:
    leg = stage.leg("assistant", TRUNK)
    request = refer(("Refer-To", f"<{SALES}?Referred-By=x&X-Note=hello>"), ("Referred-By", "<sip:bot@far>"))
    stage.handler.onRefer(1, request)  # type: ignore[arg-type]
    assert request.accepted == 202
    (read,) = stage.refers
    assert (read.leg, read.peer, read.target, read.subscribe) == ("assistant", TRUNK, SALES, True)
    assert leg.refer is read.handle
    assert leg.refers == 1


def test_a_refer_that_wants_no_subscription_gets_none(stage: Stage) -> None:
    leg = stage.leg("assistant", TRUNK)
    request = refer(("Refer-To", f"<{SALES}>"), ("Refer-Sub", "false"))
    stage.handler.onRefer(1, request)  # type: ignore[arg-type]
    assert request.told == (202, {"Refer-Sub": "false"})
    assert leg.refer is None


def test_a_refer_that_requires_what_we_do_not_know_says_what(stage: Stage) -> None:
    stage.leg("assistant", TRUNK)
    request = refer(("Refer-To", f"<{SALES}>"), ("Require", "nothing-known"))
    stage.handler.onRefer(1, request)  # type: ignore[arg-type]
    assert request.told is not None
    assert (request.told[0], request.told[1]["Unsupported"]) == (420, "nothing-known")


def test_an_attended_transfer_names_the_transferors_other_leg(stage: Stage) -> None:
    leg = stage.leg("assistant", TRUNK)
    stage.dialog = stage.leg("consultation", TRUNK, 2)
    wanted = ("Refer-To", "<sip:2001@x?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>")
    stage.handler.onRefer(1, refer(wanted))  # type: ignore[arg-type]
    assert stage.refers[0].consultation == "consultation"
    stage.dialog = leg
    stage.handler.onRefer(1, refer(wanted))  # type: ignore[arg-type]
    assert stage.refers[1].problem is Reason.BAD_REQUEST
    stage.dialog = Reason.DIALOG_ENDED
    stage.handler.onRefer(1, refer(wanted))  # type: ignore[arg-type]
    assert stage.refers[2].problem is Reason.DIALOG_ENDED


def test_a_refer_of_another_peer_or_of_nobody_is_refused(stage: Stage) -> None:
    other, late = refer(source=FAR_PBX), refer()
    stage.leg("assistant", TRUNK)
    stage.handler.onRefer(1, other)  # type: ignore[arg-type]
    assert other.told is not None
    assert other.told[0] == 403
    stage.handler.onRefer(9, late)  # type: ignore[arg-type]
    assert late.told == (481, {})
    assert stage.refers == []


# --- INFO, and what is told in a dialog


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ([], "", 200),
        ([("Content-Type", "application/dtmf-relay")], "Signal=5\r\nDuration=160\r\n", 200),
        ([("Content-Type", "application/dtmf-relay")], "Signal=nothing\r\n", 400),
        ([("Content-Type", "text/plain")], "5", 415),
        ([("Info-Package", "foo")], "", 469),
    ],
)
def test_info_tells_of_a_key_or_is_answered_as_the_rfc_has_it(
    stage: Stage, headers: list[tuple[str, str]], body: str, code: int
) -> None:
    stage.leg("assistant", TRUNK)
    request = Request("INFO", LINE, PLATFORM, *headers, body=body)
    stage.handler.onInfo(1, request)  # type: ignore[arg-type]
    assert request.told is not None
    assert request.told[0] == code
    assert stage.pressed == ([KeyPress("5", KeyWay.INFO)] if body.startswith("Signal=5") else [])


def test_info_for_a_call_that_is_over(stage: Stage) -> None:
    request = Request("INFO", LINE, PLATFORM)
    stage.handler.onInfo(1, request)  # type: ignore[arg-type]
    assert request.told == (481, {})


def test_who_is_there_now_is_told_once_a_peer_says_so(stage: Stage) -> None:
    leg = stage.leg("agent", PBX)
    leg.getInfo = lambda: SimpleNamespace(remoteUri="<sip:2001@pbx>")
    said = [Asserted(), None]
    leg.connected = SimpleNamespace(
        told=lambda text, _remote: said[1] if "P-Asserted" not in text else _asserted("sip:2002@pbx")
    )
    update = Request("UPDATE", LINE, FAR_PBX, ("P-Asserted-Identity", "<sip:2002@pbx>"))
    assert stage.handler.onRefresh(1, update, []) == 0  # type: ignore[arg-type]
    stage.handler.onConnected(1, "SIP/2.0 200 OK")
    stage.handler.onConnected(9, "SIP/2.0 200 OK")
    assert stage.handler.onRefresh(9, update, []) == 0  # type: ignore[arg-type]
    assert stage.said == [("connected", "agent", "sip:2002@pbx")]


def _asserted(uri: str) -> Any:
    return SimpleNamespace(identities=[SimpleNamespace(uri=uri)])


# --- what cannot be used


def test_a_bad_request_is_answered_as_it_deserves_and_a_strangers_with_403(stage: Stage) -> None:
    extra: list[Any] = []
    assert stage.handler.onUnfit(Request("INVITE", LINE, PLATFORM), 420, "Require", extra) == 420  # type: ignore[arg-type]
    assert stage.handler.onUnfit(Request("INVITE", LINE, STRANGER), 420, "Require", extra) == 403  # type: ignore[arg-type]
    stage.handler.onNotMade("call-1", 488)
    assert stage.rejected == [Reason.UNSUPPORTED_EXTENSION, Reason.PEER_NOT_ALLOWED, Reason.BAD_REQUEST]


def test_a_message_that_pjsip_cannot_read_is_answered_where_it_can_be(stage: Stage) -> None:
    lines = ["Via: SIP/2.0/UDP x", "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 OPTIONS"]
    text = "\r\n".join(["OPTIONS sip:x SIP/2.0", *lines, "", ""])
    assert stage.handler.onMalformed(text, PLATFORM, "Contact", True).startswith("SIP/2.0 400 Bad Contact Header")
    assert stage.handler.onMalformed("nonsense", PLATFORM, "", True) == ""
    assert stage.rejected == [Reason.BAD_REQUEST]


def test_each_other_callback_goes_to_whose_business_it_is(stage: Stage) -> None:
    stage.leg("agent", PBX)
    handler = stage.handler
    handler.onTurnedAway(STRANGER, "INVITE", "peer-not-allowed")
    handler.onOptionsAnswered(1, 200)
    handler.onReferAnswered(2, 202)
    handler.onReferNotified(2, "SIP/2.0 200 OK", True)
    handler.onWatchNotified(3, "active", "application/pidf+xml", "<x/>")
    handler.onWatchRefreshed(3)
    handler.onWatchEnded(3, 404, "noresource", -1)
    handler.onResolve(4, "pbx.example", 0, "udp")
    handler.onRequestAnswered(1, "INFO", 200)
    handler.onUnsubscribed(99)
    handler.onNotifyAnswered(99, 200)
    with capture_logs() as logs:
        handler.onDescriptionRefused("call-1", "answer", 488)
        handler.onUnsent("BYE", "call-1", "sip:x")
        handler.onKeyMissing(1)
    assert stage.said == [
        ("turned away", "peer-not-allowed", STRANGER, "INVITE"),
        ("reply", "1", "200"),
        ("reply", "2", "202"),
        ("notified", "2", "SIP/2.0 200 OK", "True"),
        ("notified", "3", "active", "application/pidf+xml", "<x/>"),
        ("refreshed", "3"),
        ("ended", "3", "404", "noresource", "-1"),
        ("resolve", "4", "pbx.example", "0", "udp"),
        ("answered", "INFO", "200"),
    ]
    assert [line["event"] for line in logs] == ["description-unusable", "request-not-sent", "key-missing"]


def test_a_description_passes_through_the_path_of_its_leg(stage: Stage) -> None:
    stage.leg("out-1", TRUNK)
    assert stage.handler.onDescription(1, True, False, "ours") == "out-1 sends ours, answers: False"
    assert stage.handler.onDescription(1, False, True, "theirs") == "out-1 gets theirs, answers: True"
    assert stage.handler.onDescription(2, True, False, "nobody's") == ""
    stage.legs.making = LegId("in-2")
    assert stage.handler.onDescription(2, False, False, "an offer") == "in-2 gets an offer, answers: False"


def test_nothing_that_goes_wrong_gets_into_pjsip(stage: Stage) -> None:
    stage.legs = None  # type: ignore[assignment]
    broken: Any = SimpleNamespace()
    with capture_logs() as logs:
        assert stage.handler.onRequest(broken, broken) == 500
    assert [line["event"] for line in logs] == ["sip-callback-failed"]
