# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests in a dialog whose session is over: each is answered, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.scene import ASSISTANT_HZ
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.gateway import Gateway
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

METHODS = ("INVITE", "UPDATE", "INFO", "PRACK", "OPTIONS", "NOTIFY", "MESSAGE", "REFER", "SUBSCRIBE")
LATE = {481, 405, 200, 489, 400}
"""What is not the session's is answered as ever, where the dialog is still there."""
LINGER_S = 60


async def dialogs_gone(gateway: Gateway) -> None:
    """The stack holds no dialog, and in the end no transaction."""

    async def gone() -> bool:
        stack = (await gateway.get("/api/status"))["stack"]
        return bool(stack["dialogs"] == 0 and stack["transactions"] == 0)

    await eventually(gone, "an empty stack", timeout_s=LINGER_S, every_s=0.5)


async def ask(call: Call, method: str) -> int:
    """Send a request of this method and return the answer's code."""
    described = method in ("INVITE", "UPDATE")
    body = call.offer() if described else b""
    answer = await call.begin(method, body=body, content_type="application/sdp").final()
    return answer.code


@pytest.mark.keeps("16.1")
async def test_a_request_that_crosses_our_bye(scene: Scene) -> None:
    pairs = [await scene.bridged() for _ in METHODS]
    for _, assistant in pairs:
        assistant.answers["BYE"] = None
    await asyncio.gather(*(caller.hang_up() for caller, _ in pairs))
    byes = [await assistant.wait_request("BYE") for _, assistant in pairs]
    codes = await asyncio.gather(
        *(ask(assistant, method) for (_, assistant), method in zip(pairs, METHODS, strict=True))
    )
    assert dict(zip(METHODS, codes, strict=True)).items() >= {"INVITE": 481, "UPDATE": 481, "INFO": 481}.items()
    assert set(codes) <= LATE, codes
    for (_, assistant), bye in zip(pairs, byes, strict=True):
        assistant.respond(bye, 200)
    await dialogs_gone(scene.gateway)


@pytest.mark.keeps("16.1")
async def test_a_request_that_follows_the_peer_s_own_bye(scene: Scene) -> None:
    pairs = [await scene.bridged() for _ in METHODS]
    for caller, _ in pairs:
        assert (await caller.hang_up()).code == 200
    codes = await asyncio.gather(*(ask(caller, method) for (caller, _), method in zip(pairs, METHODS, strict=True)))
    assert dict(zip(METHODS, codes, strict=True)).items() >= {"INVITE": 481, "UPDATE": 481, "INFO": 481}.items()
    assert set(codes) <= LATE, codes
    await dialogs_gone(scene.gateway)


@pytest.mark.keeps("16.1")
async def test_both_hang_up_at_once(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assistant.answers["BYE"] = None
    await caller.hang_up()
    bye = await assistant.wait_request("BYE")
    assert (await assistant.hang_up()).code == 200
    assistant.respond(bye, 481)


@pytest.mark.keeps("16.3")
async def test_who_never_acknowledges_a_reinvite_is_hung_up_on(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    caller.keeps_ack = True
    assert (await caller.reinvite()).code == 200
    await caller.media.hears(ASSISTANT_HZ)
    await caller.wait_request("BYE", timeout_s=45)
    await assistant.wait_request("BYE")


@pytest.mark.keeps("16.185")
async def test_a_dialog_that_is_still_there_says_who_holds_it(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    ours, theirs = [await told_of(scene.gateway, call) for call in (caller, assistant)]
    assert (ours["role"], theirs["role"]) == ("uas", "uac")
    assert (ours["leg"], ours["invite"], theirs["leg"]) == (True, "CONFIRMED", True)
    assert ours["remote"].endswith(f";tag={caller.local.rpartition(';tag=')[2]}")
    assistant.answers["BYE"] = None
    await caller.hang_up()
    bye = await assistant.wait_request("BYE")
    assert (await told_of(scene.gateway, assistant))["local_cseq"] == bye.cseq[0] + 1
    assistant.respond(bye, 200)

    async def held_by_transactions_alone() -> bool:
        told = await told_of(scene.gateway, caller)
        return (told["leg"], told["sessions"]) == (False, 0) and told["transactions"] > 0

    await eventually(held_by_transactions_alone, "no leg")  # they linger (RFC 3261 section 17.2.2)


async def told_of(gateway: Gateway, call: Call) -> dict[str, Any]:
    """What is said of the one dialog with this call's Call-ID."""
    (found,) = (await gateway.get(f"/api/dialogs?call_id={call.call_id}"))["dialogs"]
    assert found["call_id"] == call.call_id
    return dict(found)


@pytest.mark.keeps("16.185")
async def test_the_invite_for_a_caller_who_has_gone_is_of_no_leg_nor_of_the_call_after_it(scene: Scene) -> None:
    """Nothing comes back from the platform, so nothing takes the INVITE back (RFC 3261 §9.1): it is sent for 32 s."""
    gone = scene.call_from_pbx()
    await eventually(lambda: legs(scene.gateway, 2), "a leg to the platform")
    assert (await gone.cancel()).code == 200
    assert (await gone.final()).code == 487
    await scene.gateway.idle()
    platform = await scene.platform()
    late = await platform.until(lambda: next(iter(platform.received("INVITE")), None), "the INVITE once more")
    dialog = await told_of(scene.gateway, platform.calls[0])
    assert (dialog["role"], dialog["leg"]) == ("uac", False)
    _, assistant = await scene.bridged()
    assert assistant.call_id != late["Call-ID"]


async def legs(gateway: Gateway, count: int) -> bool:
    """Whether there are so many legs."""
    return bool((await gateway.get("/api/status"))["sip"]["legs"] == count)
