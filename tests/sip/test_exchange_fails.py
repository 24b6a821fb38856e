# SPDX-License-Identifier: GPL-2.0-or-later
"""The blind transfer whose target does not answer, or in which somebody leaves, as it goes over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER_HZ, SILENT, TARGET_HZ, codes, is_up
from tests.sip.test_exchange import begin
from tests.support.begun import Begun

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip


# --- nobody answers


@pytest.mark.keeps("2.13", "16.54", "19.6")
@pytest.mark.parametrize(
    ("answer", "code", "reason"),
    [
        (486, 486, "busy"), (600, 486, "busy"), (603, 603, "declined"), (480, 480, "unreachable"),
        (404, 480, "unreachable"), (410, 480, "unreachable"), (604, 480, "unreachable"),
        (484, 484, "address-incomplete"), (408, 480, "no-answer"), (487, 480, "no-answer"),
        (488, 488, "not-acceptable"), (503, 502, "pbx-error"), (500, 502, "pbx-error"), (606, 488, "not-acceptable"),
    ],
)  # fmt: skip
async def test_a_failure_is_told_and_the_caller_is_back_with_the_assistant(
    scene: Scene, answer: int, code: int, reason: str
) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    target.reject(answer)
    assert codes(await assistant.notifies()) == [100, answer]
    told = Begun(scene.gateway.child.pid)
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"], outcome["sip_code"]) == ("failed", reason, code)
    assert outcome["attempts"][0]["sip_code"] == answer
    assert outcome["returned_to_transferor"]
    assert told.took_s < 2
    assert is_up(assistant)


@pytest.mark.keeps("2.14")
async def test_a_second_refer_works_and_is_told_apart_by_its_id(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    (await scene.target()).reject(486)
    assert {notify["Event"] for notify in await assistant.notifies()} == {"refer"}
    assert (await assistant.refer(ANNA)).code == 202
    second = assistant.cseq
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    notifies = await assistant.notifies()
    assert codes(notifies) == [100, 200]
    assert {notify["Event"] for notify in notifies} == {f"refer;id={second}"}
    await caller.media.hears(TARGET_HZ)


@pytest.mark.keeps("2.15")
async def test_a_target_that_rings_too_long_is_given_up(scene: Scene) -> None:
    caller, assistant = await begin(scene, SILENT)
    target = await scene.target("silent")
    await target.ring()
    await target.wait_request("CANCEL")
    assert codes(await assistant.notifies()) == [100, 180, 480]
    await caller.media.hears(ASSISTANT_HZ)
    assert (await scene.outcome())["reason"] == "no-answer"


@pytest.mark.keeps("2.15")
async def test_a_target_that_says_nothing_at_all_is_given_up_too(scene: Scene) -> None:
    caller, assistant = await begin(scene, SILENT)
    target = await scene.target("silent")
    assert codes(await assistant.notifies()) == [100, 480]
    await caller.media.hears(ASSISTANT_HZ)
    assert (await scene.outcome())["reason"] == "no-answer"
    # Only now may the INVITE be cancelled (RFC 3261 §9.1): it has had no response before.
    await target.ring()
    await target.wait_request("CANCEL")


@pytest.mark.keeps("2.10")
async def test_while_the_target_rings_the_caller_hears_ringback_and_the_assistant_silence(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    await target.ring()
    await caller.media.hears(425)
    await caller.media.hears_no_more(ASSISTANT_HZ)
    await assistant.media.hears_no_more(CALLER_HZ)
    assert assistant.media.detect(425) == set()
    target.reject()
    await assistant.notifies()


# --- somebody leaves


@pytest.mark.keeps("2.22")
async def test_the_caller_hangs_up_while_the_target_rings(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    await target.ring()
    assert (await caller.hang_up()).code == 200
    await target.wait_request("CANCEL")
    assert codes(await assistant.notifies()) == [100, 180, 487]
    await assistant.wait_request("BYE")
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"]) == ("abandoned", "caller-hung-up")


@pytest.mark.keeps("2.16")
async def test_a_bye_right_after_the_202_leaves_the_caller_waiting_for_the_target(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    assert (await assistant.hang_up()).code == 200
    target = await scene.target()
    await target.ring()
    await caller.media.hears(425)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    assert (await scene.outcome())["outcome"] == "completed"
    # A BYE ends the call, not the subscription (RFC 6665 §4.1.3, RFC 5057 §4).
    assert codes(await assistant.notifies()) == [100, 180, 200]


@pytest.mark.keeps("2.17")
async def test_after_such_a_bye_a_failure_leads_to_the_fallback(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    assert (await assistant.hang_up()).code == 200
    target.reject(486)
    fallback = await scene.target("voicemail")
    await fallback.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    outcome = await scene.outcome()
    tried = [(one["destination"], one["reason"]) for one in outcome["attempts"]]
    assert tried == [("anna", "busy"), ("voicemail", "answered")]
    assert not outcome["returned_to_transferor"]


@pytest.mark.keeps("2.8")
async def test_the_agent_hangs_up_in_the_end_and_so_does_the_caller(scene: Scene) -> None:
    caller, assistant = await begin(scene)
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    await assistant.notifies()
    await caller.media.hears(TARGET_HZ)
    await target.hang_up()
    await caller.wait_request("BYE")
