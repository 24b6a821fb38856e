# SPDX-License-Identifier: GPL-2.0-or-later
"""Somebody who speaks packet by packet, and how long each takes."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from tests.sip.talking import gateway_media
from tests.support.processes import eventually
from tests.support.rtp import HEADER, PACKET_S

if TYPE_CHECKING:
    from tests.support.peer_call import Call
    from tests.support.rtp import Packet

PCMA = 8


class Speaker:
    """Speaks for one end, packet by packet, in the place of its tone."""

    def __init__(self, call: Call) -> None:
        call.media.pause()
        self._media = call.media
        self._to = gateway_media(call)
        self.sequence, self.stamp, self.ssrc = 40_000, random.getrandbits(32), random.getrandbits(32)

    def say(self, mark: bytes, *, late: int = 0, kind: int = PCMA, first: int = 0x80, before: bytes = b"") -> float:
        """Send one packet with this beginning; `late`: as the one so many before. Returns when."""
        header = HEADER.pack(
            first, kind, (self.sequence - late) & 0xFFFF, (self.stamp - late * 160) & 0xFFFFFFFF, self.ssrc
        )
        self._media.transmit(self._sealed(header + before + mark.ljust(160, b"\xd5")), self._to)
        if not late:
            self.go_on()
        return time.monotonic()

    def go_on(self, packets: int = 1) -> None:
        """Leave out so many."""
        self.sequence += packets
        self.stamp = (self.stamp + 160 * packets) & 0xFFFFFFFF

    def _sealed(self, packet: bytes) -> bytes:
        return packet if self._media.cipher is None else self._media.cipher.seal(packet)


async def heard(call: Call, mark: bytes) -> Packet:
    """Wait until a packet with this beginning has come."""

    def found() -> Packet | None:
        return next((one for one in call.media.received if one.payload.startswith(mark)), None)

    async def there() -> bool:
        return found() is not None

    await eventually(there, f"{mark!r}", every_s=0.002)
    packet = found()
    assert packet
    return packet


async def delays(speaker: Speaker, call: Call, packets: int) -> list[float]:
    """Say so many packets, one each 20 ms, and wait for all of them. Raises AssertionError: one of them did not come.

    Returns how long each took until the kernel of the other end had it, in seconds, the shortest first.
    """
    run = random.randbytes(4)
    said: dict[bytes, float] = {}
    begun, seen = time.monotonic(), len(call.media.received)
    for number in range(packets):
        mark = run + number.to_bytes(2, "big")
        said[mark] = time.monotonic()
        speaker.say(mark)
        await asyncio.sleep(begun + (number + 1) * PACKET_S - time.monotonic())

    def came() -> dict[bytes, float]:
        return {one.payload[:6]: one.at for one in call.media.received[seen:] if one.payload[:6] in said}

    async def all_came() -> bool:
        return len(came()) == packets

    await eventually(all_came, f"{packets} packets")
    return sorted(at - said[mark] for mark, at in came().items())
