# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that take a minute to show what they show: RFC 4028 knows no session shorter than 90 s.

They run side by side on a gateway and in a thread of their own, while other tests run; `check` waits for one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from tests.sip.scene import Scene, make_gateway
from tests.support.processes import Net

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from tests.support.peer_call import Call

T = TypeVar("T")

EXPIRES_S = 90
REFRESH_S = EXPIRES_S / 2
GIVE_UP_S = EXPIRES_S - EXPIRES_S / 3
"""RFC 4028 §10: who is not refreshed hangs up before the end, by a third of the interval or 32 s."""
NO_ANSWER_S = 32
"""64 × T1, RFC 3261 §17.1.1.2."""


class Aged(Generic[T]):
    """Scenarios by name, running until they are done or `stop`, on what `opened` opens for all of them."""

    def __init__(
        self,
        scenarios: Mapping[str, Callable[[T], Awaitable[None]]],
        opened: Callable[[], AbstractAsyncContextManager[T]],
    ) -> None:
        self._scenarios = scenarios
        self._opened = opened
        self._results: dict[str, Future[None]] = {name: Future() for name in scenarios}
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._all())
        self._thread = threading.Thread(target=self._run, name="aged")
        self._thread.start()

    def check(self, name: str) -> None:
        """Wait for one of the scenarios, and raise what it raised."""
        self._results[name].result(2 * EXPIRES_S)

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
        async with self._opened() as place:
            await asyncio.gather(*(self._one(name, place) for name in self._scenarios))

    async def _one(self, name: str, place: T) -> None:
        try:
            await self._scenarios[name](place)
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            self._results[name].set_exception(error)
        else:
            self._results[name].set_result(None)


@asynccontextmanager
async def a_scene() -> AsyncIterator[Scene]:
    """A gateway and peers of their own."""
    with Net() as net:
        async with make_gateway(net) as gateway, Scene(net, gateway) as scene:
            yield scene


def expires(refresher: str) -> list[tuple[str, str]]:
    """What agrees on a session timer; `refresher` is the role in the transaction that says so."""
    return [("Supported", "timer"), ("Require", "timer"), ("Session-Expires", f"{EXPIRES_S};refresher={refresher}")]


async def quiet(scene: Scene, line: str, refresher: str, *headers: tuple[str, str]) -> tuple[Call, Call]:
    """A conversation of a line whose assistant has agreed on a session timer; nobody says anything."""
    platform = await scene.platform(line)
    caller = scene.call_from_pbx(line)
    assistant = await platform.wait_call()
    assistant.answers["INVITE"] = None
    await assistant.answer(headers=[*expires(refresher), *headers])
    await caller.answered()
    caller.media.pause()
    assistant.media.pause()
    return caller, assistant


async def ended(call: Call, after_s: float) -> None:
    """The side that is still there is hung up, so many seconds after the call began, and not much sooner or later."""
    begun = time.monotonic()
    await call.wait_request("BYE", timeout_s=after_s + 8)
    took = time.monotonic() - begun
    assert after_s - 3 < took < after_s + 5, took


async def refreshed_by_us(scene: Scene) -> None:
    caller, assistant = await quiet(scene, "main", "uac")
    refresh = await assistant.wait_request("INVITE", timeout_s=REFRESH_S + 5)
    assert refresh["Session-Expires"].replace(" ", "") == f"{EXPIRES_S};refresher=uac"
    assistant.answer_now(refresh, headers=expires("uac"))
    await assistant.wait_request("ACK")
    await asyncio.sleep(NO_ANSWER_S + 3)
    assert not [one for one in (*caller.requests, *assistant.requests) if one.method == "BYE"]


async def refreshed_by_update(scene: Scene) -> None:
    caller, assistant = await quiet(scene, "hurried", "uac", ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE"))
    refresh = await assistant.wait_request("UPDATE", timeout_s=REFRESH_S + 5)
    assert refresh["Session-Expires"].replace(" ", "") == f"{EXPIRES_S};refresher=uac"
    assert not refresh.body
    await asyncio.sleep(NO_ANSWER_S + 3)
    assert not [one for one in (*caller.requests, *assistant.requests) if one.method in {"BYE", "INVITE"}]


async def refreshed_by_the_peer(scene: Scene) -> None:
    caller, assistant = await quiet(scene, "livekit", "uas")
    await asyncio.sleep(REFRESH_S)
    assert (await assistant.reinvite(headers=expires("uac"))).code == 200
    await asyncio.sleep(GIVE_UP_S - REFRESH_S + 8)
    assert not [one for one in (*caller.requests, *assistant.requests) if one.method == "BYE"]


async def not_refreshed_by_the_peer(scene: Scene) -> None:
    caller, assistant = await quiet(scene, "jambonz", "uas")
    assistant.answers["BYE"] = None
    await ended(caller, GIVE_UP_S)
    assistant.respond(await assistant.wait_request("BYE"), 200)


async def refresh_not_answered(scene: Scene) -> None:
    caller, assistant = await quiet(scene, "on-ring", "uac")
    assistant.answers["BYE"] = None
    await ended(caller, REFRESH_S + NO_ANSWER_S)
    assistant.respond(await assistant.wait_request("BYE"), 200)


async def no_ack(scene: Scene) -> None:
    platform = await scene.platform("notify")
    caller = scene.call_from_pbx("notify")
    caller.keeps_ack = True
    assistant = await platform.wait_call()
    await assistant.answer()
    await ended(assistant, NO_ANSWER_S)
    await caller.wait_request("BYE")


class AgedCalls(Aged[Scene]):
    """The scenarios of this module."""

    def __init__(self) -> None:
        super().__init__(SCENARIOS, a_scene)


SCENARIOS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "refreshed by us": refreshed_by_us,
    "refreshed by UPDATE": refreshed_by_update,
    "refreshed by the peer": refreshed_by_the_peer,
    "not refreshed by the peer": not_refreshed_by_the_peer,
    "refresh not answered": refresh_not_answered,
    "no ACK": no_ack,
}
