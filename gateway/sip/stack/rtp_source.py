# SPDX-License-Identifier: GPL-2.0-or-later
"""Says it when media came from elsewhere than a call's peer; binding/rtp_source.hpp drops it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

if TYPE_CHECKING:
    from gateway.config import PbxProfile, TrunkProfile
    from gateway.ports import Clock, Timer

log = structlog.get_logger(__name__)

LOOK_S = 1.0
_RULES = {
    "sdp": pj.RTP_SOURCE_ADDRESS,
    "sdp-host": pj.RTP_SOURCE_HOST,
    "latched": pj.RTP_SOURCE_LATCHED,
}


def take_from(account: int, profile: TrunkProfile | PbxProfile) -> None:
    """Have the account's calls take media from where its profile says."""
    pj.set_rtp_source(account, _RULES[profile.rtp_source])


class DroppedMedia:
    """Looks once in a while what was dropped: counts it, and warns once for each call."""

    def __init__(self, peer_of: Callable[[int], str], dropped: Callable[[str, int], None], clock: Clock) -> None:
        """`peer_of` names the peer of an account; `dropped(kind, packets)`: so many of "rtp" or "rtcp"."""
        self._peer_of = peer_of
        self._dropped = dropped
        self._clock = clock
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._clock.after(LOOK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.start()
        told = pj.take_dropped()
        for start in range(0, len(told), 7):
            call_id, account, source, taken, rtp, rtcp, first = told[start : start + 7]
            for kind, packets in (("rtp", int(rtp)), ("rtcp", int(rtcp))):
                if packets:
                    self._dropped(kind, packets)
            if first == "1":
                peer = self._peer_of(int(account))
                log.warning("media-from-elsewhere", peer=peer, call_id=call_id, source=source, taken_from=taken)
