# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that are pressed: as RFC 4733 events or SIP INFO, as each side has them, each once and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import TARGET_HZ, both_hear, has_keys, told
from tests.sip.scene import codes, is_up
from tests.support.processes import eventually
from tests.support.sip_message import sdp

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip


@pytest.mark.keeps("16.47")
@pytest.mark.parametrize("code", [408, 481, 501])
async def test_a_key_that_a_peer_does_not_take_is_not_the_end_of_its_call(scene: Scene, code: int) -> None:
    caller, assistant = await scene.bridged("info")
    await both_hear(caller, assistant)
    assistant.answers["INFO"] = code
    caller.media.press("5")
    await assistant.has_infos("5")
    assistant.answers["INFO"] = 200
    caller.media.press("6")
    await assistant.has_infos("56")
    await both_hear(caller, assistant)
    assert f"code={code}" in scene.gateway.log
    assert is_up(assistant)
    assert is_up(caller)


@pytest.mark.keeps("9.16")
async def test_one_key_held_long_is_one_key(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await both_hear(caller, assistant)
    caller.media.press("7", ms=1000)
    caller.media.press("8")
    await has_keys(assistant, "78")


@pytest.mark.keeps("9.16")
async def test_the_next_info_waits_for_the_answer_to_the_one_before(scene: Scene) -> None:
    caller, assistant = await scene.bridged("info")
    assistant.answers["INFO"] = None
    await both_hear(caller, assistant)
    caller.media.press("12")
    first = await assistant.wait_request("INFO")
    caller.media.press("3")
    await both_hear(caller, assistant)
    assert assistant.infos == "1"
    assistant.answers["INFO"] = 200
    assistant.respond(first, 200)
    await assistant.has_infos("123")


@pytest.mark.keeps("9.16")
async def test_a_side_without_events_is_told_by_info(scene: Scene) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx()
    assistant = await platform.wait_call()
    assert assistant.incoming
    assistant.respond(assistant.incoming, 200, body=sdp(platform.host, assistant.media.port, ("PCMA",), events=None))
    await caller.answered()
    caller.media.press("42")
    await assistant.has_infos("42")


@pytest.mark.keeps("9.16")
async def test_a_key_that_is_told_in_both_ways_counts_once(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await both_hear(caller, assistant)
    assistant.media.press("664")
    await assistant.press_infos("664")
    assistant.media.press("#")  # the last of all, in one way only
    await has_keys(caller, "664#")


@pytest.mark.keeps("9.16")
async def test_a_key_for_somebody_on_hold_waits_for_him(scene: Scene) -> None:
    caller, assistant = await scene.bridged("info")
    await caller.reinvite(direction="sendonly")
    await told(assistant, "sendonly")
    await assistant.press_infos("9")
    assert caller.media.keys == ""
    await caller.reinvite()
    await told(assistant, "sendrecv", 2)
    await has_keys(caller, "9")


@pytest.mark.keeps("9.16")
async def test_none_is_doubled_or_lost_at_the_switch_of_a_transfer(scene: Scene) -> None:
    keys = "1234567890*#ABCD"
    caller, assistant = await scene.bridged()
    await both_hear(caller, assistant)
    caller.media.press(keys)
    await has_some(assistant, 3)
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    await has_some(target, 1)
    first, then = assistant.media.keys, keys[len(assistant.media.keys) :]
    assert keys.startswith(first)
    await has_keys(target, then)


@pytest.mark.keeps("9.16")
async def test_keys_pressed_while_the_target_rings_are_for_whoever_answers(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await both_hear(caller, assistant)
    target = await scene.referred(assistant)
    await caller.media.hears(425)
    caller.media.press("31")
    await target.ring()
    await target.answer(hz=TARGET_HZ)
    await both_hear(caller, target)
    await has_keys(target, "31")


async def has_some(call: Call, count: int) -> None:
    """Wait until so many keys have come."""

    async def are_there() -> bool:
        return len(call.media.keys) >= count

    await eventually(are_there, f"{count} keys")
