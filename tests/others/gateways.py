# SPDX-License-Identifier: GPL-2.0-or-later
"""Three gateways at one broker, between a platform and a PBX that are played, with no proxy in front of them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.support.company import DESTINATIONS
from tests.support.configuration import SIP_PORT, Configuration
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.support.broker import Broker
    from tests.support.peer_call import Call
    from tests.support.processes import Net

NUMBER = "+31201234567"
ANNA, BUSY = "+31612345681", "+31612345682"
FIRST_NODE = 51
PBX_PORT = 5070
NODES = ("gw-1", "gw-2", "gw-3")
SOON_S = 30.0


class Gateways(AsyncExitStack):
    """`async with Gateways(net, broker) as others`: started gateways by name, `platform` and `pbx`.

    `cluster` is what `[cluster]` says besides, `anna` what that destination does; `brokers` are the places where single
    gateways find the broker, where that is not its own.
    """

    def __init__(
        self,
        net: Net,
        broker: Broker,
        *,
        cluster: dict[str, Any] | None = None,
        anna: dict[str, Any] | None = None,
        brokers: dict[str, tuple[str, int]] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.broker = broker
        self._cluster = cluster or {}
        self._anna = anna or {}
        self._brokers = brokers or {}
        self.hosts = {node: net.host(FIRST_NODE + place) for place, node in enumerate(NODES)}
        self.gateways = {node: Gateway(self._files(node)) for node in NODES}
        self.platform = Peer(net.trunk, SIP_PORT)
        self.pbx = Peer(net.pbx, PBX_PORT, user="pbx")

    def _files(self, node: str) -> Configuration:
        files = Configuration(self.hosts[node], instance=node)
        host, port = self._brokers.get(node, (self.broker.host, self.broker.port))
        files.main["mqtt"] = {"host": host, "port": port}
        places = {name: f"sip:{host}:{SIP_PORT}" for name, host in self.hosts.items()}
        files.main["cluster"] = {"secret_file": "cluster.secret", "nodes": places, **self._cluster}
        files.secrets["cluster.secret"] = "what the three of them share"
        files.trunk("hms", self.net.trunk, options_interval_s=0)
        files.pbx("asterisk", f"sip:{self.net.pbx}:{PBX_PORT}")
        anna = {"id": "anna", **DESTINATIONS["anna"], "ring_timeout_s": 60, **self._anna}
        files.number("main-line", NUMBER, "hms", "asterisk", [anna, {"id": "busy", **DESTINATIONS["busy"]}])
        return files

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(*(gateway.start() for gateway in self.gateways.values()))
            for gateway in self.gateways.values():
                self.push_async_exit(gateway)
            await self.enter_async_context(self.platform)
            await self.enter_async_context(self.pbx)
            await asyncio.gather(*(self.together(node) for node in NODES))
        except BaseException:
            await self.aclose()
            raise
        return self

    async def together(self, node: str) -> None:
        """Wait until a gateway that was just started is at the broker, and hears of the others."""
        gateway = self.gateways[node]

        async def connected() -> bool:
            return "peers-connected" in gateway.log

        await eventually(connected, f"{node} hears of the others", timeout_s=SOON_S)

    async def conversation(self, node: str) -> tuple[Call, Call]:
        """A caller talks to the assistant by way of this gateway: the caller's end and the assistant's."""
        remote = (self.hosts[node], SIP_PORT)
        caller = self.pbx.invite(f"sip:{NUMBER}@{remote[0]}", remote, from_="<sip:+31201112222@pbx.example>")
        assistant = await self.platform.wait_call()
        await assistant.answer()
        await caller.answered()
        return caller, assistant

    async def ringing(self, node: str) -> tuple[Call, Call, Call]:
        """A transfer to Anna is under way: the caller's end, the assistant's, and Anna's, which rings."""
        caller, assistant = await self.conversation(node)
        assert await self.refer(assistant) == 202
        anna = await self.pbx.wait_call()
        await anna.ring()
        return caller, assistant, anna

    async def refer(self, assistant: Call, number: str = ANNA) -> int:
        """Have the assistant ask for a transfer; what the REFER is answered."""
        return (await assistant.refer(f"<sip:{number}@gateway>")).code
