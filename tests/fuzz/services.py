# SPDX-License-Identifier: GPL-2.0-or-later
"""A name server, a manager interface and a sender of commands that get things wrong."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import aiomqtt
import dns.exception
import dns.flags
import dns.message
import dns.rrset

from tests.pbx.fake_ami import FakeAmi, caller, changed, hint, member

if TYPE_CHECKING:
    from tests.fuzz.mutator import Mutator
    from tests.support.broker import Broker

DNS_PORT = 5353


class ClumsyNames(asyncio.DatagramProtocol):
    """Answers every question with the address of one server, and mistakes."""

    def __init__(self, mutator: Mutator, address: str) -> None:
        self._mutator = mutator
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """A question."""
        with suppress(dns.exception.DNSException):
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            name = query.question[0].name
            kind = dns.rdatatype.to_text(query.question[0].rdtype)
            services = [f"0 0 5060 {name}", "65535 65535 0 ."]
            texts = {"A": [self._address], "SRV": services, "NAPTR": ['1 1 "S" "SIP+D2U" "" x.']}
            answer.answer.append(dns.rrset.from_text(name, 0, "IN", kind, *texts.get(kind, [])))
            wire = answer.to_wire()
            self._transport.sendto(self._mutator.raw(wire) if self._mutator.may(0.5) else wire, addr)


async def clumsy_manager(ami: FakeAmi, mutator: Mutator, seconds: float) -> None:
    """Pour events with mistakes in them for so long; now and then the connection is lost."""
    kinds = (
        changed("QueueMemberStatus", "PJSIP/6001", status=2), changed("QueueMemberPause", "PJSIP/6002", paused=1),
        caller("QueueCallerJoin", "1.1"), caller("QueueCallerLeave", "1.1"), hint("6001", 8), member("PJSIP/9"),
        caller("AgentConnect", "1.1", Interface="PJSIP/6001"), {"Event": "FullyBooted", "Status": "Fully Booted"},
        {"Event": "Shutdown"}, {"Response": "Success", "ActionID": "7"},
    )  # fmt: skip
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        block = mutator.random.choice(kinds)
        text = b"".join(f"{key}: {value}\r\n".encode() for key, value in block.items()) + b"\r\n"
        made = mutator.message(text)
        ami.send_raw(made if mutator.may(0.97) else mutator.raw(made))
        if mutator.may(0.003):
            ami.drop()
        await asyncio.sleep(0.005)


async def clumsy_commands(broker: Broker, base: str, mutator: Mutator, seconds: float) -> None:
    """Send commands with mistakes in them over MQTT for so long."""
    commands = (
        {"type": "transfer", "call": "01", "destination": "sales", "message": "x"},
        {"type": "transfer", "destination": {"type": "number", "number": "+31612345678"}, "call": "01", "id": "1"},
        {"type": "cancel", "transfer": "01", "id": None},
    )
    end = time.monotonic() + seconds
    async with aiomqtt.Client(broker.host, broker.port) as client:
        while time.monotonic() < end:
            text = json.dumps(mutator.random.choice(commands)).encode()
            name = mutator.random.choice(("transfer", "cancel"))
            await client.publish(f"{base}/commands/{name}", mutator.raw(text), qos=1)
            await asyncio.sleep(0.05)
