# SPDX-License-Identifier: GPL-2.0-or-later
"""One end of an RTP stream (RFC 3550), encrypted or not: sends a tone in G.711, or silence in opus; records what comes.

Sending is paced by the clock from the start, so a late wake-up is made up for and not added to; arrival times are
the kernel's, so that a gap in what a caller hears is measured to the packet, however busy the test itself is.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support import tones
from tests.support.late_numpy import np
from tests.support.processes import PORTS, WAIT_S

if TYPE_CHECKING:
    from tests.support.srtp import Cipher

HEADER = struct.Struct("!BBHII")
EVENT = struct.Struct("!BBH")
SO_TIMESTAMPNS = 35
"""Linux; Python has no name for it (socket(7), asm-generic/socket.h)."""
TIMESPEC = struct.Struct("@ll")
NOTES_SIZE = socket.CMSG_SPACE(TIMESPEC.size)
KEYS = "0123456789*#ABCD"
CODECS = {number: name for name, number in tones.PAYLOAD_TYPES.items()}
PACKET_S = 0.02
OPUS = 96
OPUS_SILENCE = b"\xf8\xff\xfe"
"""A frame of 20 ms (RFC 6716 §3.1)."""
VERSION = 2
GLANCE_S = 0.5
"""How often an end that ignores its audio looks at it: SRTP's count is lost with 32,768 packets (RFC 3711 §3.3.1)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as it came in; `at` is time.monotonic() when the kernel had it, however late it was read."""

    at: float
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    wire: bytes
    """The payload as it was on the wire: encrypted, with the mark of that, or the payload itself."""


class Rtp:
    """A UDP port for RTP, open from its making until close(), within a running loop."""

    def __init__(self, host: str, *, hz: int | None = None, codec: str = "PCMA") -> None:
        self.host = host
        self.hz = hz
        """The tone it sends, changeable at any time; None: silence, but packets all the same."""
        self._sound = np.zeros(0, np.int16)  # what is left of what it plays instead
        self.codec = codec
        self.received: list[Packet] = []
        """Everything that arrived, oldest first, whoever sent it."""
        self.events: int | None = 101
        """The payload type of RFC 4733 events, both ways."""
        self.events_rate = 8000
        """Their clock, which is that of the codec beside them where all is right (RFC 4733 §2.1)."""
        self.cipher: Cipher | None = None
        """Seals what is sent and opens what arrives."""
        self.copies = 1
        """How often each packet is sent: some networks deliver one twice."""
        self.unopened: list[bytes] = []
        """Packets that arrived and were not sealed as agreed."""
        self._remote: tuple[str, int] | None = None
        self._presses: list[tuple[str, int]] = []  # key, packets
        self._task: asyncio.Task[None] | None = None
        self._glancing: asyncio.TimerHandle | None = None
        self.is_silent = False
        """Whether it sends nothing by itself, wherever it is told to send to."""
        self._ssrc = random.getrandbits(32)
        # One stream, whatever pauses it makes: SRTP counts how often its numbers have begun anew (RFC 3711 §3.3.1).
        self._sequence, self._timestamp = random.getrandbits(16), random.getrandbits(32)
        self._socket = _bind_even(host)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._receive)

    def close(self) -> None:
        """Stop, and give the port back. Closing it again does nothing."""
        if self._socket.fileno() < 0:
            return
        self.pause()
        self._stop_reading()
        self._socket.close()

    @property
    def remote(self) -> tuple[str, int] | None:
        """Where it sends to, or would."""
        return self._remote

    def send_to(self, host: str, port: int, codec: str | None = None) -> None:
        """Send to this address from now on, in `codec` (default: as before)."""
        self.codec = codec or self.codec
        self._remote = (host, port)
        if self._task is None and not self.is_silent:
            self._task = self._loop.create_task(self._send())

    def transmit(self, data: bytes, remote: tuple[str, int]) -> None:
        """Send a datagram as it is from this port, whatever it holds."""
        self._socket.sendto(data, remote)

    def press(self, keys: str, ms: int = 100) -> None:
        """Send these keys as events (RFC 4733 §2.5), one after the other, each so many milliseconds long."""
        self._presses += [(key, ms // 20) for key in keys]

    def play(self, sound: tones.Pcm) -> None:
        """Send this sound, after what is being played, and then the tone again."""
        self._sound = np.concatenate([self._sound, sound])

    @property
    def keys(self) -> str:
        """The keys that arrived as events, each once however many packets told of it."""
        seen: dict[tuple[int, int], str] = {}
        for packet in self.received:
            if packet.payload_type == self.events and len(packet.payload) == EVENT.size:
                seen.setdefault((packet.ssrc, packet.timestamp), KEYS[packet.payload[0]])
        return "".join(seen.values())

    @property
    def presses(self) -> list[tuple[str, float]]:
        """The keys with the milliseconds for which each was pressed, by the clock of its events."""
        lasted: dict[tuple[int, int], tuple[str, float]] = {}
        for packet in self.received:
            if packet.payload_type == self.events and len(packet.payload) == EVENT.size:
                event, _, duration = EVENT.unpack(packet.payload)
                lasted[packet.ssrc, packet.timestamp] = KEYS[event], duration * 1000 / self.events_rate
        return list(lasted.values())

    def pause(self) -> None:
        """Send nothing any more until the next send_to."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def ignore(self) -> None:
        """Read next to nothing any more: for an end that nobody asks what it hears, and that need not cost anything."""
        self._stop_reading()
        self._glance()

    def heed(self) -> None:
        """Read again, and nothing of what has come meanwhile."""
        self._stop_reading()
        self._forget_what_came()
        self._loop.add_reader(self._socket, self._receive)

    def _glance(self) -> None:
        self._forget_what_came()
        self._glancing = self._loop.call_later(GLANCE_S, self._glance)

    def _forget_what_came(self) -> None:
        known, unopened = len(self.received), len(self.unopened)
        self._receive()
        del self.received[known:], self.unopened[unopened:]

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._socket)
        if self._glancing is not None:
            self._glancing.cancel()
            self._glancing = None

    def heard(self, seconds: float = 0.3, *, before: float | None = None, wire: bool = False) -> tones.Pcm:
        """What arrived in the last so many seconds (before a time.monotonic(), default now), gaps left out.

        `wire`: as somebody would hear it who reads along and has no key.
        """
        end = time.monotonic() if before is None else before
        recent = []
        for packet in reversed(self.received):
            if packet.at < end - seconds:
                break
            if packet.at <= end and packet.payload_type in CODECS:
                heard = packet.wire if wire else packet.payload
                recent.append(tones.decode(heard, CODECS[packet.payload_type]))
        return np.concatenate(recent[::-1]) if recent else np.zeros(0, np.int16)

    def detect(self, *candidates: float, seconds: float = 0.3) -> set[float]:
        """Those of the candidate frequencies (Hz) that were heard in the last so many seconds."""
        return tones.detect(self.heard(seconds), candidates)

    async def hears(self, hz: float, *, timeout_s: float = WAIT_S) -> float:
        """Wait until it hears this tone; returns the seconds that took. Raises AssertionError."""
        return await tones.until_heard(self.heard, hz, timeout_s=timeout_s, who=f"RTP {self.host}:{self.port}")

    async def hears_no_more(self, hz: float, *, timeout_s: float = WAIT_S) -> None:
        """Wait until this tone is in nothing of what it heard last. Raises AssertionError."""
        await tones.until_gone(self.heard, hz, timeout_s=timeout_s, who=f"RTP {self.host}:{self.port}")

    async def hears_nothing(self, seconds: float = 0.3) -> None:
        """Nothing at all arrives any more."""
        await asyncio.sleep(0.1)  # what was under way
        before = len(self.received)
        await asyncio.sleep(seconds)
        assert len(self.received) == before

    def longest_gap(self, since: float = 0.0) -> float:
        """The longest time, in seconds, between two packets that follow each other, from a time.monotonic() on."""
        times = [packet.at for packet in self.received if packet.at >= since]
        return max((later - earlier for earlier, later in pairwise(times)), default=float("inf"))

    def _receive(self) -> None:
        # An ICMP error of an earlier packet is reported here: nobody listens there, as happens on any network.
        with suppress(OSError):
            while True:
                data, notes, _, _ = self._socket.recvmsg(2048, NOTES_SIZE)
                if len(data) < HEADER.size or data[0] >> 6 != VERSION:
                    continue
                packet = data if self.cipher is None else self.cipher.open(data)
                if packet is None:
                    self.unopened.append(data)
                    continue
                first, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
                start = HEADER.size + 4 * (first & 0x0F)
                about = (_arrived(notes), second & 0x7F, sequence, timestamp, ssrc)
                self.received.append(Packet(*about, packet[start:], data[start:]))

    async def _send(self) -> None:
        position, start = 0, time.monotonic()
        while self._remote:
            if self._presses and position:
                position = await self._press(position, start)
            if self.codec == "opus":
                self._put(OPUS, OPUS_SILENCE, not position)
            else:
                frame = tones.encode(self._frame(position), self.codec)
                self._put(tones.PAYLOAD_TYPES[self.codec], frame, not position)
            self._pass_time(1)
            position += 1
            await asyncio.sleep(start + position * PACKET_S - time.monotonic())

    async def _press(self, position: int, start: float) -> int:
        """Send one key: all its packets bear the time stamp of its beginning, and the last is sent three times."""
        key, packets = self._presses.pop(0)
        for packet in [*range(1, packets + 1), packets, packets]:
            ended = packet == packets
            # One that lasts longer than its field can say goes on as another (RFC 4733 §2.5.1.3).
            segment, duration = divmod(packet * self.events_rate // 50, 0xFFFF)
            payload = EVENT.pack(KEYS.index(key), 0x8A if ended else 0x0A, duration)
            self._put(self.events or 101, payload, packet == 1, segment * 0xFFFF)
            position += 1
            await asyncio.sleep(start + position * PACKET_S - time.monotonic())
        self._pass_time(packets + 2)
        return position

    def _pass_time(self, packets: int) -> None:
        rate = 48000 if self.codec == "opus" else tones.RATE
        self._timestamp = (self._timestamp + packets * rate // 50) & 0xFFFFFFFF

    def _put(self, payload_type: int, payload: bytes, marker: bool, later: int = 0) -> None:
        timestamp = (self._timestamp + later) & 0xFFFFFFFF
        header = HEADER.pack(0x80, payload_type | 0x80 * marker, self._sequence, timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        if self._remote:
            with suppress(OSError):
                packet = header + payload
                sealed = packet if self.cipher is None else self.cipher.seal(packet)
                for _ in range(self.copies):
                    self._socket.sendto(sealed, self._remote)

    def _frame(self, position: int) -> tones.Pcm:
        if len(self._sound):
            frame, self._sound = self._sound[: tones.FRAME], self._sound[tones.FRAME :]
            return np.pad(frame, (0, tones.FRAME - len(frame)))
        if self.hz is None:
            return np.zeros(tones.FRAME, np.int16)
        # The phase follows from the position, so the wave goes on unbroken from packet to packet.
        samples = (np.arange(tones.FRAME) + position * tones.FRAME) / tones.RATE
        return (8000 * np.sin(2 * np.pi * self.hz * samples)).astype(np.int16)


def _arrived(notes: list[tuple[int, int, bytes]]) -> float:
    """When the kernel had a packet, as time.monotonic(): what it noted is the time of day."""
    now = time.monotonic()
    for _, kind, told in notes:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack_from(told)
            age_ns: int = time.time_ns() - seconds * 1_000_000_000 - nanoseconds
            return now - max(0, age_ns) / 1e9
    return now


def _bind_even(host: str) -> socket.socket:
    # RTP wants an even port with the next one for RTCP (RFC 3550 §11), which nobody here sends.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in random.sample(range(PORTS.start, PORTS.stop, 2), 200):
        candidate = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        candidate.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            candidate.bind((host, port))
        except OSError:
            candidate.close()
        else:
            return candidate
    raise RuntimeError(f"no free port for RTP on {host}")
