# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that is up, as it is written down so that a later process can take it up again (decision 0122).

All that a request within the dialog of each leg needs (RFC 3261 §12.1), and what the call has to know to go on: nothing
of it may be wanting, for whoever reads it knows nothing else of the call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from gateway.core.caller import Party
from gateway.core.model import AnsweredBy, LegId, Peer, PeerKind

LEAP = 1000
"""How far numbers leap ahead at least: more than a dialog uses between two times that it is written down."""
LEAP_A_SECOND = 10
"""… and by how much more for each second since: who is killed while taking calls up does not use a number twice."""
MOST = 2**31 - 2**20
"""RFC 3261 §8.1.1.5: a CSeq is less than 2**31, those of later requests too; a description's version leaps with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDialog:
    """The dialog of a leg as we have it."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str  # our address as it stands in From, without the tag
    remote: str
    local_cseq: int  # of our newest request
    remote_cseq: int  # -1: none has come
    target: str  # where requests go: the URI of the peer's Contact
    routes: tuple[str, ...] = ()
    origin_id: int = 0  # of the o= line of our last description (RFC 8866 §5.2)
    origin_version: int = 0
    codec: str = ""  # as SDP names it; empty: there is no audio
    call_id_is_ours: bool = False

    def later(self, seconds: float) -> KeptDialog:
        """The same dialog, so long after it was written down: its numbers are higher than any that was used."""
        leap = LEAP + int(LEAP_A_SECOND * max(0.0, seconds))
        return replace(
            self,
            local_cseq=min(self.local_cseq + leap, MOST),
            origin_version=min(self.origin_version + leap, MOST),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLeg:
    """A leg of the call."""

    peer: str  # name of the profile
    kind: PeerKind
    party: Party | None
    dialog: KeptDialog


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCall:
    """The call."""

    call: str
    number: str  # id of the assigned number
    begun_by: str
    caller: str | None
    max_forwards: int
    began_at: datetime
    connected_at: datetime
    transfer: str | None
    destination: str | None
    answered_by: AnsweredBy | None
    legs: tuple[KeptLeg, KeptLeg]
    kept_at: datetime
    attempts: int = 0
    """How many processes have begun to take it up since it was written down."""


@dataclass(frozen=True, slots=True)
class RecoveryOrder:
    """A leg to take up again: by a re-INVITE in its dialog, which this process does not have yet."""

    leg: LegId  # the id it will have
    peer: Peer
    dialog: KeptDialog
