# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway with pairs of peers, each pair a platform and a PBX that differ in transport, media or manners."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.support.company import DESTINATIONS
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net
from tests.support.wire import Wire

if TYPE_CHECKING:
    from tests.support.certificates import Authority
    from tests.support.peer_call import Call

CALLER_HZ, ASSISTANT_HZ, TARGET_HZ = 700, 1300, 1900
CALLER = '"Eve Example" <sip:+31201112222@pbx.inside.example>'
ANNA = "<sip:+31612345681@gateway>"
FIRST_HOST = 40
PORT, TLS_PORT = 5060, 5061


def tls(authority: Authority, *names: str) -> dict[str, Any]:
    """The settings of a gateway that speaks TLS, and asks who connects for a certificate of the same authority."""
    own = authority.identity(*names)
    return {
        "tls_port": TLS_PORT, "tls_certificate": str(own.certificate), "tls_key": str(own.key),
        "tls_ca": str(own.authority), "tls_verify_client": True,
    }  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """A platform and a PBX by what is peculiar to their profiles."""

    trunk: dict[str, Any] = field(default_factory=dict)
    pbx: dict[str, Any] = field(default_factory=dict)
    anna: dict[str, Any] = field(default_factory=dict)  # … and the destination there


class Bed:
    """A running gateway, and the addresses of its pairs. The peers are played by whoever takes a `Stage`."""

    def __init__(self, net: Net, pairs: dict[str, Pair], *, sip: dict[str, Any] | None = None) -> None:
        self.net = net
        self.pairs = pairs
        files = Configuration(net.gateway, **(sip or {}))
        for name, pair in pairs.items():
            trunk, pbx = f"{name}-trunk", f"{name}-pbx"
            files.trunk(trunk, self.trunk_host(name), **{"options_interval_s": 0, **pair.trunk})
            files.pbx(pbx, f"sip:{self.pbx_host(name)}:{PORT}", **pair.pbx)
            anna = {**DESTINATIONS["anna"], "id": "anna", "ring_timeout_s": 10, **pair.anna}
            files.number(name, self.number(name), trunk, pbx, [anna], answer="anna")
        self.gateway = Gateway(files)

    def number(self, name: str) -> str:
        """The assigned number of a pair."""
        return f"+3120123456{list(self.pairs).index(name)}"

    def trunk_host(self, name: str) -> str:
        """Where the platform of a pair is."""
        return self.net.host(FIRST_HOST + 2 * list(self.pairs).index(name))

    def pbx_host(self, name: str) -> str:
        """Where the PBX of a pair is."""
        return self.net.host(FIRST_HOST + 2 * list(self.pairs).index(name) + 1)


class Stage(AsyncExitStack):
    """The peers of one pair: `async with Stage(bed, "tcp", trunk=Streams()) as at`. At its end nothing may be left."""

    def __init__(
        self, bed: Bed, name: str, *, trunk: Wire | None = None, pbx: Wire | None = None, port: int = PORT
    ) -> None:
        super().__init__()
        self.bed = bed
        self.number = bed.number(name)
        self.trunk = Peer(bed.trunk_host(name), PORT, wire=trunk)
        self.pbx = Peer(bed.pbx_host(name), PORT, user="pbx", wire=pbx)
        self.trunk.is_wanted = self.pbx.is_wanted = bed.gateway.carries
        self.gateway = (bed.net.gateway, port)

    async def __aenter__(self) -> Self:
        self.trunk.earlier = self.pbx.earlier = await self.bed.gateway.call_ids()
        await self.enter_async_context(self.trunk)
        await self.enter_async_context(self.pbx)
        for peer in (self.trunk, self.pbx):
            self.callback(peer.settle)
        await self.enter_async_context(self.bed.gateway.scenario())
        return self

    def persistent(self) -> Self:
        """Have both send again what is not answered, as any agent does over UDP."""
        self.trunk.retransmits = self.pbx.retransmits = True
        return self

    def call(self, **more: Any) -> Call:
        """The PBX puts a caller through to the assistant."""
        more = {"from_": CALLER, "hz": CALLER_HZ, **more}
        return self.pbx.invite(f"sip:{self.number}@gateway", more.pop("gateway", self.gateway), **more)

    async def conversation(self, **more: Any) -> tuple[Call, Call]:
        """A caller talks to the assistant: the caller's end, and the assistant's."""
        caller = self.call(**more)
        assistant = await self.trunk.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        return caller, assistant

    async def transfer(self, caller: Call, assistant: Call) -> Call:
        """The assistant has the caller put through to Anna, who answers: her end."""
        assert (await assistant.refer(ANNA)).code == 202
        anna = await self.pbx.wait_call()
        await anna.answer(hz=TARGET_HZ)
        assert (await assistant.notifies())[-1].sipfrag == 200
        await caller.media.hears(TARGET_HZ)
        await anna.media.hears(CALLER_HZ)
        return anna
