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
    from tests.support.sip_message import Message

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
async def test_an_invite_that_is_sent_again_has_left_its_early_dialog(scene: Scene) -> None:
    caller = scene.call_from_pbx()
    platform = await scene.platform()
    first = await platform.wait_call()
    assert first.incoming
    await first.ring(183)
    first.answers["INVITE"] = None
    first.reject(422, headers=[("Min-SE", "2400")])

    def asked_again() -> Message | None:
        return next((one for one in platform.received("INVITE") if one.get("Min-SE") == "2400"), None)

    again = await platform.until(asked_again, "another INVITE")
    codes = {method: await ask(first, method) for method in (*METHODS, "BYE")}  # each is answered
    assert codes["INVITE"] == codes["BYE"] == 481
    first.local = f"{first.local}-anew"
    first.accept_from(again)
    await first.answer(hz=900)
    await caller.answered()
    await both_hear(caller, first)


@pytest.mark.keeps("16.2")
async def test_nothing_of_them_stays(scene: Scene) -> None:
    await dialogs_gone(scene.gateway)
