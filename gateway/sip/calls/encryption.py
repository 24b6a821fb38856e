# SPDX-License-Identifier: GPL-2.0-or-later
"""Says it when a leg goes without the encryption that its profile would have liked; binding/encryption.hpp keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.sip.calls.leg_control import LegControl

log = structlog.get_logger(__name__)


class Encryption:
    """`wants` tells whether the profile of a leg's peer has `srtp = "optional"`."""

    def __init__(self, wants: Callable[[LegControl], bool]) -> None:
        self._wants = wants
        self._told: set[LegId] = set()

    def negotiated(self, leg: LegControl) -> None:
        """The leg's media was negotiated, at its beginning or anew."""
        if leg.id in self._told or not self._wants(leg) or leg.is_encrypted:
            return
        self._told.add(leg.id)
        log.info("not-encrypted", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        self._told.discard(leg)
