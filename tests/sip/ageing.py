# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that take a minute to show what they show, written once: RFC 4028 knows no session shorter than 90 s."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.sip.scenario import Conversation, Headers
from tests.support.end import EXPIRES_S, REFRESH_S, Ageing, session

GIVE_UP_S = EXPIRES_S - EXPIRES_S / 3
"""RFC 4028 §10: who is not refreshed hangs up before the end, by a third of the interval or 32 s."""
NO_ANSWER_S = 32
"""64 × T1, RFC 3261 §17.1.1.2."""


NOBODY = "nobody"


@dataclass(frozen=True)
class Kind:
    """A scenario of a call in which `who` has agreed with the gateway on a session timer."""

    scenario: Callable[[Kind, Conversation[Any]], Awaitable[None]]
    who: str = "called"
    by_us: bool = False
    """Whether the gateway is to refresh the session, not `who`."""
    method: str = "INVITE"

    async def __call__(self, talk: Conversation[Any]) -> None:
        """Play it, in a call that is not up yet."""
        await self.scenario(self, talk)

    def invite(self) -> Headers:
        """What is in the INVITE."""
        return self.agreed if self.who == "caller" else {}

    @property
    def agreed(self) -> Headers:
        """What agrees on the timer; the role of who refreshes is that in this transaction."""
        if self.who == NOBODY:
            return {}
        return session("uas" if self.by_us is (self.who == "caller") else "uac", self.method if self.by_us else "")


async def up(kind: Kind, talk: Conversation[Ageing], *, acks: bool = True) -> tuple[Ageing, Ageing]:
    """The call is up, and nobody says anything: who has agreed on the timer, and the other one."""
    called = await talk.reached()
    await called.accepts({} if kind.who == "caller" else kind.agreed)
    await talk.caller.accepted(acks=acks)
    await talk.meet()
    for end in (talk.caller, called):
        end.falls_silent()
    return talk.parts(kind.who)


async def refreshed_by_us(kind: Kind, talk: Conversation[Ageing]) -> None:
    timed, other = await up(kind, talk)
    await timed.refreshed(kind.method)
    if kind.method == "INVITE":
        talk.changes.append((timed, "sendrecv"))
    await timed.stays(NO_ANSWER_S + 3)
    await timed.hangs_up()
    await other.hung_up_after(REFRESH_S + NO_ANSWER_S + 3)


async def refreshed_by_them(kind: Kind, talk: Conversation[Ageing]) -> None:
    timed, other = await up(kind, talk)
    await timed.refreshes(kind.method)
    await timed.stays(GIVE_UP_S - REFRESH_S + 8)
    await timed.hangs_up()
    await other.hung_up_after(GIVE_UP_S + 8)


async def not_refreshed(kind: Kind, talk: Conversation[Ageing]) -> None:
    timed, other = await up(kind, talk)
    await timed.vanishes()
    await other.hung_up_after(GIVE_UP_S)
    await timed.returns()


async def not_answered(kind: Kind, talk: Conversation[Ageing]) -> None:
    timed, other = await up(kind, talk)
    await timed.vanishes()
    await timed.refreshed(kind.method, answers=False)
    talk.changes.append((timed, "sendrecv"))
    await other.hung_up_after(REFRESH_S + NO_ANSWER_S)
    await timed.returns()


async def no_ack(kind: Kind, talk: Conversation[Ageing]) -> None:
    ends = await up(kind, talk, acks=False)
    for end in ends:
        await end.hung_up_after(NO_ANSWER_S)


KINDS = {
    "refreshed-by-us": Kind(refreshed_by_us, by_us=True),
    "refreshed-by-us-for-the-caller": Kind(refreshed_by_us, "caller", by_us=True),
    "refreshed-by-our-update": Kind(refreshed_by_us, by_us=True, method="UPDATE"),
    "refreshed-by-the-called": Kind(refreshed_by_them),
    "refreshed-by-the-called-by-update": Kind(refreshed_by_them, method="UPDATE"),
    "refreshed-by-the-caller": Kind(refreshed_by_them, "caller", method="UPDATE"),
    "not-refreshed-by-the-called": Kind(not_refreshed),
    "not-refreshed-by-the-caller": Kind(not_refreshed, "caller"),
    "refresh-not-answered": Kind(not_answered, by_us=True),
    "no-ack": Kind(no_ack, NOBODY),
}
