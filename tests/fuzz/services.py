# SPDX-License-Identifier: GPL-2.0-or-later
"""A name server, a manager interface, a broker and a sender of commands that get things wrong."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import aiomqtt
import dns.exception
import dns.flags
import dns.message
import dns.rrset
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.pbx.fake_ami import FakeAmi, caller, changed, dial, hint, member, rings_in

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.fuzz.mutator import Mutator
    from tests.fuzz.tally import Tally
    from tests.support.broker import Broker
    from tests.support.gateway import Gateway

DNS_PORT = 5353
CHANNEL = {"TransfereeChannel": "PJSIP/line-1", "TransfereeUniqueid": "77"}


class ClumsyNames(asyncio.DatagramProtocol):
    """Answers every question with the address of one server, and mistakes."""

    def __init__(self, mutator: Mutator, tally: Tally, address: str) -> None:
        self._mutator = mutator
        self._tally = tally
        self._address = address

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """See asyncio, whose own transports are of no such class."""
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
            right = answer.to_wire()
            wire = self._mutator.raw(right) if self._mutator.may(0.5) else right
            self._tally.back("name server", "answer", f"{kind} asked")
            self._tally.out("name server", "answer", broken=wire != right)
            self._transport.sendto(wire, addr)


async def clumsy_manager(
    ami: FakeAmi, mutator: Mutator, tally: Tally, seconds: float, pause_s: float, handed: Collection[str] | None = None
) -> None:
    """Pour events with mistakes in them; now and then the connection is lost.

    `handed`: what the REFERs that went down to the PBX refer to, the latest last; None: to this one none go. A REFER is
    handed down as long as the PBX is known, so its manager does not restart.
    """
    kinds: tuple[dict[str, str], ...] = (
        changed("QueueMemberStatus", "PJSIP/6001", status=2), changed("QueueMemberPause", "PJSIP/6002", paused=1),
        caller("QueueCallerJoin", "1.1"), caller("QueueCallerLeave", "1.1"), hint("6001", 8), member("PJSIP/9"),
        caller("AgentConnect", "1.1", Interface="PJSIP/6001"), {"Event": "FullyBooted", "Status": "Fully Booted"},
        {"Response": "Success", "ActionID": "7"}, hint("6003", 0),
        {"Event": "BlindTransfer", "Result": "Success", **CHANNEL, "Extension": "6003"},
        {"Event": "DialEnd", "DialStatus": "ANSWER", "Uniqueid": "77", "DestChannel": "PJSIP/6003-1"},
        {"Event": "Hangup", "Uniqueid": "77", "Cause": "17"}, rings_in("78"), dial("DialBegin", "PJSIP/a-1", root="78"),
        dial("DialEnd", "Local/6001@phones-1;1", root="78", DialStatus="ANSWER"), {"Event": "Hangup", "Uniqueid": "78"},
        dial("DialEnd", "PJSIP/6001-1", root="78", DialStatus="ANSWER"),
    )  # fmt: skip
    if handed is None:
        kinds = (*kinds, {"Event": "Shutdown"})
    end, logins = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        if handed:
            ami.call_ids[CHANNEL["TransfereeChannel"]] = list(handed)[-1]
        block = mutator.random.choice(kinds)
        text = b"".join(f"{key}: {value}\r\n".encode() for key, value in block.items()) + b"\r\n"
        made = mutator.message(text)
        made = made if mutator.may(0.97) else mutator.raw(made)
        ami.send_raw(made)
        if logins:
            tally.out("manager", "event", broken=made != text)
        while ami.logins > logins:
            logins += 1
            tally.back("manager", "event", "login")
        if mutator.may(0.05 * pause_s):
            ami.drop()
        await asyncio.sleep(pause_s)


async def clumsy_commands(
    broker: Broker, gateway: Gateway, base: str, mutator: Mutator, tally: Tally, seconds: float
) -> None:
    """Send commands with mistakes in them over MQTT, some of them about calls that there are."""
    end = time.monotonic() + seconds
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = f"{base}/responses/fuzz"
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(f"{base}/responses/#")
        answers = asyncio.create_task(_count_answers(client, tally))
        while time.monotonic() < end:
            calls = await _strangers_calls(gateway)
            for _ in range(10):
                name = mutator.random.choice(("transfer", "cancel"))
                right = json.dumps(_command(name, mutator.random.choice([*calls, "01"]))).encode()
                made = mutator.raw(right) if mutator.may(0.6) else right
                tally.out("broker", "command", broken=made != right)
                await client.publish(f"{base}/commands/{name}", made, qos=1, properties=properties)
                await asyncio.sleep(0.05)
        answers.cancel()


async def _strangers_calls(gateway: Gateway) -> list[str]:
    """The calls under way, those without mistakes left out."""
    with suppress(aiohttp.ClientError):  # it is being restarted
        return [one["call"] for one in (await gateway.get("/api/calls"))["calls"] if one["trunk"] != "good"]
    return []


def _command(name: str, call: str) -> dict[str, Any]:
    if name == "transfer":
        return {"type": "transfer", "call": call, "destination": "+31612345678", "message": "x"}
    return {"type": "cancel", "call": call, "id": None}


async def _count_answers(client: aiomqtt.Client, tally: Tally) -> None:
    with suppress(aiomqtt.MqttError):  # the sender goes
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            tally.back("broker", "command", "answer")
            answer = json.loads(message.payload)
            tally.back("broker", "command", answer.get("status") or answer["error"]["code"])


class ClumsyBroker:
    """Stands before a broker: what that says is passed on with mistakes, and connections are lost."""

    def __init__(self, broker: Broker, mutator: Mutator, tally: Tally) -> None:
        self._broker = broker
        self._mutator = mutator
        self._tally = tally
        self.host = "127.0.0.1"
        self.rests = True
        """Whether it passes everything on as it is, as it does until the gateway is connected."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *about: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._tally.back("broker", "packet", "connection")
        back, forth = await asyncio.open_connection(self._broker.host, self._broker.port)
        ends = {
            asyncio.create_task(self._pass(reader, forth, 0.0)),
            asyncio.create_task(self._pass(back, writer, 0.03)),
        }
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            for one in (writer, forth):
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, share: float) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                made = self._mutator.raw(data) if share and not self.rests and self._mutator.may(share) else data
                if share:
                    self._tally.out("broker", "packet", broken=made != data)
                writer.write(made)
                if share and not self.rests and self._mutator.may(share / 3):
                    return
