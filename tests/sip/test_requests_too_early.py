# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that name our tag and are of no dialog: each is refused, and nothing comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import both_hear
from tests.sip.test_late_requests import METHODS, ask, dialogs_gone

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = [pytest.mark.sip, pytest.mark.timeout(120)]

REFUSED = {481, 400}
"""400: there was no RAck, or no Event."""


async def ask_all(call: Call) -> None:
    """Each method is refused."""
    codes = {method: await ask(call, method) for method in (*METHODS, "BYE")}
    assert set(codes.values()) <= REFUSED, codes
    assert codes["BYE"] == codes["INVITE"] == codes["UPDATE"] == 481


@pytest.mark.keeps("16.2")
async def test_before_an_answer_with_a_tag_there_is_no_dialog(scene: Scene) -> None:
    caller = scene.call_from_pbx()
    assistant = await (await scene.platform()).wait_call()
    await ask_all(assistant)
    await assistant.answer(hz=900)
    await caller.answered()
    await both_hear(caller, assistant)


@pytest.mark.keeps("16.2")
@pytest.mark.parametrize("early", [True, False])
async def test_our_tag_with_another_call_id_is_of_no_dialog(scene: Scene, early: bool) -> None:
    if early:
        caller = scene.call_from_pbx()
        assistant = await (await scene.platform()).wait_call()
    else:
        caller, assistant = await scene.bridged()
    own, assistant.call_id = assistant.call_id, "another"
    await ask_all(assistant)
    assistant.call_id = own
    if early:
        await assistant.answer(hz=900)
        await caller.answered()
    await both_hear(caller, assistant)


@pytest.mark.keeps("16.2")
async def test_nothing_of_them_stays(scene: Scene) -> None:
    await dialogs_gone(scene.gateway)
