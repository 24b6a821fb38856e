# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway, and companies enough to play many ways at a time: each has a PBX, two platforms and its own numbers."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.model.on_the_wire.company import add_company
from tests.support.configuration import TOKEN, Configuration
from tests.support.gateway import Gateway
from tests.support.mqtt_broker import Published, ScriptedBroker
from tests.support.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tests.support.processes import Net

FIRST_HOST = 30
NUMBERS = 31201230000
"""The first assigned number; each company has two."""
PATIENCE_S = 30.0
ENDED, REQUESTED = "transfer.ended.v1", "transfer.requested.v1"


@dataclass(frozen=True)
class Place:
    """A company to itself: one way at a time is played here."""

    pbx: Peer
    platforms: tuple[Peer, Peer]
    """The other one is told of the end when the target rings."""
    numbers: tuple[str, str]
    """That lead to them."""


class Stage:
    """`async with Stage(net, 12) as stage`: a gateway with so many companies, and all that it tells of."""

    def __init__(self, net: Net, places: int, gateway: Callable[[Configuration], Gateway] = Gateway) -> None:
        self._net = net
        self._made = gateway
        self._stack = AsyncExitStack()
        self.places = [self._place(number) for number in range(places)]
        self.events: list[dict[str, Any]] = []
        """Each once, in the order in which they came."""
        self._by_call: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._ids: set[str] = set()
        self.again = 0
        """How many events came more than once."""

    async def __aenter__(self) -> Self:
        self.broker = await self._stack.enter_async_context(ScriptedBroker(self._take))
        for place in self.places:
            for peer in (place.pbx, *place.platforms):
                peer.retransmits = True
                await self._stack.enter_async_context(peer)
        self.gateway = await self._stack.enter_async_context(self._made(self._configured()))
        return self

    async def __aexit__(self, *details: Any) -> None:
        await self._stack.__aexit__(*details)

    def _place(self, number: int) -> Place:
        hosts = [self._net.host(FIRST_HOST + 3 * number + one) for one in range(3)]
        numbers = (f"+{NUMBERS + 2 * number}", f"+{NUMBERS + 2 * number + 1}")
        return Place(Peer(hosts[0], user="caller"), (Peer(hosts[1]), Peer(hosts[2])), numbers)

    def _configured(self) -> Configuration:
        files = Configuration(self._net.gateway, rtp_port_min=20000, rtp_port_max=29999, max_calls=600)
        files.main["gateway"]["log_level"] = "warning"
        files.main["mqtt"] = {"host": self.broker.host, "port": self.broker.port}
        for number, place in enumerate(self.places):
            hosts = [peer.host for peer in place.platforms]
            add_company(files, f"-{number}", place.pbx.host, hosts, place.numbers, [False, True])
        return files

    # --- what the gateway tells

    def _take(self, message: Published) -> int:
        if b'"specversion"' not in message.payload:
            return 0
        event = json.loads(message.payload)
        if event["id"] in self._ids:
            self.again += 1
            return 0
        self._ids.add(event["id"])
        self.events.append(event)
        for call_id in set(event["data"].get("call_ids", {}).values()):
            self._by_call[call_id].append(event)
        return 0

    def of(self, kind: str, call_ids: Iterable[str]) -> list[dict[str, Any]]:
        """The events of one type about transfers of these calls, in the order in which the transfers were asked for."""
        found = {event["id"]: event for one in call_ids for event in self._by_call[one] if event["type"] == kind}
        return sorted((event["data"] for event in found.values()), key=lambda data: data["requested_at"])

    async def told(self, kind: str, call_ids: Collection[str], count: int) -> list[dict[str, Any]]:
        """The same, once there are as many. Raises AssertionError."""
        try:
            await self.broker.until(lambda: len(self.of(kind, call_ids)) >= count, within=PATIENCE_S)
        except TimeoutError:
            raise AssertionError(f"{len(self.of(kind, call_ids))} of {count} {kind}") from None
        return self.of(kind, call_ids)

    async def command(self, path: str) -> int:
        """A command over HTTP; the status of its answer."""
        status, _ = await self.gateway.http("POST", path, token=TOKEN)
        return status

    async def calls(self, call_ids: Collection[str]) -> list[str]:
        """The gateway's calls of which one of these SIP calls is a leg."""
        found = (await self.gateway.get("/api/calls"))["calls"]
        return [one["call"] for one in found if set(one["call_ids"].values()) & set(call_ids)]


async def news(peers: Iterable[Peer], within_s: float) -> None:
    """Wait until one of these peers has got a message. Raises TimeoutError."""
    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asked = list(peers)
    for peer in asked:
        peer._waiting.add(arrived)
    try:
        await asyncio.wait_for(arrived, within_s)
    finally:
        for peer in asked:
            peer._waiting.discard(arrived)
