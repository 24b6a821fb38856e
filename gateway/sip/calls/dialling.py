# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes calls to peers: to whom, in whose name, with which codecs first, and to the next server when one fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pjsua2 as pj

from gateway.config import TrunkProfile
from gateway.ports import NotSent, NotSentError
from gateway.sip.calls.failover import Failover
from gateway.sip.calls.leg import Leg, LegEvents
from gateway.sip.stack import settings, transports
from gateway.sip.stack.header_vector import sip_headers
from gateway.sip.stack.refusals import sending
from gateway.sip.text import headers
from gateway.sip.text.identity import present

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import LegId
    from gateway.ports import DialOrder
    from gateway.sip.stack.accounts import Accounts
    from gateway.sip.stack.servers import Servers


class Dialler:
    """Every attempt becomes a Leg, handed to `register`; `find` knows the legs that there are."""

    def __init__(
        self,
        config: Callable[[], Config],
        accounts: Accounts,
        servers: Servers,
        events: LegEvents,
        *,
        find: Callable[[LegId], Leg | None],
        register: Callable[[Leg], None],
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._events = events
        self._find = find
        self._register = register
        self._beside: dict[LegId, LegId] = {}  # the newest target that a leg is, or will be, heard by
        self._failover = Failover(servers, self.dial)

    @sending()
    def dial(self, order: DialOrder, call_id: str = "", attempt: int = 1) -> None:
        """Start a call; a further attempt has the Call-ID of the first. Raises NotSentError."""
        config = self._config()
        profile = config.profile(order.peer.name)
        if profile is None:
            raise NotSentError(NotSent.NO_PEER, f"{order.peer.name} is no longer configured")
        if not self._accounts.has_ports(config.sip, profile, 1):
            raise NotSentError(NotSent.NO_ROOM, "no RTP ports or descriptors are left")
        base = profile.outbound if isinstance(profile, TrunkProfile) else profile.address
        uri = settings.request_uri(base, headers.user_part(order.user), profile.transport)
        host = transports.uri_address(transports.seen(config.sip, transports.version_of(config.sip, profile)))
        presented = present(order, profile.identity, profile.diversion, host)
        prm = pj.CallOpParam(True)
        prm.opt.audioCount, prm.opt.videoCount, prm.opt.textCount = 1, 0, 0
        prm.opt.customCallId = call_id
        prm.txOption.localUri = presented.local or ""
        prm.txOption.headers = sip_headers(presented.headers)
        leg = Leg(self._accounts[order.peer.name], order.leg, order.peer, False, self._events)
        pj.prefer_in_next_offer(self._codecs(order.beside))
        try:
            leg.makeCall(uri, prm)
        except pj.Error:
            pj.release_call(leg)
            raise
        if leg.over:
            raise NotSentError(NotSent.REFUSED, "the call ended before it began")
        pj.watch_call(leg.getId())
        leg.sip_call_id = leg.getInfo().callIdString
        if order.beside is not None:
            self._beside[order.beside] = order.leg
        self._register(leg)
        self._failover.dialled(leg, order, base, profile.transport, attempt)

    def answering(self, leg: Leg) -> None:
        """A leg is about to be answered: with what its target speaks, if the caller has offered that."""
        if wanted := self._codecs(self._beside.get(leg.id)):
            pj.prefer_in_answer(leg.getId(), wanted)

    def taken(self, leg: Leg) -> None:
        """A server has the call: no other one is tried."""
        self._failover.forget(leg.id)

    def goes_on(self, leg: Leg, code: int) -> bool:
        """Whether a call that failed is made again at another server."""
        return self._failover.goes_on(leg, code)

    def ended(self, leg: Leg) -> None:
        """A leg is over."""
        self._failover.forget(leg.id)
        self._beside.pop(leg.id, None)

    def _codecs(self, leg: LegId | None) -> list[str]:
        """What the other leg of a conversation speaks, or would: whatever else is agreed on has to be transcoded."""
        found = self._find(leg) if leg else None
        return list(pj.codecs_of(found.getId())) if found and not found.over else []
