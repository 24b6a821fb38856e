# SPDX-License-Identifier: GPL-2.0-or-later
"""What `/api/calls` says of a call that is under way: by which one that is stuck can be told from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.scene import TARGET_HZ
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip


async def open_call(scene: Scene) -> dict[str, Any]:
    """The one call under way, its legs by side."""
    [call] = (await scene.gateway.get("/api/calls"))["calls"]
    return {**call, "legs": {leg["side"]: leg for leg in call["legs"]}}


@pytest.mark.keeps("20.23")
async def test_a_call_tells_how_each_of_its_legs_is(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    call = await open_call(scene)
    assert (call["state"], 0 <= call["duration_s"] < 60) == ("up", True)
    for side, peer, leg in (("pbx", "pbx", caller), ("trunk", "main", assistant)):
        told = call["legs"][side]
        assert (told["peer"], told["state"], told["codec"]) == (peer, "up", "PCMA")
        assert told["encrypted"] is False
        host, _, port = told["media_address"].rpartition(":")
        assert (host, int(port)) == (leg.media.host, leg.media.port)
        assert told["call_id"] == call["call_ids"][side]
    target = await scene.referred(assistant)
    await target.ring()

    async def moving() -> bool:
        call = await open_call(scene)
        return bool(call["state"] == "moving" and call["legs"]["pbx"]["state"] == "up")

    await eventually(moving, "the call is told to be moving")
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await assistant.wait_request("BYE")


@pytest.mark.keeps("20.23")
async def test_a_leg_that_brings_nothing_any_more_is_seen(scene: Scene) -> None:
    caller, _ = await scene.bridged()

    def ages(call: dict[str, Any]) -> tuple[float, float] | None:
        told = call["legs"]["pbx"]["rtp_age_s"], call["legs"]["trunk"]["rtp_age_s"]
        return None if None in told else told

    async def looked_at() -> bool:
        found = ages(await open_call(scene))
        return found is not None and max(found) < 2.5

    await eventually(looked_at, "both legs are heard", timeout_s=15)
    caller.media.pause()

    async def silent() -> bool:
        found = ages(await open_call(scene))
        return found is not None and found[0] > 3 > found[1]

    await eventually(silent, "the caller's leg brings nothing", timeout_s=15)
