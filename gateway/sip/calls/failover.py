# SPDX-License-Identifier: GPL-2.0-or-later
"""Tries the next server of a peer with several when one says nothing or cannot (RFC 3263 §4.3).

PJSIP goes on to another by itself where a connection cannot be made, and only there.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.config.fields import uri_host
from gateway.core.uri import read_sip_uri
from gateway.ports import NotSentError
from gateway.sip.stack.servers import Server, Wanted

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.ports import Clock, DialOrder, Timer
    from gateway.sip.calls.leg_control import LegControl

log = structlog.get_logger(__name__)

SILENCE_S = 4.0
"""How long a server may leave an INVITE without even a 100, over UDP after four retransmissions."""
UNABLE = (408, 502, 503)
"""What a server answers, or is said to have answered, that cannot take the call while another one may."""


@dataclass(slots=True)
class _Attempt:
    leg: LegControl
    order: DialOrder
    wanted: Wanted
    tried: int
    server: Server | None
    timer: Timer


class KnownServers(Protocol):
    """What DNS has told of servers, and which of them failed a short while ago."""

    def order(self, wanted: Wanted) -> Sequence[Server]:
        """The servers known for a name, the best first."""

    def failed(self, server: Server) -> None:
        """A server did not answer, or said that it cannot: others come first for a while."""


class Failover:
    """Watches the calls to peers that have names; `dial` makes the next attempt, with the same Call-ID."""

    def __init__(self, servers: KnownServers, dial: Callable[[DialOrder, str, int], None], clock: Clock) -> None:
        self._servers = servers
        self._clock = clock
        self._dial = dial
        self._attempts: dict[LegId, _Attempt] = {}

    def dialled(self, leg: LegControl, order: DialOrder, uri: str, transport: str, tried: int) -> None:
        """A call was begun; the first attempt is number 1."""
        read = read_sip_uri(uri)
        host = uri_host(uri)
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            return
        wanted = Wanted(host, (read.port if read is not None else None) or 0, transport)
        known = self._servers.order(wanted)
        timer = self._clock.after(SILENCE_S, partial(self._silent, leg))
        self._attempts[leg.id] = _Attempt(leg, order, wanted, tried, known[0] if known else None, timer)

    def forget(self, leg: LegId) -> None:
        """A server has the call, or nobody wants it any more."""
        if attempt := self._attempts.pop(leg, None):
            attempt.timer.cancel()

    def goes_on(self, leg: LegControl, code: int) -> bool:
        """Whether a call that failed is made again at another server."""
        attempt = self._attempts.get(leg.id)
        if attempt is None or attempt.leg is not leg:
            return False
        self.forget(leg.id)
        return code in UNABLE and self._next(attempt, code)

    def _silent(self, leg: LegControl) -> None:
        attempt = self._attempts.get(leg.id)
        if attempt is None or attempt.leg is not leg or leg.over or leg.was_answered_by_anything:
            return
        del self._attempts[leg.id]
        if self._next(attempt, 408):
            leg.end(487)

    def _next(self, attempt: _Attempt, code: int) -> bool:
        servers = self._servers.order(attempt.wanted)
        failed = attempt.server or (servers[0] if servers else None)
        if failed is None or attempt.tried >= len(servers):
            return False
        self._servers.failed(failed)
        log.warning("server-passed-over", leg=attempt.leg.id, server=failed[0], code=code)
        try:
            self._dial(attempt.order, attempt.leg.sip_call_id, attempt.tried + 1)
        except NotSentError as error:
            log.warning("dial-failed", leg=attempt.leg.id, reason=str(error.reason), error=str(error))
            return False
        return True
