# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls with SIPp at both ends that take a minute to show what they show: sessions that are refreshed, or are not."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from tests.sip.aged_calls import EXPIRES_S, GIVE_UP_S, NO_ANSWER_S, REFRESH_S, Aged, expires
from tests.sip.bed import PORT, Pair
from tests.sip.sipp_talk import WAYS, Place, Talk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.certificates import Authority

BY_UPDATE = {"Allow": "INVITE, ACK, CANCEL, BYE, UPDATE"}
REFRESH = f"{EXPIRES_S} *; *refresher=uac"


def session(refresher: str) -> dict[str, str]:
    """Headers that agree on a session timer."""
    return dict(expires(refresher))


class Aging(Talk):
    """A call of which nothing is heard for a long time; the called side has agreed on a session timer."""

    def __init__(self, place: Place, pair: str, way: str) -> None:
        super().__init__(place, pair, way, caller_port=PORT + 10, alone=False)
        for end in self.ends:
            end.does.patience_s = EXPIRES_S

    def agreed(self, headers: dict[str, str]) -> None:
        """Both do what makes a call."""
        self.caller.does.invite(self.caller.offer()).answered().ack().stop("up")
        self.called.does.invited().answer(200, self.called.answer(), headers=headers).expect("ACK").stop("up")

    async def lasts(self, seconds: float) -> None:
        """From `up` on it takes about so long until the caller is hung up."""
        for end in self.ends:
            end.media.pause()
        begun = time.monotonic()
        await self.go()
        await self.caller.over()
        assert seconds - 3 < time.monotonic() - begun < seconds + 5, time.monotonic() - begun

    def dead(self) -> None:
        """The called side says nothing any more, not to a BYE either, and is gone for good after that."""
        self.called.does.expect("BYE")


async def refreshed_by_us(place: Place, pair: str, way: str, *, method: str) -> None:
    async with Aging(place, pair, way) as talk:
        talk.agreed(session("uac") | (BY_UPDATE if method == "UPDATE" else {}))
        body = talk.called.answer() if method == "INVITE" else ""
        talk.called.does.expect(method, Session_Expires=REFRESH).respond(200, body, headers=session("uac"))
        if method == "INVITE":
            talk.called.does.expect("ACK")
        talk.called.does.bye()  # a call that goes on
        talk.caller.does.gone()
        await talk.start()
        await talk.lasts(REFRESH_S)


async def refreshed_by_the_peer(place: Place, pair: str, way: str) -> None:
    async with Aging(place, pair, way) as talk:
        talk.agreed(session("uas"))
        called = talk.called.does.pause(int(1000 * REFRESH_S)).request("UPDATE", headers=session("uac"))
        called.response(200, Session_Expires=REFRESH).pause(int(1000 * (GIVE_UP_S - REFRESH_S + 8))).bye()
        talk.caller.does.gone()
        await talk.start()
        await talk.lasts(GIVE_UP_S + 8)


async def not_refreshed_by_the_peer(place: Place, pair: str, way: str) -> None:
    async with Aging(place, pair, way) as talk:
        talk.agreed(session("uas"))
        talk.dead()
        talk.caller.does.gone()
        await talk.start()
        await talk.lasts(GIVE_UP_S)


async def refresh_not_answered(place: Place, pair: str, way: str) -> None:
    async with Aging(place, pair, way) as talk:
        talk.agreed(session("uac"))
        talk.called.does.expect("INVITE", Session_Expires=REFRESH)
        talk.dead()
        talk.caller.does.gone()
        await talk.start()
        await talk.lasts(REFRESH_S + NO_ANSWER_S)


async def no_ack(place: Place, pair: str, way: str) -> None:
    async with Aging(place, pair, way) as talk:
        talk.caller.does.invite(talk.caller.offer()).answered().stop("up").gone()
        talk.called.does.invited().answer(200, talk.called.answer()).expect("ACK").stop("up").gone()
        await talk.start()
        await talk.lasts(NO_ANSWER_S)


KINDS: dict[str, Callable[[Place, str, str], Awaitable[None]]] = {
    "refreshed-by-us": partial(refreshed_by_us, method="INVITE"),
    "refreshed-by-update": partial(refreshed_by_us, method="UPDATE"),
    "refreshed-by-the-peer": refreshed_by_the_peer,
    "not-refreshed-by-the-peer": not_refreshed_by_the_peer,
    "refresh-not-answered": refresh_not_answered,
    "no-ack": no_ack,
}


class AgedTalks(Aged[Place]):
    """All kinds in both directions, each kind between a pair of its own: `check("no-ack, from the trunk")`."""

    def __init__(self, authority: Authority) -> None:
        scenarios = {f"{kind}, {way}": _scenario(kind, way) for kind in KINDS for way in WAYS}
        super().__init__(scenarios, lambda: Place(authority, dict.fromkeys(KINDS, Pair())))


def _scenario(kind: str, way: str) -> Callable[[Place], Awaitable[None]]:
    return lambda place: KINDS[kind](place, kind, way)
