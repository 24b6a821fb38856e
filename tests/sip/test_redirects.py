# SPDX-License-Identifier: GPL-2.0-or-later
"""A target that sends us elsewhere: nobody goes there, and it is told as the failure that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, OVERFLOWS, TARGET_HZ, codes

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer import Peer

pytestmark = pytest.mark.sip


async def elsewhere(scene: Scene) -> tuple[Peer, list[tuple[str, str]]]:
    """Somebody whom no configuration names, and the headers that lead there."""
    stranger = await scene.stranger()
    return stranger, [("Contact", f"<{stranger.contact}>;q=0.9, <sip:+31900123456@{stranger.sent_by}>")]


@pytest.mark.keeps("16.55")
@pytest.mark.parametrize("code", [300, 301, 302, 305, 380])
async def test_a_redirection_is_not_followed_and_the_next_destination_is_rung(scene: Scene, code: int) -> None:
    stranger, contact = await elsewhere(scene)
    caller, assistant = await scene.bridged()
    assert (await assistant.refer(OVERFLOWS)).code == 202
    (await scene.target("overflowing")).reject(code, headers=contact)
    await (await scene.target("anna")).answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 200]
    await caller.media.hears(TARGET_HZ)
    outcome = await scene.outcome()
    assert [(one["destination"], one["reason"], one["sip_code"]) for one in outcome["attempts"]] == [
        ("overflowing", "pbx-error", code),
        ("anna", "answered", 200),
    ]
    assert not stranger.trace


@pytest.mark.keeps("16.55")
async def test_a_redirection_of_the_only_target_gives_the_caller_back(scene: Scene) -> None:
    stranger, contact = await elsewhere(scene)
    caller, assistant = await scene.bridged()
    assert (await assistant.refer(ANNA)).code == 202
    (await scene.target("anna")).reject(302, headers=contact)
    assert codes(await assistant.notifies()) == [100, 302]
    await caller.media.hears(ASSISTANT_HZ)
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"], outcome["sip_code"]) == ("failed", "pbx-error", 502)
    assert not stranger.trace


@pytest.mark.keeps("16.55")
async def test_a_platform_that_sends_a_caller_elsewhere_has_refused_it(scene: Scene) -> None:
    stranger, contact = await elsewhere(scene)
    platform = await scene.platform()
    caller = scene.call_from_pbx()
    (await platform.wait_call()).reject(302, headers=contact)
    refused = await caller.final()
    assert (refused.code, refused.all("Contact")) == (502, [])
    assert not stranger.trace


@pytest.mark.keeps("16.54")
async def test_a_profile_may_want_the_code_of_the_reason(scene: Scene) -> None:
    caller, assistant = await scene.bridged("by-reason")
    assert (await assistant.refer(ANNA)).code == 202
    (await scene.target("anna")).reject(404)
    assert codes(await assistant.notifies()) == [100, 480]
    await caller.media.hears(ASSISTANT_HZ)
    platform = await scene.platform("by-reason")
    fresh = platform.invite(scene.uri("+31612345681"), scene.remote)
    (await scene.target("anna")).reject(500)
    assert (await fresh.final()).code == 502
