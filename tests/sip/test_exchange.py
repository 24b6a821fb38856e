# SPDX-License-Identifier: GPL-2.0-or-later
"""The blind transfer as it goes over the wire: REFER, 202, NOTIFYs, BYE, and what the three people hear meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER_HZ, CLOSED, TARGET_HZ, UNKNOWN, codes, is_up
from tests.support.begun import Begun

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip


async def begin(scene: Scene, refer_to: str = ANNA, line: str = "main") -> tuple[Call, Call]:
    """A bridged call on which a transfer was accepted."""
    caller, assistant = await scene.bridged(line)
    accepted = await assistant.refer(refer_to)
    assert accepted.code == 202
    return caller, assistant


# --- a person answers


@pytest.mark.keeps("2.1", "2.3")
async def test_a_transfer_from_the_refer_to_the_bye(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    await target.ring()
    await target.answer(hz=TARGET_HZ)
    notifies = await assistant.notifies()
    await assistant.wait_request("BYE")

    assert assistant.peer.ladder() == [
        "<- INVITE", "-> 200 INVITE", "<- ACK", "-> REFER", "<- 202 REFER",
        "<- NOTIFY 100", "-> 200 NOTIFY", "<- NOTIFY 180", "-> 200 NOTIFY", "<- NOTIFY 200", "-> 200 NOTIFY",
        "<- BYE", "-> 200 BYE",
    ]  # fmt: skip
    assert [notify.body for notify in notifies] == [
        b"SIP/2.0 100 Trying\r\n", b"SIP/2.0 180 Ringing\r\n", b"SIP/2.0 200 OK\r\n",
    ]  # fmt: skip
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"], outcome["destination"]) == ("completed", "answered", "anna")
    assert is_up(caller)
    assert is_up(target)


@pytest.mark.keeps("2.2")
async def test_the_202_is_on_the_wire_before_any_notify_however_fast_the_pbx_is(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    refer = assistant.begin("REFER", headers=[("Refer-To", ANNA)])
    target = await scene.target()
    target.reject(486)
    await assistant.notifies()
    ladder = assistant.peer.ladder()
    assert ladder.index("<- 202 REFER") < ladder.index("<- NOTIFY 100") < ladder.index("<- NOTIFY 486")
    assert (await refer.final()).tag("To") == assistant.far.rpartition("tag=")[2]


@pytest.mark.keeps("2.3")
async def test_what_a_notify_says_besides_its_body(scene: Scene) -> None:
    _, assistant = await begin(scene)
    target = await scene.target()
    await target.ring()
    await target.answer()
    *underway, final = await assistant.notifies()
    for notify in (*underway, final):
        assert notify["Event"] == "refer"
        assert notify["Content-Type"] == "message/sipfrag;version=2.0"
        assert notify["Contact"]
        assert notify.tag("From")
        assert notify.tag("To")
    assert {notify["Subscription-State"] for notify in underway} == {"active;expires=86400"}
    assert final["Subscription-State"] == "terminated;reason=noresource"


@pytest.mark.keeps("2.4")
async def test_the_subscription_outlives_the_longest_ring(scene: Scene) -> None:
    await begin(scene)
    files = scene.gateway.files
    rings = [one.get("ring_timeout_s", 25) for one in files.line["destinations"]]
    assistant = (await scene.platform()).calls[0]
    notify = await assistant.wait_notify()
    expires = int(notify["Subscription-State"].partition("expires=")[2])
    assert expires > sum(rings)
    (await scene.target()).reject()


@pytest.mark.keeps("2.5")
async def test_of_many_provisional_responses_one_is_passed_on(scene: Scene) -> None:
    _, assistant = await begin(scene)
    target = await scene.target()
    for code in (180, 183, 180, 183):
        await target.ring(code)
    await target.answer()
    assert codes(await assistant.notifies()) == [100, 180, 200]


@pytest.mark.keeps("2.9")
async def test_a_queue_that_sends_nothing_but_100_is_no_trouble(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    await caller.media.hears(425)  # our own ringback
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 200]
    await caller.media.hears(TARGET_HZ)


@pytest.mark.keeps("2.8")
async def test_the_transferor_may_send_the_bye_itself(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    await assistant.notifies()
    assert (await assistant.hang_up()).code == 200
    await caller.media.hears(TARGET_HZ)
    assert (await scene.outcome())["outcome"] == "completed"
    assert not assistant.peer.received("BYE")


@pytest.mark.keeps("2.7", "3.2")
async def test_no_bye_before_the_final_notify_is_answered(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    assert codes([await assistant.wait_notify()]) == [100]
    assistant.answers["NOTIFY"] = None
    await target.answer(hz=TARGET_HZ)
    final = await assistant.wait_notify()
    assert codes([final]) == [200]
    await caller.media.hears(TARGET_HZ)
    await asyncio.sleep(2.5)  # well beyond the time in which the transferor may hang up by itself
    assert not assistant.peer.received("BYE")
    answered = Begun(scene.gateway.child.pid)
    assistant.respond(final, 200)
    await assistant.wait_request("BYE")
    assert answered.took_s < 1.0


@pytest.mark.keeps("2.7")
async def test_no_bye_before_the_487_is_answered_either(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    assert codes([await assistant.wait_notify()]) == [100]
    assistant.answers["NOTIFY"] = None
    await caller.hang_up()
    final = await assistant.wait_notify()
    assert codes([final]) == [487]
    await target.ring()  # a CANCEL waits for a provisional response
    await target.wait_request("CANCEL")
    await asyncio.sleep(2)
    assert not assistant.peer.received("BYE")
    assistant.respond(final, 200)
    await assistant.wait_request("BYE")


@pytest.mark.keeps("2.6")
async def test_notifies_go_one_at_a_time(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    assistant.answers["NOTIFY"] = None
    assert (await assistant.refer(ANNA)).code == 202
    first = await assistant.wait_notify()
    target = await scene.target()
    await target.ring()
    await target.answer()
    await scene.gateway.until(lambda one: one["answered_at"] is not None)
    assert codes(assistant.peer.received("NOTIFY")) == [100]
    assistant.answers["NOTIFY"] = 200
    assistant.respond(first, 200)
    assert codes(await assistant.notifies()) in ([180, 200], [200])


# --- the gate says no


@pytest.mark.keeps("2.11")
async def test_a_refusal_is_the_refers_own_response_and_says_why(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    refused = await scene.refused(assistant, CLOSED)
    assert refused.code == 480
    assert refused["Reason"] == 'SIP;cause=480;text="outside-hours"'
    assert 0 < int(refused["Retry-After"]) <= 4 * 86400
    await caller.media.hears(ASSISTANT_HZ)
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"], outcome["sip_code"]) == ("refused", "outside-hours", 480)


@pytest.mark.keeps("2.12")
async def test_a_target_that_is_not_configured_is_404(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    refused = await scene.refused(assistant, UNKNOWN)
    assert refused.code == 404
    assert refused["Reason"] == 'SIP;cause=404;text="unknown-destination"'
    assert refused.get("Retry-After") is None


@pytest.mark.keeps("2.14")
async def test_after_a_refusal_another_refer_works(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    await scene.refused(assistant, UNKNOWN)
    target = await scene.referred(assistant)
    await target.answer()
    notifies = await assistant.notifies()
    assert codes(notifies) == [100, 200]
    assert {notify["Event"] for notify in notifies} == {f"refer;id={assistant.cseq}"}
