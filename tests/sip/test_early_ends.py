# SPDX-License-Identifier: GPL-2.0-or-later
"""A target that rings and says of its early dialog that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, codes

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

RELIABLY = (("Require", "100rel"), ("RSeq", "1"))


async def denied(scene: Scene, bye: int | None) -> tuple[Call, Call, Call]:
    """A caller, an assistant, and a target that answers our PRACK with 481, and the BYE that comes of it with `bye`."""
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    target.answers |= {"PRACK": 481, "BYE": bye}
    await target.ring(headers=RELIABLY)
    return caller, assistant, target


@pytest.mark.keeps("16.123")
@pytest.mark.parametrize("bye", [481, 408, 500])
async def test_a_target_that_denies_its_early_dialog(scene: Scene, bye: int) -> None:
    caller, assistant, target = await denied(scene, bye)
    await target.wait_request("CANCEL")
    assert codes(await assistant.notifies())[-1] >= 400
    assert len([one for one in target.requests if one.method == "BYE"]) == 1
    await caller.media.hears(ASSISTANT_HZ)


@pytest.mark.keeps("16.123")
async def test_a_target_that_agrees_to_the_bye_has_its_invite_ended_by_its_own_answer(scene: Scene) -> None:
    caller, assistant, target = await denied(scene, 200)
    await target.wait_request("BYE")
    target.reject(487)
    assert codes(await assistant.notifies())[-1] >= 400
    await target.wait_request("ACK")
    assert {one.method for one in target.requests} == {"PRACK", "BYE", "ACK"}
    await caller.media.hears(ASSISTANT_HZ)
