# SPDX-License-Identifier: GPL-2.0-or-later
"""What callers, platforms and the PBX's phones do, and what whoever asks for a transfer is told.

Each caller's number says of what kind its call is, so that the platform knows what to ask for. Nothing here says what
is to become of a transfer: broker, PBX and clocks fail meanwhile. What was told is compared with what was reported.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from tests.support.configuration import TOKEN, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.soak.stations import Station
    from tests.support.gateway import Gateway
    from tests.support.peer_call import Call

PATIENCE_S, RINGS_S, TALKS_S = 40.0, 0.05, 0.5
NUMBERED = 31611100000
"""The numbers of the destinations, from here on."""

PHONES: dict[str, int] = {"6010": 486, "6012": 603, "6016": 484, "6017": 488, "6018": 500, "6999": 404}
"""Extensions that refuse, and with what."""
ENDLESS, VANISHING, SILENT = "6011", "6020", "6021"
"""Rings and never answers; answers, and is gone; rings, and is gone."""

DESTINATIONS: tuple[Table, ...] = (
    {"id": "anna", "extension": "6001", "max_concurrent": 600},
    {"id": "sales", "extension": "6500", "queue": "sales", "max_concurrent": 600},
    {"id": "busy", "extension": "6010"},
    {"id": "declining", "extension": "6012"},
    {"id": "broken", "extension": "6018"},
    {"id": "missing", "extension": "6999"},
    {"id": "short", "extension": "6016"},
    {"id": "mute", "extension": "6017"},
    {"id": "silent", "extension": ENDLESS, "ring_timeout_s": 1.0},
    {"id": "endless", "extension": ENDLESS, "ring_timeout_s": 20.0},
    {"id": "vanishing", "extension": VANISHING},
    {"id": "ringing-off", "extension": SILENT, "ring_timeout_s": 1.0},
    {"id": "overflowing", "extension": "6010", "overflow": ["anna"]},
    {"id": "single", "extension": "6001", "max_concurrent": 1},
    {"id": "empty", "extension": "6501", "queue": "empty"},
    {"id": "closed", "extension": "6001", "hours": "later"},
    {"id": "on-holiday", "extension": "6001", "hours": "holidays"},
)
NAMES = {str(one["id"]): f"+{NUMBERED + place}" for place, one in enumerate(DESTINATIONS)} | {"nobody": "+31699999999"}


@dataclass
class Kind:
    """What the platform of a call does when it is up."""

    target: str
    share: int = 1
    headers: tuple[tuple[str, str], ...] = ()
    then: str = ""
    """hung-up: the caller goes while it rings; cancelled: by command; pending, not-bridged: it asks again meanwhile, or
    afterwards; attended: it calls the destination first, and has the two joined; command: it asks over HTTP;
    platform-vanishes, caller-vanishes."""
    invites: bool = False
    """Whether the platform calls the destination, in place of a REFER."""


KINDS = (
    Kind("anna", 8), Kind("sales", 4), Kind("busy", 2), Kind("declining"), Kind("broken"), Kind("missing"),
    Kind("silent", 2), Kind("overflowing", 2), Kind("single", 2), Kind("empty", 2), Kind("closed", 2),
    Kind("nobody", 2), Kind("short"), Kind("mute"), Kind("on-holiday"), Kind("vanishing"), Kind("ringing-off"),
    Kind("anna", 1, (("Require", "telepathy"),)), Kind(""), Kind("endless", 2, then="hung-up"),
    Kind("endless", then="cancelled"), Kind("endless", then="pending"), Kind("anna", then="not-bridged"),
    Kind("anna", then="attended"), Kind("anna", then="command"), Kind("anna", then="platform-vanishes"),
    Kind("anna", then="caller-vanishes"), Kind("endless", then="platform-vanishes"), Kind("anna", 3, invites=True),
    Kind("busy", invites=True), Kind("empty", invites=True),
)  # fmt: skip

CallId: TypeAlias = str
Headers: TypeAlias = tuple[tuple[str, str], ...]


@dataclass
class Told:
    """What the far end of one call has asked for, and was told."""

    sent: int = 0
    refused: list[int] = field(default_factory=list)
    accepted: int = 0
    finals: list[int] = field(default_factory=list)
    """Codes of final NOTIFYs, or what an INVITE that asks for a transfer was answered with."""
    at: list[float] = field(default_factory=list)
    """When anything of this came, by time.monotonic()."""

    def comes(self) -> None:
        """Something does, now."""
        self.at.append(time.monotonic())


class Platform:
    """The assistant behind one trunk."""

    def __init__(self, gateway: Gateway, transfer_of: Callable[[CallId], Coroutine[None, None, str]]) -> None:
        """`transfer_of` waits until the gateway has told of the first transfer that a call has asked for."""
        self.gateway = gateway
        self.station: Station
        self.told: dict[CallId, Told] = defaultdict(Told)
        self._transfer_of = transfer_of

    async def takes(self, call: Call) -> None:
        """Answer, ask for what the caller's number says, and end the call when it is known what became of that."""
        assert call.incoming
        kind = KINDS[int(call.incoming["From"].partition("@")[0][-2:])]
        call.respond(call.incoming, 200, body=call.answer_to(call.incoming.body))
        if not await self.station.insists(call):
            self.station.over(call)
            return
        told = self.told[call.call_id]
        match kind.then:
            case "attended":
                code = await self._consults(call, kind.target, told)
            case "command":
                code = await self._commands(call, kind.target, told)
            case _:
                code = await self._asks(call, _refer_to(NAMES.get(kind.target, ""), *kind.headers), told)
        if kind.then == "platform-vanishes":
            self.station.vanishes(call)
            self.station.over(call)
            return
        if code == 202:
            await self._waits(call, kind, told)
        if not any(one.method == "BYE" for one in call.requests):
            await call.hang_up()
        self.station.over(call)

    async def _asks(self, call: Call, headers: Headers, told: Told) -> int:
        told.sent += 1
        answer = await call.begin("REFER", headers=headers).final(PATIENCE_S)
        told.comes()
        if answer.code == 202:
            told.accepted += 1
        else:
            told.refused.append(answer.code)
        return answer.code

    async def _consults(self, call: Call, target: str, told: Told) -> int:
        """Talk to the target first, and have the two joined (RFC 5589 §7)."""
        consulting = await self._invited(target)
        if consulting is None:
            return 0
        try:
            return await self._asks(call, _refer_to(f"joined?Replaces={quote(consulting.named, safe='')}"), told)
        finally:
            self.station.begins(self._leaves(consulting))

    async def _leaves(self, call: Call) -> None:
        """The gateway ends a consultation call a second after it has joined the two."""
        try:
            await call.wait_request("BYE", 8 * TALKS_S)
        except AssertionError:
            await call.hang_up()
        self.station.over(call)

    async def _commands(self, call: Call, target: str, told: Told) -> int:
        """Ask over HTTP. 0: nobody tells the platform what became of it."""
        calls = (await self.gateway.get("/api/calls"))["calls"]
        for one in calls:
            if call.call_id in one["call_ids"].values():
                body = {"type": "transfer", "destination": NAMES[target]}
                told.sent += 1
                status, _ = await self.gateway.http(
                    "POST", f"/api/calls/{one['call']}/transfer", token=TOKEN, body=body
                )
                told.accepted += status == 202
                told.comes()
                await self._leaves_when_told(call)
        return 0

    async def _leaves_when_told(self, call: Call) -> None:
        with suppress(AssertionError):
            await call.wait_request("BYE", 8 * TALKS_S)

    async def _waits(self, call: Call, kind: Kind, told: Told) -> None:
        if kind.then == "pending":
            await self._asks(call, _refer_to(NAMES["anna"]), told)
        if kind.then == "cancelled":
            transfer = await self._transfer_of(call.call_id)
            await self.gateway.http("POST", f"/api/transfers/{transfer}/cancel", token=TOKEN, body={})
        last = (await call.notifies(PATIENCE_S))[-1].sipfrag
        told.finals.append(last)
        told.comes()
        if kind.then == "not-bridged" and last == 200:
            await self._asks(call, _refer_to(NAMES["busy"]), told)

    async def invites(self, target: str) -> None:
        """Call a destination, as a platform does that transfers by INVITE."""
        call = await self._invited(target)
        if call is not None:
            await asyncio.sleep(TALKS_S)
            await call.hang_up()
            self.station.over(call)

    async def _invited(self, target: str) -> Call | None:
        """A call to a destination; None: it was refused."""
        host, port = self.gateway.sip
        call = self.station.calls_out(f"sip:{NAMES[target]}@{host}", (host, port), from_="<sip:+31201119999@far>")
        told = self.told[call.call_id]
        told.sent += 1
        code = (await call.final(PATIENCE_S)).code
        told.comes()
        (told.finals if code == 200 else told.refused).append(code)
        if code == 200:
            return call
        self.station.over(call)
        return None


def _refer_to(whom: str, *more: tuple[str, str]) -> Headers:
    """The headers of a REFER; without Refer-To where nobody is meant. Behind a ? are headers of the URI."""
    user, _, headers = whom.partition("?")
    uri = f"<sip:{user}@gateway{'?' if headers else ''}{headers}>"
    return (("Refer-To", uri), *more) if user else more


class Pbx:
    """Callers from a PBX, and its phones."""

    def __init__(self, gateway: Gateway, rings: Callable[[CallId], None]) -> None:
        """`rings` is told of each call that comes for a phone."""
        self.gateway = gateway
        self.station: Station
        self.calls = self.up = 0
        self._rings = rings

    async def takes(self, call: Call) -> None:
        """A phone does what its extension says."""
        assert call.incoming
        extension = call.incoming.uri.partition(":")[2].partition("@")[0]
        self._rings(call.call_id)
        if (code := PHONES.get(extension)) is not None:
            call.reject(code)
            await self.station.insists(call)
        else:
            call.respond(call.incoming, 180)
            if extension == SILENT:
                self.station.vanishes(call)
            elif extension != ENDLESS:
                await self._answers(call, extension)
            else:
                await call.wait_request("CANCEL", PATIENCE_S)
                await self.station.insists(call)
        self.station.over(call)

    async def _answers(self, call: Call, extension: str) -> None:
        assert call.incoming
        await asyncio.sleep(RINGS_S)
        if call.final_sent or any(one.method == "CANCEL" for one in call.requests):
            return
        call.respond(call.incoming, 200, body=call.answer_to(call.incoming.body))
        if not await self.station.insists(call):
            return
        if extension == VANISHING:
            self.station.vanishes(call)
            return
        try:
            await call.wait_request("BYE", 10 * TALKS_S)
        except AssertionError:
            await call.hang_up()

    async def calls_in(self, number: str, kind: int) -> None:
        """Somebody calls the assistant, and stays until they are put through and have talked for a while."""
        host, port = self.gateway.sip
        call = self.station.calls_out(f"sip:{number}@{host}", (host, port), from_=f"<sip:+3120111{kind:04}@far>")
        self.calls += 1
        if (await call.final(PATIENCE_S)).code == 200:
            self.up += 1
            match KINDS[kind].then:
                case "caller-vanishes":
                    self.station.vanishes(call)
                    await asyncio.sleep(PATIENCE_S)
                case "hung-up" | "pending":
                    await self._leaves(call, 1.0)
                case _:
                    await self._leaves(call, 6 * TALKS_S)
        self.station.over(call)

    async def _leaves(self, call: Call, after_s: float) -> None:
        try:
            await call.wait_request("BYE", after_s)
        except AssertionError:
            await call.hang_up()
