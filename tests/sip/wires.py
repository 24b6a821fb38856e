# SPDX-License-Identifier: GPL-2.0-or-later
"""A scene whose peers speak over TCP, TLS, or TLS with SRTP: what is shown over UDP can be played on each of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.sip.bed import PORT, TLS_PORT, Bed, Pair, tls
from tests.sip.scene import Scene
from tests.support.peer import Peer
from tests.support.wire import Streams

if TYPE_CHECKING:
    from tests.support.certificates import Authority
    from tests.support.processes import Net

TCP, TLS = {"transport": "tcp"}, {"transport": "tls"}
SRTP = {**TLS, "srtp": "required"}
WIRES = {"tcp": (TCP, TCP), "tls": (TLS, TLS), "srtp": (SRTP, SRTP)}
"""What the profiles of a trunk and of a PBX have on each."""
ONE_SIDED = {"srtp-on-the-trunk": (SRTP, TLS), "srtp-at-the-pbx": (TLS, SRTP)}
INFO = {f"{name}-info": ({**trunk, "dtmf": "info"}, pbx) for name, (trunk, pbx) in WIRES.items()}
"""With a trunk that wants its keys as SIP INFO."""
OnWire = Callable[[str], "Wired"]
"""Opens a scene on a wire."""
PAIRS = {**WIRES, **ONE_SIDED, **INFO}


def make_bed(net: Net, authority: Authority) -> Bed:
    """The gateway with a platform and a PBX for each wire."""
    pairs = {name: Pair(*profiles) for name, profiles in PAIRS.items()}
    return Bed(net, pairs, sip={"tcp_port": PORT, **tls(authority, net.gateway)})


class Wired(Scene):
    """A scene on one of the wires. At its end everything has to have come over that, and sealed where it should be."""

    def __init__(self, bed: Bed, authority: Authority, name: str) -> None:
        self._bed = bed
        self._authority = authority
        self._name = name
        super().__init__(bed.net, bed.gateway)
        self.remote = (bed.net.gateway, PORT if name.startswith("tcp") else TLS_PORT)

    async def __aexit__(self, kind: type[BaseException] | None, *error: object) -> None:
        await super().__aexit__(kind, *error)
        if kind is None:
            for peer in self.peers:
                came = [one.message for one in peer.trace if not one.sent and one.message.is_request]
                assert {one["Via"].split()[0] for one in came} <= {f"SIP/2.0/{peer.wire.name}"}
                assert not [call.media.unopened for call in peer.calls if call.media.unopened]

    def make_pbx(self) -> Peer:
        """See Scene."""
        return self._peer(self._bed.pbx_host(self._name), "pbx", PAIRS[self._name][1])

    def make_platform(self, line: str) -> Peer:
        """See Scene."""
        return self._peer(self._bed.trunk_host(self._name), "assistant", PAIRS[self._name][0])

    def number(self, line: str) -> str:
        """See Scene."""
        return self._bed.number(self._name)

    def _peer(self, host: str, user: str, profile: dict[str, str]) -> Peer:
        wire = Streams() if profile["transport"] == "tcp" else Streams(self._authority.identity(host), clients=True)
        peer = Peer(host, PORT, user=user, wire=wire)
        peer.encryption = "required" if "srtp" in profile else "off"
        return peer

    async def drop(self, peer: Peer) -> None:
        """Have a peer lose its connections, as its crash or a router's would have it; it listens on."""
        assert isinstance(peer.wire, Streams)
        await peer.wire.dropped(reset=True)
        for call in peer.calls:
            call.remote = self.remote
