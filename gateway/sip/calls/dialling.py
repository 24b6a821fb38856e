# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes calls to peers: to whom, in whose name, with which codecs first, and to the next server when one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config import TrunkProfile
from gateway.ports import NotSent, NotSentError
from gateway.sip.calls.failover import Failover
from gateway.sip.calls.leg import Leg, LegEvents
from gateway.sip.calls.making import make_call, of_audio, reachable, take_in
from gateway.sip.stack import settings, transports
from gateway.sip.stack.header_vector import sip_headers
from gateway.sip.stack.refusals import sending
from gateway.sip.text import headers
from gateway.sip.text.identity import present

if TYPE_CHECKING:
    from gateway.ports import Clock, DialOrder
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.calls.media_path import MediaPath
    from gateway.sip.stack.accounts import Accounts
    from gateway.sip.stack.servers import Servers


class Dialler:
    """Every attempt becomes a Leg in the registry; `events` is told what it does."""

    def __init__(
        self,
        accounts: Accounts,
        servers: Servers,
        legs: LegRegistry,
        media: MediaPath,
        clock: Clock,
        events: LegEvents,
    ) -> None:
        self.failover = Failover(servers, self.dial, clock)
        self._accounts = accounts
        self._legs = legs
        self._media = media
        self._clock = clock
        self._events = events

    @sending()
    def dial(self, order: DialOrder, call_id: str = "", attempt: int = 1) -> None:
        """Start a call; a further attempt has the Call-ID of the first. Raises NotSentError."""
        config = self._accounts.config
        profile = reachable(self._accounts, order.peer)
        base = profile.outbound if isinstance(profile, TrunkProfile) else profile.address
        uri = settings.request_uri(base, headers.user_part(order.user), profile.transport)
        address = transports.seen(config.sip, transports.version_of(config.sip, profile))
        host = config.domain or transports.uri_address(address)
        presented = present(order, profile.identity, profile.diversion, host)
        prm = of_audio()
        prm.opt.customCallId = call_id
        prm.txOption.localUri = presented.local or ""
        prm.txOption.headers = sip_headers(presented.headers)
        leg = Leg(self._accounts[order.peer.name], order.leg, order.peer, False, self._events, self._clock)
        self._media.offering(order.leg, self._legs.get(order.beside))
        make_call(self._legs, leg, uri, prm)
        if leg.over:
            raise NotSentError(NotSent.REFUSED, "the call ended before it began")
        take_in(self._legs, leg)
        self.failover.dialled(leg, order, base, profile.transport, attempt)
