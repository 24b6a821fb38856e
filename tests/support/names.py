# SPDX-License-Identifier: GPL-2.0-or-later
"""A small name server on loopback that knows what a test tells it, and can be made to say nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Callable

TTL = 60


class NameServer(asyncio.DatagramProtocol):
    """`async with NameServer(host, port, {("_sip._udp.x.example", "SRV"): ["10 1 5060 s1.x.example."]}) as names`."""

    def __init__(self, host: str, port: int, records: dict[tuple[str, str], list[str]], ttl: int = TTL) -> None:
        self.host = host
        self.port = port
        self.records = records
        self._ttl = ttl
        self.silent: set[str] = set()
        """Names that are asked for in vain."""
        self.forge: Callable[[dns.message.Message], bytes | None] | None = None
        """Makes the answer to a question, in place of the records; None: nothing is said."""
        self.asked: list[tuple[str, str]] = []
        """Name and type of every question, oldest first."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, self.port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """A question."""
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if any(name == one or name.endswith(f".{one}") for one in self.silent):
            return
        if self.forge is not None:
            if (forged := self.forge(query)) is not None:
                self._transport.sendto(forged, addr)
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if found := self.records.get((name, kind)):
            answer.answer.append(dns.rrset.from_text(question.name, self._ttl, "IN", kind, *found))
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), addr)
