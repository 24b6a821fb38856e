# SPDX-License-Identifier: GPL-2.0-or-later
"""Conversations in both directions, and what their ends are told in the middle of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.support.end import both_hear
from tests.support.sip_message import direction_of

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

WAYS = ("from the PBX", "from the trunk")


async def conversation(scene: Scene, way: str, line: str = "main", **more: Any) -> tuple[Call, Call]:
    """Two who talk: who has called, and who was called. From the PBX to the assistant, or from the trunk to Anna."""
    if way == WAYS[0]:
        return await scene.bridged(line, **more)
    platform = await scene.platform(line)
    caller = platform.invite(scene.uri("+31612345681"), scene.remote, hz=CALLER_HZ, **more)
    called = await scene.target()
    await called.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    return caller, called


def offers(call: Call) -> list[str]:
    """The directions that a side was offered in re-INVITEs, in order."""
    return [direction_of(one.body) for one in call.requests if one.method == "INVITE"]


async def told(call: Call, direction: str, count: int = 1) -> Message:
    """Wait until a side was offered this direction in its newest re-INVITE, the so manyeth, and has the ACK."""
    return await call.told(direction, count)


async def has_keys(call: Call, keys: str) -> None:
    """Wait until these keys have come as events, and no others."""
    await call.has_keys(keys)


__all__ = ["ASSISTANT_HZ", "CALLER_HZ", "TARGET_HZ", "WAYS", "both_hear", "conversation", "has_keys", "offers", "told"]
