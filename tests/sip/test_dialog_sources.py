# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests and responses in a dialog, from somebody who knows its tags and is not its peer (105)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scenario import both_hear_anew
from tests.sip.scene import ANNA, ASSISTANT_HZ, TARGET_HZ, codes
from tests.support.peer_call import Call
from tests.support.sip_message import reply

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer import Peer

pytestmark = pytest.mark.sip

METHODS = ["BYE", "INVITE", "UPDATE", "INFO", "PRACK", "NOTIFY", "OPTIONS", "REFER"]


def forged(by: Peer, known: Call) -> Call:
    """The same dialog, as somebody else has it who has seen all of its messages."""
    made = Call(by, known.remote, local=known.local, far=known.far, call_id=known.call_id)
    made.target, made.cseq = known.target, known.cseq + 10
    by.calls.append(made)
    return made


async def other(scene: Scene, who: str) -> Peer:
    """Somebody whom nobody knows, or the peer of another line."""
    return await (scene.stranger() if who == "stranger" else scene.platform("livekit"))


def offer(call: Call) -> bytes:
    return call.offer(("PCMA", "PCMU"))


@pytest.mark.keeps("16.21")
@pytest.mark.parametrize("who", ["stranger", "other-peer"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_request_from_elsewhere_is_refused_and_changes_nothing(scene: Scene, method: str, who: str) -> None:
    caller, assistant = await scene.bridged()
    thief = forged(await other(scene, who), assistant)
    before = await scene.gateway.rejected_so_far()
    body, kind = (offer(thief), "application/sdp") if method in ("INVITE", "UPDATE") else (b"", None)
    if method == "INFO":
        body, kind = b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay"
    headers = [("Refer-To", ANNA)] if method == "REFER" else []
    answer = await thief.begin(method, headers=headers, body=body, content_type=kind).final()
    assert (answer.code, answer["Reason"]) == (403, 'SIP;cause=403;text="peer-not-allowed"')
    after = await scene.gateway.rejected()
    assert after == before + 1
    await both_hear_anew(caller, assistant)
    assert not caller.requests
    # The peer itself goes on as if nothing had been.
    assert (await assistant.reinvite()).code == 200


@pytest.mark.keeps("16.21")
@pytest.mark.parametrize("who", ["stranger", "other-peer"])
async def test_a_cancel_from_elsewhere_ends_no_call(scene: Scene, who: str) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx()
    assistant = await platform.wait_call()
    await assistant.ring()
    assert caller.invite
    await caller.invite.provisional(180)
    thief = forged(await other(scene, who), caller)
    thief.invite = caller.invite
    assert (await thief.cancel()).code == 403
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    await caller.media.hears(ASSISTANT_HZ)


@pytest.mark.keeps("16.22")
@pytest.mark.parametrize("code", [180, 200, 486])
@pytest.mark.parametrize("who", ["stranger", "other-peer"])
async def test_a_response_from_elsewhere_is_dropped(scene: Scene, who: str, code: int) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    assert target.incoming
    thief = await other(scene, who)
    body = target.answer_to(target.incoming.body)
    headers = [("Contact", f"<{thief.contact}>"), ("Content-Type", "application/sdp")]
    thief.send(reply(target.incoming, code, tag="thief", headers=headers, body=body), scene.gateway.sip)
    assert (await scene.gateway.http("GET", "/healthz"))[0] == 200
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    assert not thief.received("ACK")
