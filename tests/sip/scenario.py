# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scenario is written in: two who talk, what they change, and whom a transfer brings to the caller.

    async def hold(talk: Conversation[Offering]) -> None:
        await change(talk, talk.called, "sendonly")
        await talk.caller.hears(talk.called.hz)

Its ends do what tests/support/end.py lists; players.py has who plays it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from tests.support.end import NOUGHT, End, Offering, both_hear

E = TypeVar("E", bound=End)
Headers = Mapping[str, str]


class Transfer(Protocol):
    """How the called of a call from the PBX has its caller put through to Anna."""

    async def asked(self) -> Offering:
        """They ask for it; her end."""

    async def rings(self) -> None:
        """Her phone rings; who is told anything before that has been told."""

    async def connected(self, codec: str = "") -> None:
        """She answers, in this codec if one is given; who asked is told so, and is out of the call."""


class Conversation(Generic[E]):
    """Two who talk through the gateway; who can play a transfer gives it too."""

    def __init__(
        self,
        caller: E,
        called: E | None = None,
        transfer: Transfer | None = None,
        *,
        reached: Callable[[Headers], Awaitable[E]] | None = None,
        meet: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.caller = caller
        self._called = called
        self._transfer, self._reached, self._meet = transfer, reached, meet
        self.directions: dict[E, str] = {}
        """Which direction each has offered last, if any."""
        self.changes: list[tuple[E, str]] = []
        """Who was told of which direction, in order."""

    @property
    def called(self) -> E:
        """Whom the call has reached."""
        assert self._called, "it has reached nobody yet"
        return self._called

    async def reached(self, **headers: str) -> E:
        """Wait until a call that is not up yet reaches who is called, by an INVITE with these headers (see Setup)."""
        assert self._reached, "its player has nothing but calls that are up"
        self._called = await self._reached(headers)
        return self._called

    async def meet(self) -> None:
        """All have got so far: before sound is listened to, or one has to be ahead of the other."""
        if self._meet:
            await self._meet()

    def parts(self, who: str) -> tuple[E, E]:
        """The "caller" or the "called", and the other one."""
        return (self.caller, self.called) if who == "caller" else (self.called, self.caller)

    async def both_hear(self) -> None:
        """Each hears what the other speaks."""
        await both_hear(self.caller, self.called)

    @property
    def transfer(self) -> Transfer:
        """Of the caller to Anna."""
        assert self._transfer, "its player has no transfers"
        return self._transfer


Scenario = Callable[[Conversation[Any]], Awaitable[None]]


class Player(Protocol):
    """Plays a scenario in a call that goes one of WAYS, whose caller `offers` (or, if the player can, does not).

    With `invite`, which are headers of the INVITE, the call is not up yet: the scenario begins with `reached`.
    """

    async def __call__(
        self, scenario: Scenario, way: str, *, offers: bool = True, invite: Headers | None = None
    ) -> None:
        """AssertionError: it did not go as it should."""


async def change(
    talk: Conversation[Offering],
    who: Offering,
    direction: str,
    method: str = "INVITE",
    codec: str = "",
    answered: str = "",
) -> None:
    """One offers another direction, and the other one is told; or, with the same one, only what is for the gateway."""
    other = talk.called if who is talk.caller else talk.caller
    await who.changes(direction, method, codec, answered)
    passed_on = "sendonly" if direction == NOUGHT else direction
    if passed_on == talk.directions.get(who, "sendrecv"):
        await other.not_told()
        return
    await told(talk, other, passed_on)
    talk.directions[who] = passed_on


async def told(talk: Conversation[Offering], who: Offering, direction: str) -> None:
    """Wait until one is offered a direction."""
    await who.told(direction)
    talk.changes.append((who, direction))


async def both_hear_anew(one: Offering, other: Offering) -> None:
    """Each hears what the other speaks from now on."""
    for end in (one, other):
        end.forgets()
    await both_hear(one, other)
