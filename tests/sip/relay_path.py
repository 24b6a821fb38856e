# SPDX-License-Identifier: GPL-2.0-or-later
"""A second way for audio, in place of PJMEDIA's bridge: packets are passed on as they are, by sockets of its own."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.model import Announcement, LegId
    from gateway.ports import Clock
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.pairs import Changed, Pairs

WHERE = re.compile(r"(c=IN IP4 )(\S+)|(m=audio )(\d+)")


def place(description: str) -> tuple[str, int]:
    """Where the audio of a description is to go."""
    found = {one[0] or one[2]: one[1] or one[3] for one in WHERE.findall(description)}
    return found["c=IN IP4 "], int(found["m=audio "])


def moved(description: str, address: str, port: int) -> str:
    """The description with its audio somewhere else."""
    return WHERE.sub(lambda one: f"{one[1]}{address}" if one[1] else f"{one[3]}{port}", description)


class RelayPath:
    """Implements media_path.MediaPath: no announcement, no ringback, one codec for everybody."""

    reads_descriptions = True

    def __init__(self, pairs: Pairs, _leg_of: Callable[[LegId | None], Leg | None], _clock: Clock) -> None:
        self._pairs = pairs
        self.sockets: dict[LegId, socket.socket] = {}
        self.peers: dict[LegId, tuple[str, int]] = {}  # where they take audio
        self.asked: list[tuple[LegId, str]] = []
        self._packets: dict[LegId, int] = {}

    def stop(self) -> None:
        """See media_path.MediaPath."""
        for leg in list(self.sockets):
            self.forget(leg)

    def sent(self, leg: LegId, description: str, *, answers: bool) -> str:
        """See media_path.MediaPath: audio is to come to a socket of ours."""
        self.asked.append((leg, f"sent {'answer' if answers else 'offer'}"))
        address, _ = place(description)
        if leg not in self.sockets:
            opened = self.sockets[leg] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.setblocking(False)
            opened.bind((address, 0))
            asyncio.get_running_loop().add_reader(opened, self._pass_on, leg)
        return moved(description, *self.sockets[leg].getsockname())

    def received(self, leg: LegId, description: str, *, answers: bool) -> str:
        """See media_path.MediaPath: PJMEDIA is told of a place where nobody listens."""
        self.asked.append((leg, f"received {'answer' if answers else 'offer'}"))
        self.peers[leg] = place(description)
        return moved(description, self.peers[leg][0], 9)

    async def is_idle(self) -> bool:
        """Whether no leg is left."""
        return not self.sockets

    def _pass_on(self, leg: LegId) -> None:
        packet = self.sockets[leg].recv(2048)
        self._packets[leg] = self._packets.get(leg, 0) + 1
        partner = self._pairs.partner(leg)
        if partner in self.sockets and partner in self.peers:
            self.sockets[partner].sendto(packet, self.peers[partner])

    def offering(self, leg: LegId, beside: Leg | None) -> None:
        """See media_path.MediaPath."""

    def answering(self, leg: Leg, beside: Leg | None) -> None:
        """See media_path.MediaPath."""

    def negotiated(self, leg: Leg) -> None:
        """See media_path.MediaPath."""

    def stopped(self, leg: LegId) -> None:
        """See media_path.MediaPath."""

    def has_media(self, leg: LegId) -> bool:
        """See media_path.MediaPath."""
        return leg in self.peers

    def packets(self, leg: LegId) -> int:
        """See media_path.MediaPath."""
        return self._packets.get(leg, 0)

    def activity(self, leg: LegId) -> int:
        """See media_path.MediaPath."""
        return self._packets.get(leg, -1)

    def changed(self, legs: Changed) -> None:
        """See media_path.MediaPath: the pair table is asked at each packet."""

    def wait(self, leg: LegId, announcement: Announcement | None, legs: Changed) -> None:
        """See media_path.MediaPath."""

    def forget(self, leg: LegId) -> None:
        """See media_path.MediaPath."""
        if opened := self.sockets.pop(leg, None):
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()
        self.peers.pop(leg, None)
