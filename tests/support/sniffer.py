# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes over the wire of this network namespace, as it is: UDP over IPv4, whoever sends it to whom."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.support.sip_message import Message

if TYPE_CHECKING:
    from tests.support.sip_message import Address

_IPV4, _UDP = 0x0800, 17
_OUTGOING = 4  # packet(7): on loopback each packet is seen twice, going and coming
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Datagram:
    """One that went by."""

    source: Address
    destination: Address
    payload: bytes


class Sniffer:
    """`async with Sniffer(port=5060) as wire`: `wire.datagrams` has what came from this port or went to it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.datagrams: list[Datagram] = []

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("lo", _IPV4))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        while len(self.datagrams) < MOST:
            try:
                packet, where = self._socket.recvfrom(65536)
            except BlockingIOError:
                return
            if where[2] != _OUTGOING and packet[9] == _UDP:
                self._take(packet)
        asyncio.get_running_loop().remove_reader(self._socket)

    def _take(self, packet: bytes) -> None:
        at = (packet[0] & 0x0F) * 4
        one, other, length = struct.unpack_from("!HHH", packet, at)
        if self._port in (one, other):
            ends = (socket.inet_ntoa(packet[12:16]), one), (socket.inet_ntoa(packet[16:20]), other)
            self.datagrams.append(Datagram(*ends, packet[at + 8 : at + length]))

    def of(self, call_id: str, *, sent_by: Address | None = None, sent_to: Address | None = None) -> list[bytes]:
        """The SIP messages with a Call-ID that one has sent, or was sent, in their order."""
        return [
            each.payload
            for each in self.datagrams
            if sent_by in (None, each.source) and sent_to in (None, each.destination) and _call_id(each) == call_id
        ]


def _call_id(datagram: Datagram) -> str | None:
    if b"SIP/2.0" not in datagram.payload:
        return None  # what keeps a way open
    return Message.parse(datagram.payload)["Call-ID"]
