# SPDX-License-Identifier: GPL-2.0-or-later
"""What those who handle requests ask of the user agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import LegId, Peer
    from gateway.ports import SipListener
    from gateway.sip.calls.leg import Leg, Notifier
    from gateway.sip.calls.midcall import MidCall
    from gateway.sip.requests.dialogs import Dialogs
    from gateway.sip.requests.invitation import Invitation
    from gateway.sip.requests.referrals import Referrals
    from gateway.sip.requests.subscriptions import Subscriptions
    from gateway.sip.stack.front import Front
    from gateway.sip.stack.servers import Servers
    from gateway.sip.stack.trunks import TrunkWatch


class UserAgent(Protocol):
    """The agent, as far as requests need it."""

    midcall: MidCall
    dialogs: Dialogs
    front: Front
    servers: Servers
    trunks: TrunkWatch
    referrals: Referrals
    subscriptions: Subscriptions

    @property
    def config(self) -> Config:
        """The configuration in force."""

    @property
    def listener(self) -> SipListener:
        """Who is told."""

    def account_of(self, peer: Peer) -> int:
        """The number of a peer's account."""

    def is_full(self, peer: Peer) -> bool:
        """Whether a trunk has as many calls as its profile lets it have."""

    def has_room_for(self, peer: Peer, legs: int) -> bool:
        """Whether so many legs more can be had, the first of them with this peer."""

    def has_call(self, call_id: str) -> bool:
        """Whether a leg has this Call-ID."""

    def leg_of(self, index: int) -> Leg | None:
        """The leg with this PJSUA call index."""

    def expect(self, invitation: Invitation) -> None:
        """The INVITE that PJSUA is about to make a call of."""

    def accepted_refer(self, leg: LegId, refer: Notifier) -> None:
        """A REFER on this leg has a subscription: its NOTIFYs come before the leg's BYE."""

    def connected(self, leg: Leg, message: str) -> None:
        """A peer may say with this re-INVITE, UPDATE or 2xx of such who is at its end now."""
