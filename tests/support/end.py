# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scenario has somebody at one side of the gateway do, whoever plays them.

| played by | end of a call | offers anew, sets up calls |
|---|---|---|
| a scripted peer, on any wire | `peer_call.Call` | yes |
| a scripted peer behind a real Asterisk | `peer_call.Call` | yes, with no headers of its own |
| SIPp | `tests/sip/sipp_player.py`, `SippEnd` | yes |
| a phone that is baresip | `baresip.Agent` | no |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RELAY = "application/dtmf-relay"
NOUGHT = "0.0.0.0"
"""The address that stands for hold in RFC 2543; a direction here."""
DELAYED = "INVITE without an offer"
EXPIRES_S = 90
"""How long a session is that grows old."""
REFRESH_S = EXPIRES_S / 2
REFRESH = f"{EXPIRES_S} *; *refresher=uac"
"""The Session-Expires of a request that refreshes it, and of the answer to that: an expression."""
ABOUT_S = 3, 5
"""How much sooner and later than it should be a call may be over, on a machine that does other things too."""
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

    async def changes(self, direction: str, method: str = "INVITE", codec: str = "", answered: str = "") -> None:
        """Offer this direction, and one codec alone if it is given, and be answered as it has to be.

        `method` is INVITE, UPDATE, or DELAYED: a re-INVITE that asks for an offer, whose ACK has the answer; `answered`
        is the direction of the answer where the other side is on hold.
        """

    async def asks(self) -> None:
        """Ask for an offer by a re-INVITE, and keep the ACK back, which has the answer: see `acks`."""

    async def acks(self) -> None:
        """Send the ACK that was kept back."""

    async def moves(self) -> None:
        """Have sound, and signalling if they can, at another address from now on, and say so by a re-INVITE."""

    async def collides(self) -> None:
        """The next re-INVITE is refused with 491 (RFC 3261 §14.2); it comes again as what they are `told` next."""

    async def has_waited(self, least_s: float, most_s: float) -> None:
        """So much time has passed between the two newest re-INVITEs."""

    async def keeps_waiting(self) -> None:
        """The next re-INVITE is not answered before they have interrupted it: see `interrupts`."""

    async def interrupts(self, direction: str) -> None:
        """Be offered a direction, have an offer of their own refused with 491, and answer only then."""

    async def awaits_infos(self, keys: str) -> None:
        """Keys are about to come as INFO; then `has_infos`."""

    async def has_infos(self, keys: str) -> None:
        """Wait until so many keys have come as INFO; they have to be these."""

    async def press_infos(self, keys: str) -> None:
        """Have keys told by INFO, one after the other."""

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


class Setup(Protocol):
    """Either side of a call that is not up yet: who calls, then who is called. A header's value is an expression."""

    async def progress(self, code: int = 180, *, media: bool = False, reliable: bool = False) -> None:
        """Be told how the call gets on, with early media or without; acknowledge what is `reliable`."""

    async def cancels(self) -> None:
        """Send a CANCEL, which is answered."""

    async def refused(self, code: int, **headers: str) -> None:
        """Wait for this final response with these headers, `Min_SE` for Min-SE."""

    async def accepted(self, *, acks: bool = True, **headers: str) -> None:
        """Wait for a 200 with these headers; see `Offering.acks`."""

    async def accepted_again(self) -> None:
        """Wait until the 200 has come once more, its ACK being lost."""

    async def rings(self, code: int = 180, *, media: bool = False, reliable: bool = False) -> None:
        """Send a provisional response; wait until what is `reliable` is acknowledged (RFC 3262)."""

    async def accepts(self, headers: Mapping[str, str] | None = None) -> None:
        """Answer, with these headers too, and wait for the ACK."""

    async def rings_elsewhere(self, code: int = 180, *, media: bool = False) -> None:
        """One more place that the call has reached sends a provisional response (RFC 3261 §13.2.2.4)."""

    async def accepts_elsewhere(self) -> None:
        """One more place answers; wait until it has got ACK and BYE."""

    async def declines(self, code: int) -> None:
        """Refuse the call."""

    async def answers_when_cancelled(self) -> None:
        """From now on the CANCEL that comes is too late; they answer all the same."""

    async def cancelled(self) -> None:
        """Wait for the CANCEL; who has answered all the same is hung up."""

    async def hangs_up(self) -> None:
        """Send BYE."""

    async def hung_up(self) -> None:
        """Wait for the BYE."""


class Party(Offering, Setup, Protocol):
    """Somebody who is there from the INVITE on."""


class Ageing(End, Setup, Protocol):
    """Either side of a call that grows old; one of them may have agreed on a session timer (RFC 4028)."""

    def falls_silent(self) -> None:
        """Speak no more, so that the call costs nothing."""

    async def refreshed(self, method: str, *, answers: bool = True) -> None:
        """Wait until the gateway has refreshed the session by this method; answer that, or nothing from then on."""

    async def refreshes(self, method: str) -> None:
        """Refresh the session when half of it is over."""

    async def stays(self, seconds: float) -> None:
        """For so long nothing comes that ends the call."""

    async def vanishes(self) -> None:
        """Answer nothing from now on."""

    async def returns(self) -> None:
        """Have been sent a BYE since, and be there again."""

    async def hung_up_after(self, seconds: float) -> None:
        """Wait until the call has lasted about so long, and have it ended by a BYE then, neither sooner nor later."""


def session(refresher: str, method: str = "") -> dict[str, str]:
    """Headers that agree on a session timer; `refresher` is the role in the transaction that says so.

    With a method the gateway is allowed to refresh by UPDATE, or not.
    """
    allowed = {"Allow": f"INVITE, ACK, CANCEL, BYE{', UPDATE' if method == 'UPDATE' else ''}"} if method else {}
    timer = {"Supported": "timer", "Require": "timer", "Session-Expires": f"{EXPIRES_S};refresher={refresher}"}
    return timer | allowed


async def both_hear(one: End, other: End) -> None:
    """Each hears what the other speaks."""
    assert one.hz
    assert other.hz
    await one.hears(other.hz)
    await other.hears(one.hz)


def lasted(took_s: float, seconds: float) -> None:
    """It took about as long as it should have."""
    sooner, later = ABOUT_S
    assert seconds - sooner < took_s < seconds + later, took_s


async def until_pressed(keys: str, there: Callable[[], str]) -> None:
    """Wait until `there` gives so many keys; they have to be these."""

    async def are_there() -> bool:
        return len(there()) >= len(keys)

    await eventually(are_there, f"{keys} (there are {there()})")
    assert there() == keys, (there(), keys)
