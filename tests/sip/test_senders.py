# SPDX-License-Identifier: GPL-2.0-or-later
"""What each kind of sender can bear, and how the gateway treats the one whose profile says so."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER, CALLER_HZ, LINES, SALES, TARGET_HZ, UNKNOWN, codes, is_up
from tests.support.begun import Begun

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip


# --- LiveKit: Event is `refer` or `refer;id=<CSeq>`, and a BYE before the final NOTIFY is success


@pytest.mark.keeps("3.1")
@pytest.mark.parametrize(("line", "with_id"), [("main", False), ("livekit", True)])
async def test_the_event_of_the_first_refer_is_as_the_profile_says(scene: Scene, line: str, with_id: bool) -> None:
    _, assistant = await scene.bridged(line)
    assert (await assistant.refer("tel:+31612345681")).code == 202
    number = assistant.cseq
    (await scene.target()).reject()
    notifies = await assistant.notifies()
    assert {notify["Event"] for notify in notifies} == {f"refer;id={number}" if with_id else "refer"}
    assert {notify["Content-Type"].partition(";")[0] for notify in notifies} == {"message/sipfrag"}


@pytest.mark.keeps("3.2")
async def test_a_failed_transfer_is_never_followed_by_a_bye(scene: Scene) -> None:
    _, assistant = await scene.bridged("livekit")
    assert (await assistant.refer(ANNA)).code == 202
    (await scene.target()).reject(486)
    await assistant.notifies()
    await asyncio.sleep(1.5)  # longer than a transferor gets for its own BYE after a success
    assert is_up(assistant)


# --- jambonz: takes 202 and nothing else, and always says who it acts for


@pytest.mark.keeps("3.5")
async def test_accepted_is_202_for_every_sender(scene: Scene) -> None:
    caller, assistant = await scene.bridged("jambonz")
    referred_by = f"<sip:{LINES['jambonz'].number}@jambonz.example>"
    accepted = await assistant.refer("<sip:+31612345681@127.0.0.1>", ("Referred-By", referred_by))
    assert accepted.code == 202
    target = await scene.target()
    assert target.incoming
    assert target.incoming["Referred-By"] == referred_by
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 200]
    await caller.media.hears(TARGET_HZ)


# --- Asterisk: Transfer() sends a bare URI and never a BYE; Twilio waits 32 s for ours


@pytest.mark.keeps("2.8", "3.7", "3.11")
async def test_who_never_sends_a_bye_gets_ours_in_time(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    accepted = await assistant.refer("sip:2001@127.0.0.1", ("Referred-By", "<sip:pbx@127.0.0.1>"))
    assert accepted.code == 202
    target = await scene.target("sales")
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 200]
    told = Begun(scene.gateway.child.pid)
    await assistant.wait_request("BYE")
    assert time.monotonic() - told > 0.5  # it had the chance to send its own
    assert told.took_s < 5
    await caller.media.hears(TARGET_HZ)


# --- a phone behind the PBX: a transfer there is nothing but a re-INVITE here


@pytest.mark.keeps("3.12")
async def test_the_pbx_may_change_who_the_caller_is_in_mid_call(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    new = ("P-Asserted-Identity", '"Bob" <sip:6002@pbx.example>')
    offer = await caller.reinvite()
    assert offer.code == 200
    assert (await caller.begin("UPDATE", headers=[new]).final()).code in (200, 488)
    await assistant.media.hears(CALLER_HZ)
    await caller.media.hears(ASSISTANT_HZ)


# --- HMS's trunk path: a fresh INVITE to the destination's number, whose own final response is the outcome


async def fresh(scene: Scene, number: str) -> Call:
    """The platform calls a destination for a caller of its own."""
    platform = await scene.platform()
    caller = f'"Eve" <sip:{CALLER}@hms.example>'
    own = ("P-Asserted-Identity", f"<sip:{LINES['main'].number}@hms.example>")
    headers = [own, ("X-Summary", "billing")]
    return platform.invite(scene.uri(number), scene.gateway.sip, from_=caller, headers=headers, hz=CALLER_HZ)


@pytest.mark.keeps("3.3")
async def test_a_fresh_invite_reaches_the_person(scene: Scene) -> None:
    caller = await fresh(scene, "+31612345681")
    target = await scene.target()
    await target.ring()
    assert caller.invite
    await caller.invite.provisional(180)
    await target.answer(hz=TARGET_HZ)
    await caller.answered()
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    assert target.incoming
    assert target.incoming["X-Summary"] == "billing"
    outcome = await scene.outcome()
    assert (outcome["entry"], outcome["outcome"], outcome["destination"]) == ("invite", "completed", "anna")
    assert outcome["final_notify"] is None


@pytest.mark.keeps("3.3", "16.54")
@pytest.mark.parametrize(("answer", "told"), [(486, 486), (600, 600), (404, 404), (488, 488), (503, 503), (302, 502)])
async def test_the_failure_of_a_fresh_invite_is_its_own_response(scene: Scene, answer: int, told: int) -> None:
    caller = await fresh(scene, "+31612345681")
    (await scene.target()).reject(answer)
    assert (await caller.final()).code == told
    assert (await scene.outcome())["outcome"] == "failed"


@pytest.mark.keeps("3.3")
async def test_the_refusal_of_a_fresh_invite_says_why(scene: Scene) -> None:
    caller = await fresh(scene, "+31612345687")
    refused = await caller.final()
    assert refused.code == 480
    assert refused["Reason"] == 'SIP;cause=480;text="outside-hours"'
    assert int(refused["Retry-After"]) > 0
    assert not scene.pbx.received("INVITE")


@pytest.mark.keeps("3.3")
async def test_a_fresh_invite_to_nowhere_is_404(scene: Scene) -> None:
    assert (await (await fresh(scene, "+31699999999")).final()).code == 404
    assert not scene.pbx.received("INVITE")


@pytest.mark.keeps("3.3")
async def test_a_fresh_invite_may_be_cancelled(scene: Scene) -> None:
    caller = await fresh(scene, "+31612345681")
    target = await scene.target()
    await target.ring()
    assert caller.invite
    await caller.invite.provisional(180)
    assert (await caller.cancel()).code == 200
    assert (await caller.final()).code == 487
    await target.wait_request("CANCEL")
    assert (await scene.outcome())["outcome"] == "abandoned"


# --- final_notify


@pytest.mark.keeps("3.14")
async def test_on_ring_a_ringing_target_is_success(scene: Scene) -> None:
    caller, assistant = await scene.bridged("on-ring")
    target = await scene.referred(assistant)
    await target.ring()
    assert codes(await assistant.notifies()) == [100, 200]
    await assistant.hang_up()
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["final_notify"]) == ("completed", "on-ring")


@pytest.mark.keeps("3.14")
async def test_on_ring_the_report_tells_the_truth_when_nobody_answers_after_all(scene: Scene) -> None:
    caller, assistant = await scene.bridged("on-ring")
    target = await scene.referred(assistant)
    await target.ring()
    assert codes(await assistant.notifies()) == [100, 200]
    await assistant.hang_up()
    target.reject(486)
    fallback = await scene.target("voicemail")
    await fallback.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    outcome = await scene.outcome()
    assert [one["reason"] for one in outcome["attempts"]] == ["busy", "answered"]
    assert outcome["destination"] == "voicemail"


@pytest.mark.keeps("3.15")
async def test_on_answer_a_ringing_target_is_none(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    await target.ring()
    assert codes([await assistant.wait_notify(), await assistant.wait_notify()]) == [100, 180]
    await target.answer()
    assert codes(await assistant.notifies()) == [200]
    assert (await scene.outcome())["final_notify"] == "on-answer"


# --- refusal = "notify": for a sender that reads nothing but NOTIFYs


@pytest.mark.keeps("3.13")
async def test_a_refusal_may_come_as_a_notify(scene: Scene) -> None:
    caller, assistant = await scene.bridged("notify")
    assert (await assistant.refer(UNKNOWN)).code == 202
    notifies = await assistant.notifies()
    assert codes(notifies)[-1] == 404
    assert not scene.pbx.received("INVITE")
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"]) == ("refused", "unknown-destination")


# --- deadline_s


@pytest.mark.keeps("3.6")
async def test_at_the_deadline_the_dialling_is_given_up_and_that_is_told(scene: Scene) -> None:
    caller, assistant = await scene.bridged("hurried")
    asked = Begun(scene.gateway.child.pid)
    target = await scene.referred(assistant, SALES, "sales")
    await target.ring()
    assert codes(await assistant.notifies()) == [100, 180, 480]
    assert asked.took_s < 3  # before the sender stops waiting
    await target.wait_request("CANCEL")
    await caller.media.hears(ASSISTANT_HZ)
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"]) == ("failed", "no-answer")
    assert any("deadline" in line for line in outcome["trail"])


@pytest.mark.keeps("3.6")
async def test_at_the_deadline_the_dialling_may_go_on(scene: Scene) -> None:
    caller, assistant = await scene.bridged("patient")
    target = await scene.referred(assistant, SALES, "sales")
    await target.ring()
    assert codes(await assistant.notifies()) == [100, 180, 480]
    assert not target.requests
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    outcome = await scene.outcome()
    assert outcome["outcome"] == "completed"
    assert outcome["answered_at"]


@pytest.mark.keeps("3.6")
async def test_who_answers_before_the_deadline_is_not_disturbed_by_it(scene: Scene) -> None:
    caller, assistant = await scene.bridged("hurried")
    target = await scene.referred(assistant, SALES, "sales")
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 200]
    await asyncio.sleep(1.5)
    assert is_up(target)
    assert is_up(caller)
