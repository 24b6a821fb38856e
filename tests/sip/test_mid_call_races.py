# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that cross or are lost around the answer of a call, and answers from more than one place (forking)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import ASSISTANT_HZ, TARGET_HZ, WAYS, both_hear, ringing
from tests.sip.scene import SILENT, codes
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

HUNG_UP_AT_ONCE = 8
"""Further answers to one INVITE; see gateway/sip/binding/forks.cpp."""
REJECTED = "transfer_gateway_requests_rejected_total"


@pytest.mark.keeps("9.10")
async def test_a_caller_who_hangs_up_while_the_target_answers(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    await target.ring()
    await target.answers_when_cancelled()
    await caller.hang_up()
    await target.cancelled()
    assert codes(await assistant.notifies())[-1] == 487
    assert (await scene.outcome())["outcome"] == "abandoned"


@pytest.mark.keeps("9.10")
async def test_a_target_that_answers_as_its_time_is_up_is_too_late(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant, SILENT, "silent")
    await target.ring()
    await target.answers_when_cancelled()
    await target.cancelled()
    assert codes(await assistant.notifies())[-1] == 480
    await both_hear(caller, assistant)


@pytest.mark.keeps("9.11")
async def test_a_transfer_before_the_caller_has_sent_its_ack(scene: Scene) -> None:
    caller, assistant = await ringing(scene, WAYS[0])
    caller.keeps_ack = True
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    await caller.acks()
    await both_hear(caller, target)


@pytest.mark.keeps("9.12")
async def test_the_one_that_answers_need_not_be_the_first_that_rang(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    target.fork(180)
    target.fork(180)
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 180, 200]
    await both_hear(caller, target)


@pytest.mark.keeps("9.12")
async def test_a_second_answer_is_acknowledged_and_hung_up(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    await target.accepts_elsewhere()
    await both_hear(caller, target)


@pytest.mark.keeps("16.114")
async def test_who_answers_without_end_gets_a_few_byes_at_a_time(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    peer = target.peer
    target.answers["BYE"] = None
    before = await scene.gateway.metric(REJECTED, reason="at-capacity")
    tags = [target.fork(200) for _ in range(5 * HUNG_UP_AT_ONCE)]
    assert (await target.reinvite()).code == 200  # all of them have been read by now

    def hung_up() -> list[Message]:
        return [one for one in peer.received("BYE") if one.tag("To") in tags]

    byes = await peer.until(lambda: hung_up() if len(hung_up()) >= HUNG_UP_AT_ONCE else None, "so many BYEs")
    assert [one.tag("To") for one in byes] == tags[:HUNG_UP_AT_ONCE]
    assert {one.tag("To") for one in peer.received("ACK")} & set(tags) == set(tags[:HUNG_UP_AT_ONCE])
    await both_hear(caller, target)

    async def counted() -> bool:
        more = await scene.gateway.metric(REJECTED, reason="at-capacity") - before
        return more == len(tags) - HUNG_UP_AT_ONCE

    await eventually(counted, "the others in the metric")
    for bye in byes:
        target.respond(bye, 200)

    async def has_room() -> bool:
        tags.append(target.fork(200))  # it is the one that sends its answer again, as the RFC has it
        return len(hung_up()) > HUNG_UP_AT_ONCE

    await eventually(has_room, "room again", every_s=0.5)
    await both_hear(caller, target)
