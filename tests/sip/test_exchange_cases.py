# SPDX-License-Identifier: GPL-2.0-or-later
"""What else may happen around a REFER: lost messages, impatient and careless transferors, extensions, strangers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER_HZ, SALES, TARGET_HZ, UNKNOWN, codes, is_up
from tests.support.peer_call import Call

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer import Peer

pytestmark = pytest.mark.sip


async def pending(scene: Scene) -> tuple[Call, Call, Call]:
    """Caller, assistant and a target that has been called for them."""
    caller, assistant = await scene.bridged()
    assert (await assistant.refer(ANNA)).code == 202
    return caller, assistant, await scene.target()


def of_refer(peer: Peer) -> list[int]:
    """The codes of all responses to REFERs, repeated ones too."""
    messages = [one.message for one in peer.trace if not one.sent]
    return [message.code for message in messages if not message.is_request and message.method == "REFER"]


# --- lost and repeated


@pytest.mark.keeps("2.23")
async def test_a_repeated_refer_is_answered_again_and_nobody_is_called_twice(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    refer = assistant.begin("REFER", headers=[("Refer-To", ANNA)])
    refer.resend()
    assert (await refer.final()).code == 202
    target = await scene.target()
    refer.resend()
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    refer.resend()
    assert codes(await assistant.notifies()) == [100, 200]
    await assistant.peer.until(lambda: len(of_refer(assistant.peer)) == 4 or None, "four responses")
    assert set(of_refer(assistant.peer)) == {202}
    assert len(scene.pbx.received("INVITE")) == 1


@pytest.mark.keeps("2.23")
async def test_a_repeated_refer_that_was_refused_is_refused_again(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    refer = assistant.begin("REFER", headers=[("Refer-To", UNKNOWN)])
    await refer.final()
    refer.resend()
    await assistant.peer.until(lambda: len(of_refer(assistant.peer)) == 2 or None, "two responses")
    assert of_refer(assistant.peer) == [404, 404]
    assert (
        len([one for one in await scene.gateway.transfers() if one["call_ids"].get("transferor") == assistant.call_id])
        < 2
    )


# --- more than one


@pytest.mark.keeps("2.24")
async def test_a_second_refer_while_one_is_pending_is_491(scene: Scene) -> None:
    caller, assistant, target = await pending(scene)
    second = await assistant.refer(SALES)
    assert second.code == 491
    assert second["Reason"] == 'SIP;cause=491;text="transfer-pending"'
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 200]
    await caller.media.hears(TARGET_HZ)
    assert len(scene.pbx.received("INVITE")) == 1


@pytest.mark.keeps("2.25")
async def test_both_sides_at_once(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    ours = assistant.begin("REFER", headers=[("Refer-To", ANNA)])
    theirs = caller.begin("REFER", headers=[("Refer-To", SALES)])
    answers = sorted([(await ours.final()).code, (await theirs.final()).code])
    assert answers == [202, 491]
    target = await scene.pbx.wait_call()
    await target.answer(hz=TARGET_HZ)
    transferor, transferee = (assistant, caller) if (await ours.final()).code == 202 else (caller, assistant)
    assert codes(await transferor.notifies()) == [100, 200]
    await transferor.wait_request("BYE")
    await transferee.media.hears(TARGET_HZ)
    assert is_up(transferee)
    assert len(scene.pbx.received("INVITE")) == 1


@pytest.mark.keeps("2.26")
async def test_the_pbx_may_transfer_too(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(caller)
    await target.answer(hz=TARGET_HZ)
    assert codes(await caller.notifies()) == [100, 200]
    await caller.wait_request("BYE")
    await assistant.media.hears(TARGET_HZ)
    await target.media.hears(ASSISTANT_HZ)


# --- the transferor's subscription


@pytest.mark.keeps("2.18")
async def test_a_481_to_a_notify_stops_the_notifies_and_nothing_else(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assistant.answers["NOTIFY"] = 481
    target = await scene.referred(assistant)
    await assistant.wait_notify()
    await target.ring()
    await caller.media.hears(425)
    assert is_up(assistant)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await assistant.wait_request("BYE")
    assert codes(assistant.peer.received("NOTIFY")) == [100]
    assert (await scene.outcome())["outcome"] == "completed"


@pytest.mark.keeps("2.18")
async def test_after_a_481_to_a_notify_a_failure_still_gives_the_caller_back(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assistant.answers["NOTIFY"] = 481
    target = await scene.referred(assistant)
    await assistant.wait_notify()
    target.reject(486)
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    assert is_up(assistant)


@pytest.mark.keeps("2.19")
async def test_a_notify_that_nobody_answers_stops_nothing(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assistant.answers["NOTIFY"] = None
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    # Only when the NOTIFY has timed out (timer F, 32 s) is it known that no further one is waited for.
    await assistant.wait_request("BYE", timeout_s=45)
    assert is_up(caller)
    assert set(codes(assistant.peer.received("NOTIFY"))) == {100}
    assert (await scene.outcome())["outcome"] == "completed"


@pytest.mark.keeps("2.20")
async def test_who_unsubscribes_is_told_so_and_the_dialling_goes_on(scene: Scene) -> None:
    caller, assistant, target = await pending(scene)
    await assistant.wait_notify()
    unsubscribed = await assistant.begin("SUBSCRIBE", headers=[("Event", "refer"), ("Expires", "0")]).final()
    assert unsubscribed.code == 200
    assert unsubscribed["Expires"] == "0"
    last = await assistant.wait_notify()
    assert last["Subscription-State"] == "terminated;reason=timeout"
    assert codes([last]) == [100]
    assert not target.requests
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await assistant.wait_request("BYE")
    assert codes(assistant.peer.received("NOTIFY")) == [100, 100]


@pytest.mark.keeps("2.21")
async def test_a_subscription_may_be_refreshed(scene: Scene) -> None:
    _, assistant, target = await pending(scene)
    refreshed = await assistant.begin("SUBSCRIBE", headers=[("o", "refer"), ("Expires", "120")]).final()
    assert refreshed.code == 200
    assert 0 < int(refreshed["Expires"]) <= 86400
    target.reject()
    assert codes(await assistant.notifies())[-1] == 486


@pytest.mark.keeps("2.21")
@pytest.mark.parametrize("event", ["refer;id=4711", "presence", "dialog"])
async def test_there_is_nothing_else_to_subscribe_to(scene: Scene, event: str) -> None:
    _, assistant, target = await pending(scene)
    answer = await assistant.begin("SUBSCRIBE", headers=[("Event", event), ("Expires", "60")]).final()
    assert answer.code in (481, 489)
    target.reject()
    await assistant.notifies()


@pytest.mark.keeps("2.27")
@pytest.mark.parametrize("header", ["Refer-Sub: false", "Refer-Sub: FALSE", "Refer-Sub: false;x=y"])
async def test_refer_sub_false_means_no_notify_and_an_outcome_all_the_same(scene: Scene, header: str) -> None:
    caller, assistant = await scene.bridged()
    name, _, value = header.partition(": ")
    accepted = await assistant.refer(ANNA, (name, value), ("Supported", "norefersub"))
    assert accepted.code in (200, 202)
    assert accepted["Refer-Sub"] == "false"
    target = await scene.target()
    await target.ring()
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await assistant.wait_request("BYE")
    assert not assistant.peer.received("NOTIFY")
    assert (await scene.outcome())["outcome"] == "completed"


@pytest.mark.keeps("2.27")
async def test_refer_sub_true_is_as_if_it_were_not_there(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    accepted = await assistant.refer(ANNA, ("Refer-Sub", "true"))
    assert accepted.code == 202
    assert accepted.get("Refer-Sub") is None
    (await scene.target()).reject()
    assert codes(await assistant.notifies()) == [100, 486]


# --- what is asked for and is not there


@pytest.mark.keeps("2.28")
@pytest.mark.parametrize(
    ("require", "unsupported"),
    [("nosub", "nosub"), ("explicitsub", "explicitsub"), ("foo, norefersub, bar", "foo, bar")],
)  # fmt: skip
async def test_a_required_extension_that_is_missing_is_420(scene: Scene, require: str, unsupported: str) -> None:
    _, assistant = await scene.bridged()
    refused = await scene.refused(assistant, ANNA, ("Require", require))
    assert refused.code == 420
    assert refused["Unsupported"] == unsupported
    assert (await scene.outcome())["reason"] == "unsupported-extension"


@pytest.mark.keeps("2.27")
async def test_norefersub_may_be_required(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    accepted = await assistant.refer(ANNA, ("Require", "norefersub"), ("Refer-Sub", "false"))
    assert accepted.code in (200, 202)
    (await scene.target()).reject()


@pytest.mark.keeps("2.29")
async def test_a_call_with_one_leg_has_nobody_to_transfer(scene: Scene) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx()
    assistant = await platform.wait_call()
    await assistant.ring()
    assert caller.invite
    await caller.invite.provisional(180)
    refused = await caller.refer(ANNA)
    assert refused.code == 480
    assert refused["Reason"] == 'SIP;cause=480;text="not-bridged"'
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    await caller.media.hears(ASSISTANT_HZ)


# --- the end of the call


@pytest.mark.keeps("2.30")
async def test_a_refer_that_meets_our_bye_is_answered(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assistant.answers["BYE"] = None
    await caller.hang_up()
    await assistant.wait_request("BYE")
    late = await assistant.refer(ANNA)
    assert late.code >= 400
    assert not scene.pbx.received("INVITE")
    assistant.respond(assistant.peer.received("BYE")[0], 200)
    await asyncio.sleep(0)


@pytest.mark.keeps("16.186")
@pytest.mark.parametrize("code", [481, 503])
async def test_a_notify_that_is_refused_silences_its_own_refer_and_not_the_next(scene: Scene, code: int) -> None:
    _, assistant = await scene.bridged()
    assistant.answers["NOTIFY"] = None
    first = await scene.referred(assistant)
    unanswered = await assistant.wait_notify()
    first.reject(486)
    await scene.outcome()
    assistant.answers["NOTIFY"] = 200
    second = await scene.referred(assistant)
    refer = assistant.cseq
    assistant.respond(unanswered, code)
    assert (await assistant.begin("OPTIONS").final()).code == 200  # which the gateway reads after that
    await second.answer(hz=TARGET_HZ)
    told = await assistant.notifies()
    assert codes(told)[-1] == 200
    assert {notify["Event"] for notify in told} == {f"refer;id={refer}"}
