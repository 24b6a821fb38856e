# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether another call can be taken or made: legs, RTP ports, and what a trunk may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sip.stack import settings

if TYPE_CHECKING:
    from gateway.core.model import Peer
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.stack.accounts import Accounts


class Capacity:
    """Of the gateway, and of each trunk."""

    def __init__(self, accounts: Accounts, legs: LegRegistry) -> None:
        self._accounts = accounts
        self._legs = legs
        self._most_legs = settings.legs(accounts.config.sip.max_calls)

    def is_full(self, peer: Peer) -> bool:
        """Whether a trunk has as many calls as its profile lets it have."""
        trunk = self._accounts.config.trunks.get(peer.name)
        return trunk is not None and 0 < trunk.max_calls <= self._legs.with_peer(peer)

    def has_room(self, peer: Peer, legs: int) -> bool:
        """Whether so many legs more can be had, the first of them with this peer."""
        config = self._accounts.config
        profile = config.profile(peer.name)
        if profile is None or self._legs.occupied + legs > self._most_legs:
            return False
        return self._accounts.has_ports(config.sip, profile, legs, hold=len(self._legs) > 0)
