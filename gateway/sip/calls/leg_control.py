# SPDX-License-Identifier: GPL-2.0-or-later
"""What hold, keys, failover and the watchdogs see of a leg, and what they have it do. Without PJSIP."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.core.model import LegId, Peer
    from gateway.core.outcome import CallEnd


class Direction(enum.IntFlag):
    """What one end of a stream does (RFC 3264 §5.1); the values are PJMEDIA's."""

    NONE = 0
    SENDS = 1
    HEARS = 2
    BOTH = 3

    @property
    def mirrored(self) -> Direction:
        """The other end's direction: it hears what this one sends."""
        return {Direction.SENDS: Direction.HEARS, Direction.HEARS: Direction.SENDS}.get(self, self)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The newest completed offer and answer (RFC 3264) of a leg's audio."""

    answered: bool  # the peer answered our offer; False: we answered the peer's
    ours: Direction
    theirs: Direction  # as the peer's own description says


class KeyWay(enum.Enum):
    """In which way a key is told."""

    EVENT = "telephone-event"  # RFC 4733
    INFO = "info"  # SIP INFO with application/dtmf-relay
    TONE = "tone"  # in the audio (ITU-T Q.23), of a leg that is asked for a key


@dataclass(frozen=True, slots=True)
class KeyPress:
    """A packet or an INFO tells of a key."""

    key: str
    way: KeyWay
    stamp: int = 0  # in milliseconds; all packets of one press have the same (RFC 4733 §2.2)
    ended: bool = False  # the key is up again
    relayed: bool = False  # its packets have gone to the partner as they are


class LegControl(Protocol):
    """One leg."""

    id: LegId
    peer: Peer
    incoming: bool
    sip_call_id: str
    established: bool
    established_at: float  # steady seconds
    progressed_at: float  # dialled: when it was, or rang last; steady seconds
    over: bool
    why: CallEnd | None  # it is no ordinary end

    @property
    def ending(self) -> bool:
        """Whether we have asked for its end."""

    @property
    def is_encrypted(self) -> bool:
        """Whether its audio is."""

    @property
    def was_answered_by_anything(self) -> bool:
        """Whether our INVITE was, 100 included."""

    @property
    def exchange(self) -> Exchange | None:
        """The newest exchange of descriptions; None: there was none."""

    def offer(self, direction: Direction) -> bool:
        """Send a re-INVITE that offers a direction; False: it cannot be sent now."""

    def press(self, key: str, way: KeyWay, duration_ms: int) -> bool:
        """Give the peer a key; False: it cannot be given in this way."""

    def end(self, code: int, headers: Sequence[tuple[str, str]] = (), phrase: str = "") -> None:
        """CANCEL, refuse with `code` or BYE, as the state asks for; once. `phrase`: not the code's own, if any."""

    def given_up(self) -> None:
        """PJSIP ends it by itself, and sends the BYE: no other one is wanted."""
