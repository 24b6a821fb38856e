# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted MQTT 5 broker on loopback, for the answers that mosquitto never gives."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

# Packet types (MQTT 5 §2.1.2)
CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 11, 13, 14


@dataclass(frozen=True)
class Published:
    """A PUBLISH, as it came."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True)
class HangUp:
    """End the connection instead of an answer; with a reason, a DISCONNECT says why."""

    reason: int | None = None


SILENCE = -1
Verdict: TypeAlias = int | HangUp
"""The PUBACK's reason code, or no PUBACK: SILENCE, or the end of the connection."""


class ScriptedBroker:
    """`async with ScriptedBroker(judge) as broker`. `judge` says what becomes of each PUBLISH; 0: it is taken."""

    def __init__(
        self,
        judge: Callable[[Published], Verdict],
        *,
        connack: bytes = b"",
        subscription: Verdict = 1,
        will: Verdict = 0,
        answers_after_s: float = 0,
        sends_back: str | None = None,
    ) -> None:
        """`connack`: the properties of each CONNACK. What becomes of each SUBSCRIBE, and of a CONNECT with a will.

        `sends_back`: what is taken on topics that end so goes back to who has published it.
        """
        self.sends_back = sends_back
        self._answers_after_s = answers_after_s
        self.in_flight = self.most_in_flight = 0  # of publishes that want an answer
        self._judge = judge
        self._connack = connack
        self.subscription = subscription
        self.subscriptions = 0
        self._will = will
        self.host = "127.0.0.1"
        self.taken: list[Published] = []
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    def drop(self, reason: int | None = None) -> None:
        """End every connection, with a DISCONNECT if there is a reason."""
        for writer in list(self._writers):
            if reason is not None:
                writer.write(_packet(DISCONNECT, bytes([reason, 0])))
            writer.close()

    async def until(self, condition: Callable[[], bool], *, within: float = 15.0) -> None:
        """Wait until something that came makes the condition true. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._take(reader, writer):
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        (first,) = await reader.readexactly(1)
        length = shift = 0
        while True:
            (digit,) = await reader.readexactly(1)
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
        body = await reader.readexactly(length)
        match first >> 4:
            case 1:  # CONNECT
                self.connections += 1
                has_will = bool(body[7] & 0x04)  # behind the protocol's name and version
                return self._answered(writer, CONNACK, b"\0", self._will if has_will else 0, self._connack)
            case 3:  # PUBLISH
                return self._published(first, body, writer)
            case 8:  # SUBSCRIBE
                self.subscriptions += 1
                return self._answered(writer, SUBACK, body[:2] + b"\0", self.subscription)
            case 10:  # UNSUBSCRIBE
                writer.write(_packet(UNSUBACK, body[:2] + b"\0\0"))
            case 12:  # PINGREQ
                writer.write(_packet(PINGRESP, b""))
            case 14:  # DISCONNECT
                return False
        self._news.set()
        return True

    def _answered(
        self, writer: asyncio.StreamWriter, kind: int, begin: bytes, verdict: Verdict, properties: bytes | None = None
    ) -> bool:
        """Answer a CONNECT or SUBSCRIBE, or hang up; whether the connection goes on."""
        self._news.set()
        if isinstance(verdict, HangUp):
            if verdict.reason is not None:
                writer.write(_packet(DISCONNECT, bytes([verdict.reason, 0])))
            return False
        if verdict != SILENCE:
            behind = bytes([len(properties)]) + properties if properties is not None else b""
            writer.write(_packet(kind, begin + bytes([verdict]) + behind))
        return kind != CONNACK or verdict == 0

    def _published(self, first: int, body: bytes, writer: asyncio.StreamWriter) -> bool:
        end = 2 + int.from_bytes(body[:2])
        topic, rest = body[2:end].decode(), body[end:]
        is_answered = bool(first & 0x06)
        packet_id, rest = (rest[:2], rest[2:]) if is_answered else (b"", rest)
        # The gateway's properties are short: their length is one byte.
        message = Published(topic, rest[1 + rest[0] :], retain=bool(first & 1))
        verdict = self._judge(message)
        if verdict == 0:
            self.taken.append(message)
            if self.sends_back is not None and topic.endswith(self.sends_back):
                writer.write(_packet(PUBLISH, body[:end] + b"\0" + message.payload))
        self._news.set()
        if isinstance(verdict, HangUp):
            if verdict.reason is not None:
                writer.write(_packet(DISCONNECT, bytes([verdict.reason, 0])))
            return False
        if is_answered and verdict != SILENCE:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            answer = _packet(PUBACK, packet_id + bytes([verdict, 0]))
            if self._answers_after_s:
                asyncio.get_running_loop().call_later(self._answers_after_s, self._puback, writer, answer)
            else:
                self._puback(writer, answer)
        return True

    def _puback(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        self.in_flight -= 1
        writer.write(answer)


def _packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 0x80
    return bytes([kind << 4, len(body)]) + body
