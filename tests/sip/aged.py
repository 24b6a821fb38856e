# SPDX-License-Identifier: GPL-2.0-or-later
"""Who plays calls that grow old (ageing.py): all of them side by side, in a thread of their own, while other tests run.

`check` waits for one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from itertools import product
from typing import TYPE_CHECKING, Any

from tests.sip.ageing import KINDS, NO_ANSWER_S, Kind
from tests.sip.bed import Pair
from tests.sip.far_ends import End, Ends, FarBed, FarStage
from tests.sip.mid_call import WAYS
from tests.sip.players import by_peers
from tests.sip.scenario import Conversation
from tests.sip.scene import Scene, make_gateway
from tests.sip.sipp_player import by_sipp
from tests.sip.sipp_talk import Place
from tests.support.end import EXPIRES_S, REFRESH_S
from tests.support.processes import Net, eventually

if TYPE_CHECKING:
    from tests.support.certificates import Authority
    from tests.support.far_asterisk import FarAsterisk
    from tests.support.peer_call import Call

Play = Callable[[Kind, str, str], Awaitable[None]]
"""Plays a kind, by its name, in a call that goes one of WAYS."""
OUT, IN = WAYS
LINES = {
    "refreshed-by-us": "main",
    "refreshed-by-our-update": "hurried",
    "refreshed-by-the-called": "livekit",
    "not-refreshed-by-the-called": "jambonz",
    "refresh-not-answered": "on-ring",
    "no-ack": "notify",
}
"""The kinds that scripted peers play, each on a line of its own."""
TIMED = End(asterisk={"timers": "always", "timers_sess_expires": str(EXPIRES_S), "timers_min_se": str(EXPIRES_S)})
AGREED = f"{EXPIRES_S};refresher=uac"
LATER_S = 35
"""When the call begins whose Asterisk dies: the others, of 68 s, are over before this one would be refreshed."""
REFRESHES, DIES = "refreshed-by-the-caller", "not-refreshed-by-the-caller"
PLAYED: dict[str, list[tuple[str, str]]] = {
    "peers": [(kind, OUT) for kind in LINES],
    "sipp": list(product(KINDS, WAYS)),
    "asterisks": [(REFRESHES, OUT), (REFRESHES, IN), (DIES, OUT)],
}
"""What each player plays, and which way the call goes."""


class Aged:
    """What a player plays, running until it is done or `stop`."""

    def __init__(self, player: str, authority: Authority) -> None:
        self._opened: Callable[[], AbstractAsyncContextManager[Play]] = {
            "peers": peers, "sipp": lambda: sipp(authority), "asterisks": lambda: asterisks(authority),
        }[player]  # fmt: skip
        self._results: dict[tuple[str, str], Future[None]] = {which: Future() for which in PLAYED[player]}
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._all())
        self._thread = threading.Thread(target=self._run, name="aged")
        self._thread.start()

    def check(self, kind: str, way: str) -> None:
        """Wait for one of them, and raise what it raised."""
        self._results[kind, way].result(3 * EXPIRES_S)

    def stop(self) -> None:
        """Break off whatever nobody has asked for; what is done is left to put itself away."""
        if not all(result.done() for result in self._results.values()):
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._task)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - told to whoever waits
            for result in self._results.values():
                if not result.done():
                    result.set_exception(error if isinstance(error, Exception) else CancelledError())

    async def _all(self) -> None:
        async with self._opened() as play:
            await asyncio.gather(*(self._one(play, *which) for which in self._results))

    async def _one(self, play: Play, kind: str, way: str) -> None:
        try:
            await play(KINDS[kind], kind, way)
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            self._results[kind, way].set_exception(error)
        else:
            self._results[kind, way].set_result(None)


@asynccontextmanager
async def peers() -> AsyncIterator[Play]:
    """Scripted peers, at a gateway of their own."""
    with Net() as net:
        async with make_gateway(net) as gateway, Scene(net, gateway) as scene:

            async def play(kind: Kind, name: str, way: str) -> None:
                await by_peers(nullcontext(scene), kind, way, invite=kind.invite(), line=LINES[name])

            yield play


@asynccontextmanager
async def sipp(authority: Authority) -> AsyncIterator[Play]:
    """SIPp at both ends, each kind between a pair of its own."""
    async with Place(authority, dict.fromkeys(KINDS, Pair())) as place:

        async def play(kind: Kind, name: str, way: str) -> None:
            await by_sipp(place, name, kind, way, invite=kind.invite(), alone=False)

        yield play


@asynccontextmanager
async def asterisks(authority: Authority) -> AsyncIterator[Play]:
    """Real Asterisks, which refresh the calls that they make of their own accord. One dies when no other needs it."""
    with Net() as net:
        async with FarBed(net, {"timed": Ends(TIMED, TIMED)}, authority) as bed, FarStage(bed, "timed") as at:
            needed = {OUT: asyncio.Event(), IN: asyncio.Event()}
            for far in (at.platform, at.pbx):
                await far.cli("rtp set debug off")  # it would print all of two minutes

            async def play(_kind: Kind, name: str, way: str) -> None:
                if name == DIES:
                    await asyncio.sleep(LATER_S)
                caller = Behind(at.call(way), at, list(needed.values()))
                called = Behind(await (at.assistant if way == OUT else at.people).wait_call(), at, [])

                async def reached(_: object) -> Behind:
                    return called

                try:
                    await KINDS[name](Conversation[Any](caller, reached=reached))
                finally:
                    if name == REFRESHES:
                        needed[way].set()

            yield play
            await at.gateway.idle(NO_ANSWER_S + 8)  # a BYE that nobody answers takes so long (RFC 3261 §17.1.2.2)


class Behind:
    """An Ageing end: somebody behind an Asterisk, which is what grows old."""

    def __init__(self, call: Call, at: FarStage, needed: list[asyncio.Event]) -> None:
        self._call, self._at, self._needed = call, at, needed
        self._far: FarAsterisk = at.pbx if call.peer is at.people else at.platform

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    async def accepts(self, headers: object = None) -> None:
        """The Asterisk says what is to be said of timers."""
        assert not headers
        await self._call.accepts()

    async def refreshes(self, _method: str) -> None:
        """Wait until the Asterisk has done so with the call that it has made, and was told that this is good."""

        async def done() -> bool:
            messages = [one for _, one in await self._at.messages(self._far)]
            refreshes = [
                one for one in messages if one.is_request and one.tag("To") and one.get("Session-Expires") == AGREED
            ]
            asked = {(one["Call-ID"], one.cseq) for one in refreshes}
            return any(
                (one["Call-ID"], one.cseq) in asked and one.code == 200 for one in messages if not one.is_request
            )

        await asyncio.sleep(REFRESH_S - 5)
        await eventually(done, "a refresh", timeout_s=15, every_s=0.5)

    async def vanishes(self) -> None:
        """Have the Asterisk killed, once nobody needs it any more."""
        for each in self._needed:
            await each.wait()
        await self._far.kill()

    async def returns(self) -> None:
        """Have it started again."""
        self._call.falls_silent()
        await self._far.start()
