# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway between two Asterisks, one as the platform and one as the PBX, with a person at a plain phone behind each.

A pair's lines differ in transport, encryption, codecs and manners; the persons hear what came of it.
"""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from tests.sip.bed import ASSISTANT_HZ, CALLER, CALLER_HZ, FIRST_HOST, PORT, TARGET_HZ, TLS_PORT, Bed, Pair, tls
from tests.sip.mid_call import WAYS, both_hear
from tests.support.certificates import Authority, Identity
from tests.support.far_asterisk import LINE_PORT, FarAsterisk, Line
from tests.support.peer import Peer
from tests.support.relay import Relay, Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.configuration import Table
    from tests.support.gateway import Gateway
    from tests.support.peer_call import Call
    from tests.support.processes import Net
    from tests.support.sip_message import Address, Message

PLATFORM, PBX, ASSISTANT, PEOPLE, BEHIND, RELAY = 30, 31, 32, 33, 100, 160
DESTINATION = "+31612345681"


@dataclass(frozen=True)
class Place:
    """Where an end's Asterisk is: as the gateway is told, and, behind a relay, in truth."""

    told: str
    behind: str
    relay: str
    """Where the relay takes the Asterisk's connections to the gateway."""
    gateway: str


@dataclass(frozen=True)
class End:
    """One side of a pair: what its Asterisk speaks, and the gateway's profile of it says."""

    transport: Literal["udp", "tcp", "tls"] = "udp"
    encrypted: bool = False
    codecs: tuple[str, ...] = ("alaw",)
    asterisk: Mapping[str, str] = field(default_factory=dict)
    """Further settings of the Asterisk's endpoint."""
    profile: Mapping[str, Any] = field(default_factory=dict)
    tls: Literal["tlsv1_2", "tlsv1_3"] = "tlsv1_2"
    stranger: bool = False
    """Whether the Asterisk's certificate is signed by an authority that the gateway does not know."""
    relayed: bool = False
    """Whether a relay lies between the Asterisk and the gateway; see `FarBed.relays`."""

    def table(self) -> dict[str, Any]:
        """The profile of the gateway."""
        return {"transport": self.transport, "srtp": "required" if self.encrypted else "off", **self.profile}

    def line(self, place: Place, authority: Authority, stranger: Authority) -> Line:
        """The line of the Asterisk."""
        host, (gateway, port) = place.behind if self.relayed else place.told, self.entrance(place)
        identity = None
        if self.transport == "tls":
            # What it shows of itself; whom it trusts is the gateway's authority in any case.
            shown = (stranger if self.stranger else authority).identity(host, place.told)
            identity = Identity(shown.certificate, shown.key, authority.certificate)
        return Line(
            host,
            gateway=f"{gateway}:{port}",
            transport=self.transport,
            codecs=self.codecs,
            encrypted=self.encrypted,
            identity=identity,
            tls=self.tls,
            more=self.asterisk,
            public=place.told if self.relayed else "",
        )

    def entrance(self, place: Place) -> Address:
        """Where its Asterisk finds the gateway."""
        port = TLS_PORT if self.transport == "tls" else PORT
        return (place.relay if self.relayed else place.gateway, port)

    def routes(self, place: Place) -> tuple[Route, Route]:
        """How a relay joins the gateway to its Asterisk, and that to the gateway."""
        entrance = self.entrance(place)
        return (
            Route((place.told, LINE_PORT), (place.behind, LINE_PORT), source=place.relay),
            Route(entrance, (place.gateway, entrance[1]), source=place.told),
        )


@dataclass(frozen=True)
class Ends:
    """A platform and a PBX."""

    trunk: End = End()
    pbx: End = End()


class FarBed:
    """The gateway and both Asterisks, running: `async with FarBed(net, {"tls": Ends(End("tls"))}, authority)`."""

    def __init__(
        self, net: Net, pairs: Mapping[str, Ends], authority: Authority, sip: Mapping[str, Any] | None = None
    ) -> None:
        """`sip`: settings of the gateway beside its ports."""
        self.net = net
        self._ends = pairs
        places = {name: (self._place(2 * index), self._place(2 * index + 1)) for index, name in enumerate(pairs)}
        self._places = places
        profiles = {
            name: Pair(
                {
                    **ends.trunk.table(),
                    "addresses": [places[name][0].told, places[name][0].behind],
                    "options_interval_s": 0,
                },
                {**ends.pbx.table(), "addresses": [places[name][1].behind]},
            )
            for name, ends in pairs.items()
        }
        relays = [place.relay for pair in places.values() for place in pair]
        self.bed = Bed(net, profiles, sip={"tcp_port": PORT, **tls(authority, net.gateway, *relays), **(sip or {})})
        self.gateway = self.bed.gateway
        signers = (authority, Authority(self.gateway.directory / "stranger"))
        trunks = {name: ends.trunk.line(places[name][0], *signers) for name, ends in pairs.items()}
        pbxs = {name: ends.pbx.line(places[name][1], *signers) for name, ends in pairs.items()}
        self.platform = FarAsterisk(net.host(PLATFORM), net.host(ASSISTANT), trunks, gateway=net.gateway)
        self.pbx = FarAsterisk(net.host(PBX), net.host(PEOPLE), pbxs, gateway=net.gateway)
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def relays(self, name: str) -> AsyncIterator[tuple[Relay, Relay]]:
        """What lies between the gateway and a pair's platform, and between it and the PBX, in either direction."""
        ends = (self._ends[name].trunk, self._ends[name].pbx)
        trunk, pbx = (Relay(end.routes(place)) for end, place in zip(ends, self._places[name], strict=True))
        async with trunk, pbx:
            yield trunk, pbx

    def _place(self, index: int) -> Place:
        told, behind, relay = (self.net.host(first + index) for first in (FIRST_HOST, BEHIND, RELAY))
        return Place(told, behind, relay, self.net.gateway)

    async def __aenter__(self) -> Self:
        for part in (self.platform, self.pbx, self.gateway):
            await self._stack.enter_async_context(part)
        for asterisk in (self.platform, self.pbx):
            await asterisk.cli("pjsip set logger on")
            await asterisk.cli("rtp set debug on")
        self._media_sockets = media_sockets(self.gateway)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                assert media_sockets(self.gateway) == self._media_sockets
        finally:
            await self._stack.aclose()


def media_sockets(gateway: Gateway) -> int:
    """How many UDP sockets the gateway holds: its listener, and a pair for each leg with media (proc(5))."""
    process = Path(f"/proc/{gateway.child.pid}")
    datagrams = {line.split()[9] for line in (process / "net/udp").read_text().splitlines()[1:]}
    held = [one.readlink().name for one in (process / "fd").iterdir() if one.is_symlink()]
    return sum(name.removeprefix("socket:[").rstrip("]") in datagrams for name in held)


class FarStage(AsyncExitStack):
    """The persons of one pair: `async with FarStage(bed, "tls") as at`. At its end nothing may be left anywhere."""

    def __init__(self, bed: FarBed, name: str) -> None:
        super().__init__()
        self.bed = bed
        self.name = name
        self.gateway, self.platform, self.pbx = bed.gateway, bed.platform, bed.pbx
        self.assistant = Peer(bed.net.host(ASSISTANT))
        self.people = Peer(bed.net.host(PEOPLE), user="person")
        self.assistant.is_wanted = self.people.is_wanted = self.gateway.carries

    async def __aenter__(self) -> Self:
        await self.enter_async_context(self.assistant)
        await self.enter_async_context(self.people)
        await self.enter_async_context(self.gateway.scenario())
        self.push_async_exit(self._quiet)
        self._begun = {far: len(far.log()) for far in (self.platform, self.pbx)}
        self._earlier = {one["transfer"] for one in await self.gateway.transfers()}
        return self

    async def _quiet(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.platform.quiet()
            await self.pbx.quiet()

    def call(self, way: str = WAYS[0], **more: Any) -> Call:
        """Somebody behind the PBX calls the assigned number, or the assistant calls the destination."""
        who, far, number = (
            (self.people, self.pbx, self.bed.bed.number(self.name))
            if way == WAYS[0]
            else (self.assistant, self.platform, DESTINATION)
        )
        hz = CALLER_HZ if way == WAYS[0] else ASSISTANT_HZ
        uri = f"sip:{self.name}*{number}@{far.address[0]}"
        return who.invite(uri, far.address, from_=CALLER, hz=hz, codecs=("PCMA",), **more)

    async def conversation(self, way: str = WAYS[0]) -> tuple[Call, Call]:
        """Somebody behind the PBX and the assistant, who hear each other, whoever of them has called."""
        calling = self.call(way)
        called = await (self.assistant if way == WAYS[0] else self.people).wait_call()
        await called.answer(hz=ASSISTANT_HZ if way == WAYS[0] else CALLER_HZ)
        await calling.answered()
        await both_hear(calling, called)
        return (calling, called) if way == WAYS[0] else (called, calling)

    async def refer(self, transferor: Call, number: str = DESTINATION) -> None:
        """The assistant, or who speaks with them, has their Asterisk ask for a transfer, and is out of the call."""
        host, _ = (self.platform if transferor.peer is self.assistant else self.pbx).address
        assert (await transferor.refer(f"<sip:{number}@{host}>")).code == 202
        assert (await transferor.hang_up()).code == 200

    async def transfer(self, person: Call, assistant: Call) -> Call:
        """The person is put through to the destination, and the assistant's line released: the target's end."""
        await self.refer(assistant)
        target = await self.people.wait_call()
        await target.answer(hz=TARGET_HZ)
        await both_hear(person, target)
        await self.platform.released(self.name)
        return target

    async def outcome(self, entry: str = "refer") -> Table:
        """Wait for the end of this scenario's transfer of that kind."""

        def is_it(one: Table) -> bool:
            return one["transfer"] not in self._earlier and one["entry"] == entry and one["outcome"] is not None

        [ended] = await self.gateway.until(is_it)
        return ended

    async def messages(self, far: FarAsterisk) -> list[tuple[bool, Message]]:
        """What went between the gateway and an Asterisk in this scenario: whether it was the Asterisk's, and what."""
        await far.logged()
        return far.messages(self._begun[far])

    def payload_types(self, far: FarAsterisk) -> dict[str, set[int]]:
        """What the RTP between the gateway and an Asterisk was in this scenario, "received" there and "sent"."""
        return far.payload_types(self._begun[far])

    async def betrayed(self, far: FarAsterisk) -> set[str]:
        """What the gateway has told an Asterisk of the other one's side: addresses, Call-IDs."""
        other, peer, line = (
            (self.pbx, self.people, self.bed.bed.pbx_host(self.name))
            if far is self.platform
            else (self.platform, self.assistant, self.bed.bed.trunk_host(self.name))
        )
        told = b"\n".join(
            bytes(_without_referred_by(one)) for sent, one in await self.messages(far) if not sent
        ).decode()
        inner = {other.address[0], peer.host, line}
        inner |= {one["Call-ID"] for _, one in await self.messages(other)} | {
            entry.message["Call-ID"] for entry in peer.trace
        }
        return {one for one in inner if re.search(rf"(?<![\w.]){re.escape(one)}(?![\w.])", told)}

    async def hang_up(self, person: Call, other: Call) -> None:
        """The person ends their call, and the other one is told."""
        assert (await person.hang_up()).code == 200
        await other.wait_request("BYE")


def _without_referred_by(message: Message) -> Message:
    """Who asked for a transfer is told to its target as they named themselves (RFC 3892 §2.2)."""
    kept = [(name, value) for name, value in message.headers if name != "Referred-By"]
    return replace(message, headers=kept)
