# SPDX-License-Identifier: GPL-2.0-or-later
"""Conversations in both directions, and what their ends are told in the middle of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.support.processes import eventually
from tests.support.sip_message import direction_of

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

WAYS = ("from the PBX", "from the trunk")


async def conversation(scene: Scene, way: str, line: str = "main") -> tuple[Call, Call]:
    """Two who talk: who has called, and who was called. From the PBX to the assistant, or from the trunk to Anna."""
    if way == WAYS[0]:
        return await scene.bridged(line)
    platform = await scene.platform(line)
    caller = platform.invite(scene.uri("+31612345681"), scene.remote, hz=CALLER_HZ)
    called = await scene.target()
    await called.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    return caller, called


async def both_hear(one: Call, other: Call) -> None:
    """Each hears what the other speaks."""
    assert one.hz
    assert other.hz
    await one.media.hears(other.hz)
    await other.media.hears(one.hz)


def offers(call: Call) -> list[str]:
    """The directions that a side was offered in re-INVITEs, in order."""
    return [direction_of(one.body) for one in call.requests if one.method == "INVITE"]


async def told(call: Call, direction: str, count: int = 1) -> Message:
    """Wait until a side was offered this direction in its newest re-INVITE, the so manyeth, and has the ACK."""

    def found() -> Message | None:
        invites = [one for one in call.requests if one.method == "INVITE"]
        if len(invites) < count or direction_of(invites[-1].body) != direction:
            return None
        acknowledged = (invites[-1].cseq[0], "ACK")
        return invites[-1] if any(one.cseq == acknowledged for one in call.requests) else None

    return await call.peer.until(found, f"re-INVITE {count} with {direction}")


async def has_keys(call: Call, keys: str) -> None:
    """Wait until these keys have come as events, and no others."""

    async def are_there() -> bool:
        return len(call.media.keys) >= len(keys)

    await eventually(are_there, f"{keys} (there are {call.media.keys})")
    assert call.media.keys == keys


__all__ = ["ASSISTANT_HZ", "CALLER_HZ", "TARGET_HZ", "WAYS", "both_hear", "conversation", "has_keys", "offers", "told"]
