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
    from collections.abc import Awaitable, Callable, Mapping

    from tests.support.certificates import Authority

BY_UPDATE = {"Allow": "INVITE, ACK, CANCEL, BYE, UPDATE"}
REFRESH = f"{EXPIRES_S} *; *refresher=uac"


def session(refresher: str) -> dict[str, str]:
    """Headers that agree on a session timer."""
    return dict(expires(refresher))


class Aging(Talk):
    """A call of which nothing is heard for a long time; one of them has agreed with the gateway on a session timer."""

    def __init__(self, place: Place, pair: str, way: str, who: str) -> None:
        super().__init__(place, pair, way, caller_port=PORT + 10, alone=False)
        for end in self.ends:
            end.does.patience_s = EXPIRES_S
        self.timed, self.other = self.parts(who)

    def agreed(self, *, by_us: bool, headers: Mapping[str, str] | None = None) -> None:
        """Both do what makes a call; `by_us`: the gateway is to refresh the session."""
        is_caller = self.timed is self.caller
        timer = {**session("uas" if by_us is is_caller else "uac"), **(headers or {})}
        self.caller.does.invite(self.caller.offer(), timer if is_caller else None).answered().ack().stop("up")
        answer = self.called.answer()
        self.called.does.invited().answer(200, answer, headers=None if is_caller else timer).expect("ACK").stop("up")

    async def lasts(self, seconds: float) -> None:
        """From `up` on it takes about so long until the other one is hung up."""
        for end in self.ends:
            end.media.pause()
        begun = time.monotonic()
        await self.go()
        await self.other.over()
        assert seconds - 3 < time.monotonic() - begun < seconds + 5, time.monotonic() - begun


async def refreshed_by_us(place: Place, pair: str, way: str, *, who: str = "called", update: bool = False) -> None:
    async with Aging(place, pair, way, who) as talk:
        talk.agreed(by_us=True, headers=BY_UPDATE if update else None)
        timed = talk.timed.does
        if update:
            timed.expect("UPDATE", Session_Expires=REFRESH).respond(200, headers=session("uac"))
        else:
            timed.expect("INVITE", Session_Expires=REFRESH).respond(200, talk.timed.answer(), headers=session("uac"))
            timed.expect("ACK")
        timed.bye()  # a call that goes on
        talk.other.does.gone()
        await talk.start()
        await talk.lasts(REFRESH_S)


async def refreshed_by_the_peer(place: Place, pair: str, way: str, *, who: str = "called") -> None:
    async with Aging(place, pair, way, who) as talk:
        talk.agreed(by_us=False)
        timed = talk.timed.does.pause(int(1000 * REFRESH_S)).request("UPDATE", headers=session("uac"))
        timed.response(200, Session_Expires=REFRESH).pause(int(1000 * (GIVE_UP_S - REFRESH_S + 8))).bye()
        talk.other.does.gone()
        await talk.start()
        await talk.lasts(GIVE_UP_S + 8)


async def not_refreshed_by_the_peer(place: Place, pair: str, way: str, *, who: str = "called") -> None:
    async with Aging(place, pair, way, who) as talk:
        talk.agreed(by_us=False)
        talk.timed.does.expect("BYE")  # and no answer: it is gone for good
        talk.other.does.gone()
        await talk.start()
        await talk.lasts(GIVE_UP_S)


async def refresh_not_answered(place: Place, pair: str, way: str) -> None:
    async with Aging(place, pair, way, "called") as talk:
        talk.agreed(by_us=True)
        talk.timed.does.expect("INVITE", Session_Expires=REFRESH).expect("BYE")
        talk.other.does.gone()
        await talk.start()
        await talk.lasts(REFRESH_S + NO_ANSWER_S)


async def no_ack(place: Place, pair: str, way: str) -> None:
    async with Aging(place, pair, way, "caller") as talk:
        talk.caller.does.invite(talk.caller.offer()).answered().stop("up").gone()
        talk.called.does.invited().answer(200, talk.called.answer()).expect("ACK").stop("up").gone()
        await talk.start()
        await talk.lasts(NO_ANSWER_S)


KINDS: dict[str, Callable[[Place, str, str], Awaitable[None]]] = {
    "refreshed-by-us": refreshed_by_us,
    "refreshed-by-us-for-the-caller": partial(refreshed_by_us, who="caller"),
    "refreshed-by-update": partial(refreshed_by_us, update=True),
    "refreshed-by-the-called": refreshed_by_the_peer,
    "refreshed-by-the-caller": partial(refreshed_by_the_peer, who="caller"),
    "not-refreshed-by-the-called": not_refreshed_by_the_peer,
    "not-refreshed-by-the-caller": partial(not_refreshed_by_the_peer, who="caller"),
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
