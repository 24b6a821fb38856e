# SPDX-License-Identifier: GPL-2.0-or-later
"""RTP and RTCP with mistakes, in the clear and under the keys that were agreed, from where a call's media is sent."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pylibsrtp

from tests.support.rtp import HEADER

if TYPE_CHECKING:
    from tests.fuzz.mutator import Mutator
    from tests.fuzz.tally import Tally
    from tests.support.rtp import Rtp
    from tests.support.sip_message import Address

REPORTS = (
    bytes.fromhex("80c8000600000001e0000000000000000000000000000001000000a0"),  # a sender report
    bytes.fromhex("81c9000700000001000000020000000000000000000000000000000000000000"),  # a receiver report
    bytes.fromhex("81ca000300000001010474657374000000"),  # a source description
    bytes.fromhex("81cb000100000001"),  # a farewell
    bytes.fromhex("80cf000400000001040000020000000000000000"),  # an extended report (RFC 3611)
    bytes.fromhex("83cd000300000001000000020001ffff"),  # feedback (RFC 4585)
)
TYPES = (8, 8, 0, 101, 101, 102, 96, 13, 127, 72)
"""What we speak, events, comfort noise, and what looks like RTCP (RFC 5761 §4)."""
AT_A_TIME = 20


class Packets:
    """What one peer sends besides the tones of its calls."""

    def __init__(self, host: str, mutator: Mutator, tally: Tally) -> None:
        self._host = host
        self._mutator = mutator
        self._tally = tally
        self._elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._elsewhere.bind((host, 0))

    def close(self) -> None:
        """Give its port back."""
        self._elsewhere.close()

    def say(self, media: Rtp, to: Address) -> None:
        """Packets of a call, from its own port and the next one (RFC 3550 §11): from elsewhere none would be read."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as reports, suppress(OSError):
            reports.bind((self._host, media.port + 1))
            for _ in range(AT_A_TIME):
                self._put(media, self._packet(media), to, "RTP")
                self._put(reports, self._report(media), (to[0], to[1] + 1), "RTCP", media)

    def shout(self, to: Address) -> None:
        """Packets of nobody's call."""
        for _ in range(AT_A_TIME):
            packet = bytes.fromhex("8008") + self._mutator.random.randbytes(170)
            self._tally.out("stranger UDP", "RTP", broken=True)
            with suppress(OSError):
                self._elsewhere.sendto(packet, (to[0], to[1] + self._mutator.random.randrange(2)))

    def _packet(self, media: Rtp) -> bytes:
        chance = self._mutator.random
        kind = chance.choice(TYPES) | chance.choice((0, 0, 0x80))
        length = chance.choice((0, 1, 3, 4, 10, 80, 160, 170, 1400))
        first = chance.choice((0x80, 0x80, 0x80, 0x90, 0xA0, 0x8F, 0xBF))  # extension, padding, sources
        ssrc = media._ssrc if self._mutator.may(0.8) else chance.getrandbits(32)
        sequence = (media._sequence + chance.choice((1, 1, 0, -1, 30_000))) & 0xFFFF
        header = HEADER.pack(first, kind, sequence, chance.getrandbits(32), ssrc)
        return header + chance.randbytes(length)

    def _report(self, media: Rtp) -> bytes:
        chance = self._mutator.random
        report = chance.choice(REPORTS)
        whose = media._ssrc.to_bytes(4, "big") if self._mutator.may(0.8) else chance.randbytes(4)
        made = report[:4] + whose + report[8:]
        return made + chance.choice(REPORTS) if self._mutator.may(0.4) else made  # a compound one (RFC 3550 §6.1)

    def _put(self, via: Rtp | socket.socket, right: bytes, to: Address, kind: str, media: Rtp | None = None) -> None:
        """Broken before it is sealed, so that it is opened; or after that, or without a seal."""
        whose = media or via
        packet = self._mutator.raw(right) if self._mutator.may(0.7) else right
        broken = packet != right
        cipher = None if isinstance(whose, socket.socket) else whose.cipher
        if cipher is not None and self._mutator.may(0.8):
            with suppress(pylibsrtp.Error, TypeError):  # which takes only what looks like a packet
                packet = (cipher._out.protect_rtcp if kind == "RTCP" else cipher.seal)(packet)
                kind = f"S{kind}"
                if self._mutator.may(0.3):
                    packet, broken = self._mutator.raw(packet), True
        self._tally.out("media", kind, broken=broken)
        with suppress(OSError):  # no datagram of that size
            if isinstance(via, socket.socket):
                via.sendto(packet, to)
            else:
                via.transmit(packet, to)
