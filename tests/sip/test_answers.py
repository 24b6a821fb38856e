# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gateway says it can do, and that it does so: OPTIONS, capabilities, keys by INFO, PRACK, Expires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import has_keys
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, LINES

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer import Peer
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

ALLOW = {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REFER", "NOTIFY", "INFO", "PRACK", "UPDATE"}
SUPPORTED = {"100rel", "norefersub", "replaces", "tdialog", "timer"}
RELAY, PLAIN, NORTEL = "application/dtmf-relay", "application/dtmf", "application/vnd.nortelnetworks.digits"


def listed(message: Message, name: str) -> set[str]:
    return {tag.strip() for value in message.all(name) for tag in value.split(",")}


async def options(scene: Scene, peer: Peer, user: str) -> Message:
    return await peer.request("OPTIONS", scene.uri(user) if user else f"sip:{scene.remote[0]}", scene.remote)


# --- 44: one fact, one home


@pytest.mark.keeps("16.30")
async def test_what_it_can_do_is_said_alike_everywhere(scene: Scene) -> None:
    platform = await scene.platform()
    caller, assistant = await scene.bridged()
    assert caller.invite
    assert assistant.incoming
    said = {
        "OPTIONS": await options(scene, platform, ""),
        "OPTIONS in a call": await assistant.begin("OPTIONS").final(),
        "its INVITE": assistant.incoming,
        "its answer": caller.invite.responses[-1],
    }
    for where, message in said.items():
        assert listed(message, "Allow") == ALLOW, where
        assert listed(message, "Supported") == SUPPORTED, where
        if message.get("Accept") is not None:
            assert listed(message, "Accept") == {"application/sdp"}, where
    assert listed(said["OPTIONS"], "Accept") == {"application/sdp"}


@pytest.mark.keeps("16.30")
@pytest.mark.parametrize("method", ["SUBSCRIBE", "MESSAGE", "PUBLISH", "REGISTER", "FOO"])
async def test_what_is_not_allowed_is_405_with_the_same_list(scene: Scene, method: str) -> None:
    platform = await scene.platform()
    answer = await platform.request(method, scene.uri("2001"), scene.remote, headers=[("Event", "presence")])
    assert answer.code == 405
    assert listed(answer, "Allow") == ALLOW


# --- 69: OPTIONS (RFC 3261 §11.2)


@pytest.mark.keeps("16.38")
async def test_options_to_nobody_asks_whether_the_gateway_is_there(scene: Scene) -> None:
    platform = await scene.platform()
    for peer in (platform, scene.pbx):
        assert (await options(scene, peer, "")).code == 200
        assert (await options(scene, peer, "transfer-gateway")).code == 200  # our Contact


@pytest.mark.keeps("16.38")
@pytest.mark.parametrize(
    ("line", "user"),
    [("main", "+31612345681"), ("main", "2001"), ("main", "+31612345687"), ("main", "+31209999999"),
     ("main", "+31201234567"), ("main", "+31201234501"), ("livekit", "anna")],
)  # fmt: skip
async def test_options_of_a_trunk_gets_the_code_that_a_call_would_get(scene: Scene, line: str, user: str) -> None:
    platform = await scene.platform(line)
    transfers = await scene.gateway.transfers()
    asked = await options(scene, platform, user)
    assert await scene.gateway.transfers() == transfers
    assert not scene.pbx.received("INVITE")
    call = platform.invite(scene.uri(user), scene.remote)
    if asked.code == 200:
        target = await scene.pbx.wait_call()
        target.reject(486)
    told = await call.final()
    assert asked.code == (200 if told.code == 486 else told.code)
    assert listed(asked, "Allow") == ALLOW


@pytest.mark.keeps("16.38")
@pytest.mark.parametrize(("user", "code"), [("+31201234567", 200), ("+31612345681", 404), ("+31209999999", 404)])
async def test_options_of_the_pbx_gets_the_code_that_a_call_would_get(scene: Scene, user: str, code: int) -> None:
    asked = await options(scene, scene.pbx, user)
    assert asked.code == code
    if code == 404:
        assert (await scene.pbx.invite(scene.uri(user), scene.remote).final()).code == 404
        assert asked["Reason"].startswith("SIP;cause=404")


# --- 11, 77: keys by INFO


async def press(call: Call, body: str, content_type: str = RELAY) -> Message:
    return await call.begin("INFO", body=body.encode(), content_type=content_type).final()


@pytest.mark.keeps("16.29")
async def test_a_key_by_info_is_the_key_that_was_pressed(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await caller.media.hears(ASSISTANT_HZ)
    pressed = [
        ("Signal=10\r\nDuration=160", RELAY), ("Signal=11\r\nDuration=160", RELAY), ("Signal=12", RELAY),
        ("signal = 15\nduration = 160\n", RELAY), ("Duration=160\r\nSignal= 7\r\n", RELAY), ("3", PLAIN),
        ("Signal=#\r\nDuration=250", PLAIN), ("10", PLAIN), ("p=Digit-Collection\r\ny=Digits\r\nd=9", NORTEL),
        ("Signal=5", "Application/DTMF-Relay"),
    ]  # fmt: skip
    for body, content_type in pressed:
        assert (await press(assistant, body, content_type)).code == 200, body
    await has_keys(caller, "*#AD73#*95")


@pytest.mark.keeps("16.29")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [("Signal=16", RELAY), ("Signal=1x\r\nDuration=160", RELAY), ("Signal=", RELAY), ("Duration=160", RELAY),
     ("Signal=100", RELAY), ("Signal=1\r\nSignal=2", RELAY), ("12345", PLAIN), ("!", PLAIN)],
)  # fmt: skip
async def test_a_key_that_is_not_understood_is_refused_and_not_guessed(
    scene: Scene, body: str, content_type: str
) -> None:
    caller, assistant = await scene.bridged()
    await caller.media.hears(ASSISTANT_HZ)
    assert (await press(assistant, body, content_type)).code == 400
    assert (await press(assistant, "Signal=8")).code == 200
    await has_keys(caller, "8")


@pytest.mark.keeps("16.29")
async def test_an_info_of_another_kind_says_which_are_known(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    answer = await press(assistant, "<media_control/>", "application/media_control+xml")
    assert answer.code == 415
    assert listed(answer, "Accept") == {RELAY, PLAIN, NORTEL}
    assert (await assistant.begin("INFO").final()).code == 200
    packaged = await assistant.begin("INFO", headers=[("Info-Package", "nobody")]).final()
    assert packaged.code == 469
    await caller.media.hears(ASSISTANT_HZ)


# --- 70: PRACK (RFC 3262 §3)


@pytest.mark.keeps("16.39")
@pytest.mark.parametrize("reliable", [False, True])
async def test_a_prack_that_matches_nothing_is_481(scene: Scene, reliable: bool) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx(headers=[("Require", "100rel")] if reliable else [])
    assistant = await platform.wait_call()
    await assistant.ring(180)
    assert caller.invite
    ringing = await caller.invite.provisional(180)
    caller.target = ringing["Contact"].strip("<>").partition(">")[0]
    number = int(ringing["RSeq"]) if reliable else 1
    cseq = ringing.cseq[0]
    for rack in (f"{number + 1} {cseq} INVITE", f"{number} {cseq + 1} INVITE", f"{number} {cseq} UPDATE"):
        assert (await caller.begin("PRACK", headers=[("RAck", rack)]).final()).code == 481, rack
    for rack in ("", "one two INVITE", f"{number} {cseq}"):
        assert (await caller.begin("PRACK", headers=[("RAck", rack)]).final()).code == 400, rack
    right = f"{number} {cseq} INVITE"
    if reliable:
        assert (await caller.begin("PRACK", headers=[("RAck", right)]).final()).code == 200
    assert (await caller.begin("PRACK", headers=[("RAck", right)]).final()).code == 481
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    await caller.media.hears(ASSISTANT_HZ)
    assert (await caller.begin("PRACK", headers=[("RAck", right)]).final()).code == 481
    await assistant.media.hears(CALLER_HZ)


# --- 74: Expires in an INVITE (RFC 3261 §13.3.1)


@pytest.mark.keeps("16.40")
async def test_a_transfer_whose_invite_expires_is_487_and_nobody_rings_on(scene: Scene) -> None:
    platform = await scene.platform()
    call = platform.invite(scene.uri("+31612345681"), scene.remote, headers=[("Expires", "1")])
    target = await scene.target()
    await target.ring()
    assert (await call.final()).code == 487
    await target.wait_request("CANCEL")
    assert (await scene.outcome())["outcome"] == "abandoned"


@pytest.mark.keeps("16.40")
async def test_a_call_to_an_assistant_that_expires_is_487(scene: Scene) -> None:
    platform = await scene.platform()
    call = scene.call_from_pbx(headers=[("Expires", "1")])
    assistant = await platform.wait_call()
    await assistant.ring()
    assert (await call.final()).code == 487
    await assistant.wait_request("CANCEL")


@pytest.mark.keeps("16.40")
async def test_an_invite_that_has_expired_already_is_487(scene: Scene) -> None:
    await scene.platform()
    call = scene.call_from_pbx(headers=[("Expires", "0")])
    assert (await call.final()).code == 487


@pytest.mark.keeps("16.40")
async def test_a_call_that_was_answered_in_time_does_not_expire(scene: Scene) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx(headers=[("Expires", "1")])
    assistant = await platform.wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    other = scene.pbx.invite(scene.uri(LINES["main"].number), scene.remote, headers=[("Expires", "1")])
    assert (await other.final()).code == 487  # a second has passed
    await caller.media.hears(ASSISTANT_HZ)
    anna = await scene.referred(assistant)
    anna.reject(486)
    await assistant.notifies()
