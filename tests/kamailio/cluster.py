# SPDX-License-Identifier: GPL-2.0-or-later
"""Three gateways, the proxy in front of them, and a platform and a PBX that know nothing but the proxy."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from gateway.config.node_token import node_token
from tests.support.company import DESTINATIONS
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway
from tests.support.kamailio import PORT, TLS_PORT, Kamailio, Places
from tests.support.peer import Peer
from tests.support.processes import eventually
from tests.support.sip_message import parameter
from tests.support.wire import Streams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from tests.support.certificates import Authority
    from tests.support.peer_call import Call
    from tests.support.phone import Phone
    from tests.support.processes import Net
    from tests.support.rtpengine import Rtpengine

SECRET = "what the three of them share"
NUMBER, OTHER = "+31201234567", "+31201234568"
ANNA = "+31612345681"
PBX_PORT = 5070
OTHER_PORT = 5071
DOMAIN = "sip.example.com"
CALLER_HZ, ASSISTANT_HZ, TARGET_HZ = 700, 1300, 1900
FIRST_NODE, OUTSIDE, TRUNK_SIDE, PBX_SIDE, SECOND_SIDE, SECOND = 51, 60, 61, 62, 67, 4
NODES = ("gw-1", "gw-2", "gw-3")


class Cluster(AsyncExitStack):
    """`async with Cluster(net, authority) as cluster`: gateways by name, `proxy`, and whoever is played.

    With `loaded` nobody is: whoever loads it is the platform, over UDP, and the PBX. A `phone` is whom
    the gateways call, and the scripted platform is at another port of its address. Audio between the platform and the
    gateways passes the `relays`, where there are any. With `second` there is another platform, whose number is OTHER.
    """

    def __init__(
        self,
        net: Net,
        authority: Authority,
        *,
        loaded: bool = False,
        nodes: Sequence[str] = NODES,
        relays: Sequence[Rtpengine] = (),
        phone: Phone | None = None,
        second: bool = False,
        **defines: Any,
    ) -> None:
        super().__init__()
        self.net = net
        self.loaded = loaded
        self.relays = relays
        self.phone = phone
        self.second = Peer(net.host(SECOND), TLS_PORT, wire=Streams(authority.identity(net.host(SECOND))))
        self._has_second = second
        hosts = {node: net.host(FIRST_NODE + number) for number, node in enumerate(nodes)}
        self.uris = {node: f"sip:{host}:{PORT}" for node, host in hosts.items()}
        self.gateways = {node: Gateway(self._files(node, hosts[node])) for node in nodes}
        platform = f"sip:{net.trunk}:{PORT}" if loaded else f"sip:{net.trunk}:{TLS_PORT};transport=tls"
        self.places = Places(
            outside=net.host(OUTSIDE), trunk_side=net.host(TRUNK_SIDE), pbx_side=net.host(PBX_SIDE),
            platform=platform, pbx=f"sip:{net.pbx}:{PBX_PORT}", relays=" ".join(relay.socket for relay in relays),
            second=f"sip:{net.host(SECOND)}:{TLS_PORT};transport=tls" if second else "",
            second_side=net.host(SECOND_SIDE),
        )  # fmt: skip
        first = self.gateways[nodes[0]].directory
        defines = {"SILENT_MS": 10_000, **defines}
        self.proxy = Kamailio(self.places, authority.identity(self.places.outside), first, **defines)
        self.platform = Peer(net.trunk, OTHER_PORT if phone else TLS_PORT, wire=Streams(authority.identity(net.trunk)))
        self.pbx = Peer(net.pbx, PBX_PORT, user="pbx")

    def _files(self, node: str, host: str) -> Configuration:
        files = Configuration(host, instance=node, drain_timeout_s=30)
        if self.loaded:
            files.main["gateway"]["log_level"] = "warning"
        files.main["cluster"] = {"secret_file": "cluster.secret", "nodes": self.uris, "domain": DOMAIN}
        files.secrets["cluster.secret"] = SECRET
        trunk_side, pbx_side = self.net.host(TRUNK_SIDE), self.net.host(PBX_SIDE)
        files.trunk("hms", trunk_side, options_interval_s=0)
        files.pbx("asterisk", f"sip:{self.net.pbx}:{PBX_PORT}", addresses=[pbx_side])
        anna = {**DESTINATIONS["anna"], "id": "anna", "ring_timeout_s": 20}
        files.number("main-line", NUMBER, "hms", "asterisk", [anna], answer="anna")
        if self._has_second:
            files.trunk("second", self.net.host(SECOND_SIDE), options_interval_s=0)
            files.number("other-line", OTHER, "second", "asterisk", [anna], answer="anna")
        return files

    async def __aenter__(self) -> Self:
        try:
            return await self._entered()
        except BaseException:
            sys.stderr.write(f"--- the proxy's log\n{self.proxy.log}\n")
            await self.aclose()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is not None:
            for relay in self.relays:
                sys.stderr.write(f"--- a relay's log\n{relay.log}\n")
            sys.stderr.write(f"--- the proxy's log\n{self.proxy.log}\n")
        return await super().__aexit__(kind, error, trace)

    async def _entered(self) -> Self:
        await asyncio.gather(*(gateway.start() for gateway in self.gateways.values()))
        for gateway in self.gateways.values():
            self.push_async_exit(gateway)
        for relay in self.relays:
            await self.enter_async_context(relay)
        await self.enter_async_context(self.proxy)
        if self._has_second:
            await self.enter_async_context(self.second)
        if self.phone:
            await self.enter_async_context(self.phone)
        if not self.loaded:
            await self.enter_async_context(self.platform)
            await self.enter_async_context(self.pbx)
        await self.serve(*self.gateways)
        return self

    async def serve(self, *nodes: str) -> None:
        """Wait until the proxy gives new calls to these gateways and to no other."""
        wanted = {self.uris[node] for node in nodes}

        async def known() -> bool:
            return await self.proxy.active() == wanted

        await eventually(known, f"new calls go to {nodes}", timeout_s=30)

    async def drain(self, node: str) -> None:
        """Tell a gateway that has calls to end, and wait until it takes no new one; the proxy need not know yet."""
        gateway = self.gateways[node]
        gateway.terminate()

        async def draining() -> bool:
            return bool((await gateway.get("/api/status"))["state"] == "draining")

        await eventually(draining, f"{node} takes no new calls", timeout_s=30)

    def node_of(self, name: str | None) -> str:
        """Whose Call-ID or tag this is."""
        tokens = {node_token(SECRET, node): node for node in self.gateways}
        token, hyphen, _ = (name or "").partition("-")
        assert hyphen
        return tokens[token]

    def call(self, number: str = NUMBER, **more: Any) -> Call:
        """The PBX puts a caller through to the assistant."""
        more = {"from_": '"Eve Example" <sip:+31201112222@pbx.example>', "hz": CALLER_HZ, **more}
        remote = (self.places.pbx_side, PORT)
        return self.pbx.invite(f"sip:{number}@{remote[0]}", remote, **more)

    def ask(self, user: str = ANNA, **more: Any) -> Call:
        """The platform calls one of the company's numbers for a caller of its own."""
        remote = (self.places.outside, TLS_PORT)
        return self.platform.invite(f"sip:{user}@{remote[0]}", remote, hz=ASSISTANT_HZ, **more)

    async def conversation(self) -> tuple[Call, Call, str]:
        """A caller talks to the assistant: the caller's end, the assistant's, and the gateway between them."""
        caller = self.call()
        assistant = await self.platform.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        node = self.node_of(parameter(caller.far, "tag"))
        assert self.node_of(assistant.call_id) == node
        assert self.node_of(parameter(assistant.far, "tag")) == node
        return caller, assistant, node

    async def conversations(self) -> dict[str, tuple[Call, Call]]:
        """One with each gateway; further ones end again."""
        found: dict[str, tuple[Call, Call]] = {}
        for _ in range(100):
            caller, assistant, node = await self.conversation()
            if node in found:
                await self.hang_up(caller, assistant)
                continue
            found[node] = (caller, assistant)
            if len(found) == len(NODES):
                return found
        raise AssertionError(f"a hundred calls have reached no more than {sorted(found)}")

    async def hang_up(self, caller: Call, *others: Call) -> None:
        """The caller does, and the others hear of it."""
        assert (await caller.hang_up()).code == 200
        for other in others:
            await other.wait_request("BYE", 30)
