# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of ours that cannot even be sent: the peer's Contact cannot be reached from here, or the network is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import both_hear
from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER_HZ, OVERFLOWS, SILENT, TARGET_HZ, codes
from tests.support.company import settings
from tests.support.gateway import Gateway
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.processes import Net
    from tests.support.rtp import Rtp

pytestmark = pytest.mark.sip

NOWHERE = "<sip:ai@10.99.0.5:5060>"
CONTACTS = (
    NOWHERE,
    "<sip:ai@[2001:db8::5]:5060>",
    "<sip:ai@255.255.255.255:5060>",
    "<sip:ai@127.0.0.3:5060;transport=tls>",
    "<sips:ai@127.0.0.3:5060>",
    "<sip:ai@127.0.0.3:5060;maddr=10.99.0.5>",
)

OUT_OF_REACH = ("sip:ai@127.0.0.3:5060;transport=tls", "sips:ai@127.0.0.3:5060")
"""PJSIP knows at once that it cannot send there."""


async def still_talk(caller: Call, assistant: Call) -> None:
    """Two who have nothing to do with it notice nothing."""
    for call, hz in ((caller, ASSISTANT_HZ), (assistant, CALLER_HZ)):
        media, count = call.media, len(call.media.received)

        async def more(media: Rtp = media, count: int = count) -> bool:
            return len(media.received) > count + 20

        await eventually(more, "audio that goes on")
        await media.hears(hz)


async def told(scene: Scene, method: str, *calls: Call) -> None:
    """The log names each call whose request of this method was never sent."""

    async def all_told() -> bool:
        lines = [line for line in scene.gateway.log.splitlines() if "request-not-sent" in line and method in line]
        return all(any(call.call_id in line for line in lines) for call in calls)

    await eventually(all_told, f"a warning of each {method}")


@pytest.mark.keeps("16.11")
async def test_a_bye_that_cannot_be_sent_ends_its_call_and_nothing_else(scene: Scene) -> None:
    beside = await scene.bridged("livekit")
    platform = await scene.platform()
    pairs = []
    for contact in CONTACTS:
        caller = scene.call_from_pbx(headers=[("Contact", contact)])
        assistant = await platform.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        pairs.append((caller, assistant))
    for _, assistant in pairs:
        assert (await assistant.hang_up()).code == 200
    await told(scene, "BYE", *(caller for caller, _ in pairs))

    async def ended() -> bool:
        return len((await scene.gateway.get("/api/calls"))["calls"]) == 1

    await eventually(ended, "only the call beside them left")
    await still_talk(*beside)


@pytest.mark.keeps("16.11")
async def test_the_same_for_one_that_we_called(scene: Scene) -> None:
    beside = await scene.bridged("livekit")
    pairs = []
    for contact in CONTACTS:
        caller, assistant = await scene.bridged()
        moved = assistant.begin("UPDATE", headers=[("Contact", contact)])
        assert (await moved.final()).code == 200
        pairs.append((caller, assistant))
    for caller, _ in pairs:
        assert (await caller.hang_up()).code == 200
    await told(scene, "BYE", *(assistant for _, assistant in pairs))
    await still_talk(*beside)


@pytest.mark.keeps("16.11")
@pytest.mark.parametrize("contact", OUT_OF_REACH)
async def test_who_answers_from_where_no_ack_can_go_has_not_answered(scene: Scene, contact: str) -> None:
    beside = await scene.bridged("livekit")
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant, OVERFLOWS, "overflowing")
    target.peer.elsewhere = contact
    assert target.incoming
    target.respond(target.incoming, 200, body=target.answer_to(target.incoming.body))
    target.peer.elsewhere = None
    anna = await scene.target()
    await anna.answer(hz=TARGET_HZ)
    assert (await assistant.notifies())[-1].sipfrag == 200
    await caller.media.hears(TARGET_HZ)
    attempts = (await scene.outcome())["attempts"]
    assert [(one["reason"], one["sip_code"]) for one in attempts] == [("not-acceptable", 488), ("answered", 200)]
    await told(scene, "BYE", target)
    await still_talk(*beside)


@pytest.mark.keeps("16.184")
@pytest.mark.parametrize(("contact", "rings"), list(zip(OUT_OF_REACH, (False, True), strict=True)))
async def test_nothing_is_left_of_who_answers_from_there_too_late(scene: Scene, contact: str, rings: bool) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant, SILENT, "silent")
    assert target.incoming
    target.peer.elsewhere = contact
    if rings:
        await target.ring()
        await target.answers_when_cancelled()
        await target.wait_request("CANCEL")
    assert codes(await assistant.notifies())[-1] == 480
    target.respond(target.incoming, 200, body=target.answer_to(target.incoming.body))
    target.peer.elsewhere = None

    async def forgotten() -> bool:
        dialogs = (await scene.gateway.get("/api/dialogs"))["dialogs"]
        return target.call_id not in {dialog["call_id"] for dialog in dialogs}

    await eventually(forgotten, "the target's dialog is gone", timeout_s=15)
    await told(scene, "BYE", target)
    await both_hear(caller, assistant)


@pytest.mark.keeps("16.11")
@pytest.mark.parametrize("contact", OUT_OF_REACH)
async def test_an_assistant_who_answers_from_there_refuses_the_caller(scene: Scene, contact: str) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx()
    assistant = await platform.wait_call()
    platform.elsewhere = contact
    assert assistant.incoming
    assistant.respond(assistant.incoming, 200, body=assistant.answer_to(assistant.incoming.body))
    assert (await caller.final()).code == 488


@pytest.mark.keeps("16.11")
@pytest.mark.parametrize("contact", CONTACTS[::2])
async def test_notifies_that_cannot_be_sent_do_not_keep_a_caller_from_the_target(scene: Scene, contact: str) -> None:
    caller, assistant = await scene.bridged()
    beside = await scene.bridged("livekit")
    assert (await assistant.refer(ANNA, ("Contact", contact))).code == 202
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await told(scene, "NOTIFY", assistant)
    assert (await scene.outcome())["outcome"] == "completed"
    await told(scene, "BYE", assistant)
    await still_talk(*beside)


@pytest.mark.keeps("16.11")
@pytest.mark.parametrize("contact", CONTACTS[::2])
async def test_a_hold_that_cannot_be_passed_on(scene: Scene, contact: str) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx(headers=[("Contact", contact)])
    assistant = await platform.wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    beside = await scene.bridged("livekit")
    assert (await assistant.reinvite(direction="sendonly")).code == 200
    await still_talk(*beside)
    assert (await assistant.hang_up()).code in (200, 481)
    await still_talk(*beside)


@pytest.mark.keeps("16.11")
async def test_a_target_that_rings_from_nowhere_can_be_cancelled(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    beside = await scene.bridged("livekit")
    target = await scene.referred(assistant, SILENT, "silent")
    scene.pbx.elsewhere = NOWHERE[1:-1]
    await target.ring(headers=[("Require", "100rel"), ("RSeq", "1")])
    await target.wait_request("CANCEL")
    scene.pbx.elsewhere = None
    await caller.media.hears(ASSISTANT_HZ)
    await still_talk(*beside)


@pytest.mark.keeps("16.11")
async def test_trunks_and_extensions_that_cannot_be_asked(own_net: Net) -> None:
    files = settings(own_net, pbx_uri="sip:10.99.0.6:5060")
    files.sip["bind_address"] = own_net.host(41)
    files.profiles["hms"].update(outbound="sip:10.99.0.5:5060", options_interval_s=1)
    files.profiles["asterisk"]["queues"] = {"source": "dialog-info"}
    async with Gateway(files) as gateway:

        async def down() -> bool:
            return await gateway.metric("transfer_gateway_trunk_up", trunk="hms") == 0 and "trunk-down" in gateway.log

        await eventually(down, "the trunk known to be down", timeout_s=15)
        before = (await gateway.get("/api/status"))["stack"]["transactions"]

        async def asked_again() -> bool:
            return bool((await gateway.get("/api/status"))["stack"]["transactions"] <= before)

        await eventually(asked_again, "nothing piles up")
        assert gateway.child.exit_code is None
