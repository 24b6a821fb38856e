# SPDX-License-Identifier: GPL-2.0-or-later
"""Other ways for audio than PJMEDIA's bridge: `python -m tests.sip.other_paths NAME DIRECTORY` is a gateway with one.

`relay` passes packets on as they are, by sockets of its own; `shown` is the bridge, which is shown what it has no use
for; `garbled` the same, and puts what is no description, or has another line of media, in the place of each.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway import app
from gateway.sip.agent import SipAgent
from gateway.sip.calls.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import Config
    from gateway.core.media_way import Decision
    from gateway.core.model import Announcement, LegId
    from gateway.core.record import LegMedia
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.media_path import MediaPath
    from gateway.sip.calls.pairs import Changed, Pairs

log = structlog.get_logger(__name__)

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

    def __init__(self, pairs: Pairs, _leg_of: Callable[[LegId | None], Leg | None], *_: object) -> None:
        self._pairs = pairs
        self.sockets: dict[LegId, socket.socket] = {}
        self.peers: dict[LegId, tuple[str, int]] = {}  # where they take audio
        self._packets: dict[LegId, int] = {}

    def configure(self, _config: Config) -> None:
        """See media_path.MediaPath."""

    def tell(self, _changed: Callable[[LegId, Decision | None, Decision | None], None]) -> None:
        """See media_path.MediaPath."""

    def decided(self, _leg: LegId) -> Decision | None:
        """See media_path.MediaPath."""
        return None

    def tell_misplaced(self, _misplaced: Callable[[LegId], None]) -> None:
        """See media_path.MediaPath."""

    def is_misplaced(self, _leg: LegId) -> bool:
        """See media_path.MediaPath."""
        return False

    def offering_again(self, _leg: LegId) -> None:
        """See media_path.MediaPath."""

    def declined(self, _leg: LegId, _code: int) -> None:
        """See media_path.MediaPath."""

    def goes_past(self, _leg: LegId) -> bool:
        """See media_path.MediaPath."""
        return False

    def keys_follow(self, _leg: LegId) -> None:
        """See media_path.MediaPath."""

    def stop(self) -> None:
        """See media_path.MediaPath."""
        for leg in list(self.sockets):
            self.forget(leg)

    def sent(self, leg: LegId, description: str, *, answers: bool) -> str:
        """See media_path.MediaPath: audio is to come to a socket of ours."""
        log.info("asked", leg=leg, what="sent-answer" if answers else "sent-offer")
        address, _ = place(description)
        if leg not in self.sockets:
            opened = self.sockets[leg] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.setblocking(False)
            opened.bind((address, 0))
            asyncio.get_running_loop().add_reader(opened, self._pass_on, leg)
        return moved(description, *self.sockets[leg].getsockname())

    def received(self, leg: LegId, description: str, *, answers: bool) -> str:
        """See media_path.MediaPath: PJMEDIA is told of a place where nobody listens."""
        log.info("asked", leg=leg, what="received-answer" if answers else "received-offer")
        self.peers[leg] = place(description)
        return moved(description, self.peers[leg][0], 9)

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

    def counted(self, leg: Leg) -> LegMedia | None:
        """See media_path.MediaPath: it counts no losses."""
        return None

    def changed(self, legs: Changed) -> None:
        """See media_path.MediaPath: the pair table is asked at each packet."""

    def wait(self, leg: LegId, announcement: Announcement | None, legs: Changed) -> None:
        """See media_path.MediaPath."""

    def whisper(self, leg: LegId, sounds: Sequence[Announcement], legs: Changed) -> None:
        """See media_path.MediaPath: it plays nothing."""

    def tell_tones(self, pressed: Callable[[LegId, str], None]) -> None:
        """See media_path.MediaPath: it hears none."""

    def listen_for_tones(self, leg: LegId, keys: str) -> None:
        """See media_path.MediaPath: it hears none."""

    def forget(self, leg: LegId) -> None:
        """See media_path.MediaPath."""
        if opened := self.sockets.pop(leg, None):
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()
        self.peers.pop(leg, None)


class Shown(Bridge):
    """See the module."""

    reads_descriptions = True


class Garbled(Bridge):
    """See the module."""

    reads_descriptions = True

    def sent(self, leg: LegId, description: str, *, answers: bool) -> str:
        """See media_path.MediaPath."""
        return "what is this?"

    def received(self, leg: LegId, description: str, *, answers: bool) -> str:
        """See media_path.MediaPath."""
        return f"{description}m=audio 4000 RTP/AVP 0\r\n"


PATHS: dict[str, Callable[..., MediaPath]] = {"relay": RelayPath, "shown": Shown, "garbled": Garbled}

if __name__ == "__main__":
    sys.exit(app.main(Path(sys.argv[2]), partial(SipAgent, media=PATHS[sys.argv[1]])))
