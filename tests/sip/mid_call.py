# SPDX-License-Identifier: GPL-2.0-or-later
"""Conversations in both directions, and what their ends are told in the middle of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.support.end import both_hear
from tests.support.sip_message import direction_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

WAYS = ("from the PBX", "from the trunk")


async def dial(scene: Scene, way: str, line: str = "main", **more: Any) -> tuple[Call, Callable[[], Awaitable[Call]]]:
    """A call that is on its way to the assistant, or to Anna: who calls, and how to wait for whom it reaches."""
    platform = await scene.platform(line)
    if way == WAYS[0]:
        return scene.call_from_pbx(line, **more), platform.wait_call
    return platform.invite(scene.uri("+31612345681"), scene.remote, hz=CALLER_HZ, **more), scene.target


async def ringing(scene: Scene, way: str, **more: Any) -> tuple[Call, Call]:
    """A call that has reached the other side, and is not answered yet: who calls, who is called."""
    caller, reached = await dial(scene, way, **more)
    called = await reached()
    called.hz = ASSISTANT_HZ
    return caller, called


async def conversation(scene: Scene, way: str, line: str = "main", **more: Any) -> tuple[Call, Call]:
    """Two who talk: who has called, and who was called. From the PBX to the assistant, or from the trunk to Anna."""
    caller, called = await ringing(scene, way, line=line, **more)
    await called.answer()
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


__all__ = [
    "ASSISTANT_HZ", "CALLER_HZ", "TARGET_HZ", "WAYS", "both_hear", "conversation", "dial", "has_keys", "offers",
    "ringing", "told",
]  # fmt: skip
