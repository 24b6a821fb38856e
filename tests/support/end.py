# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scenario has somebody at one side of the gateway do, whoever plays them.

| played by | end of a call | offers anew |
|---|---|---|
| a scripted peer, on any wire | `peer_call.Call` | yes |
| a scripted peer behind a real Asterisk | `peer_call.Call` | yes |
| SIPp | `tests/sip/sipp_player.py`, `SippEnd` | yes |
| a phone that is baresip | `baresip.Agent` | no |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

NOUGHT = "0.0.0.0"
"""The address that stands for hold in RFC 2543; a direction here."""
DELAYED = "INVITE without an offer"
MIRRORED = {"sendonly": "recvonly", "recvonly": "sendonly", NOUGHT: "recvonly"}
"""How directions are answered by somebody who lets the other side choose (RFC 3264 §6.1), where not by the same."""


class End(Protocol):
    """Somebody in a call that is up. What does not come true within seconds raises AssertionError."""

    @property
    def hz(self) -> int | None:
        """The tone that they speak."""

    async def hears(self, hz: float) -> object:
        """Wait until they hear this tone."""

    async def press(self, keys: str) -> None:
        """Press keys, one after the other."""

    async def has_keys(self, keys: str) -> None:
        """Wait until so many keys have come in this call; they have to be these."""


class Offering(End, Protocol):
    """Somebody who can change a call that is up."""

    async def changes(self, direction: str, method: str = "INVITE", codec: str = "") -> None:
        """Offer this direction, and one codec alone if it is given, and be answered as it has to be.

        `method` is INVITE, UPDATE, or DELAYED: a re-INVITE that asks for an offer, whose ACK has the answer.
        """

    async def told(self, direction: str) -> object:
        """Wait for the next re-INVITE, which has to offer this direction, and answer it."""

    async def not_told(self) -> None:
        """The other side has changed something that is none of theirs."""

    def forgets(self) -> None:
        """What they have heard so far counts no more."""

    async def hears_in(self, codec: str) -> None:
        """The newest sound that they have heard was in this codec."""

    def speaks(self, hz: int | None) -> None:
        """Speak another tone, as music on hold; None: one's own."""

    async def hears_nothing(self) -> None:
        """Nothing at all reaches them any more."""


async def both_hear(one: End, other: End) -> None:
    """Each hears what the other speaks."""
    assert one.hz
    assert other.hz
    await one.hears(other.hz)
    await other.hears(one.hz)


async def until_pressed(keys: str, there: Callable[[], str]) -> None:
    """Wait until `there` gives so many keys; they have to be these."""

    async def are_there() -> bool:
        return len(there()) >= len(keys)

    await eventually(are_there, f"{keys} (there are {there()})")
    assert there() == keys
