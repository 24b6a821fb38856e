# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that come in: to the assistant, to a destination, or in the place of another leg."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from ulid import ULID

from gateway.core.caller import Caller, Party, known_caller
from gateway.core.model import LegId, Peer, PeerKind
from gateway.core.numbers import Target, TargetError, parse_target
from gateway.core.outcome import Reason
from gateway.core.routing import Assignment
from gateway.engine.calls import Call, Calls
from gateway.engine.requests import Requests
from gateway.engine.stopwatch import Stopwatch
from gateway.engine.transfers import Transfers
from gateway.ports import DialOrder, IncomingCall, NoRoomError, Observer, SipPort

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger(__name__)

RETRY_S = 10
"""What a caller is told to wait when there is no room for its call."""


class Arrivals:
    """Makes calls of what comes in."""

    def __init__(
        self,
        sip: SipPort,
        calls: Calls,
        transfers: Transfers,
        requests: Requests,
        observer: Observer,
        *,
        config: Callable[[], Config],
        clock: Callable[[], datetime],
        add: Callable[[Call], None],
    ) -> None:
        self._sip = sip
        self._calls = calls
        self._transfers = transfers
        self._requests = requests
        self._observer = observer
        self._config = config
        self._clock = clock
        self._add = add
        self._numbers = itertools.count(1)

    def take(self, incoming: IncomingCall) -> None:
        """A peer calls: to the assistant (from the PBX), or to a destination (from the trunk)."""
        if incoming.replaces is not None:
            self._take_over(incoming, incoming.replaces)
            return
        uris = (*(identity.uri for identity in incoming.calling), *incoming.diverting)
        called, assignment = self._assigned(incoming.peer, incoming.called, uris)
        number = assignment.number
        if number is None:
            log.warning("call-refused", peer=incoming.peer.name, why=assignment.line, call_id=incoming.call_id)
            self._observer.request_rejected(Reason.NOT_ASSIGNED)
            self._sip.hang_up(incoming.leg, 404, Reason.NOT_ASSIGNED)
            return
        caller = known_caller(incoming.calling, self._config().gateway.default_country)
        began = self._clock()
        call = Call(
            id=str(ULID()),
            number=number,
            now=Stopwatch(began),
            started_at=began,
            caller=caller.number if caller else None,
            max_forwards=incoming.max_forwards - 1,
        )
        self._add(call)
        self._calls.join(call, incoming.leg, incoming.peer, incoming.call_id, _party(incoming, caller))
        log.info("call-started", call=call.id, number=number.id, peer=incoming.peer.name, caller=call.caller)
        if incoming.peer.kind is PeerKind.TRUNK:
            self._requests.invite(call, incoming, called, assignment.line)
        elif called is not None and self._config().routes.is_own(number, called):
            self._call_assistant(call, incoming)
        else:
            self._observer.request_rejected(Reason.UNKNOWN_DESTINATION)
            self._sip.hang_up(incoming.leg, 404, Reason.UNKNOWN_DESTINATION)

    def inquire(self, peer: Peer, called: tuple[str, ...], calling: tuple[str, ...]) -> Reason | None:
        """Why a call would be refused now, if it would (RFC 3261 §11.2); nothing comes of asking."""
        target, assignment = self._assigned(peer, called, calling)
        number = assignment.number
        if number is None:
            return Reason.NOT_ASSIGNED
        if peer.kind is PeerKind.TRUNK:
            return self._requests.inquire(number, peer, target)
        if target is None or not self._config().routes.is_own(number, target):
            return Reason.UNKNOWN_DESTINATION
        return None if self._config().trunks[number.trunk].outbound else Reason.NOT_ASSIGNED

    def _assigned(
        self, peer: Peer, called: tuple[str, ...], calling: tuple[str, ...]
    ) -> tuple[Target | None, Assignment]:
        """Whom a call is for, and the assigned number that it belongs to; both by the URIs that it names."""
        country, routes = self._config().gateway.default_country, self._config().routes
        target = routes.called(peer, [found for uri in called if (found := _target(uri, country))])
        return target, routes.assign(peer, target, [found for uri in calling if (found := _target(uri, country))])

    def _take_over(self, incoming: IncomingCall, replaced: LegId) -> None:
        """The new leg takes the place of another one of the same peer (RFC 3891); the call goes on."""
        call = self._calls.of(replaced)
        other = call.other(replaced) if call else None
        if call is None or other is None or self._transfers.of_call(call) is not None:
            self._observer.request_rejected(Reason.TRANSFER_PENDING)
            self._sip.hang_up(incoming.leg, 491, Reason.TRANSFER_PENDING)
            return
        log.info("leg-replaced", call=call.id, peer=incoming.peer.name)
        self._calls.leave(call, replaced)
        successor = _party(incoming, known_caller(incoming.calling, self._config().gateway.default_country))
        self._calls.join(call, incoming.leg, incoming.peer, incoming.call_id, successor)
        self._sip.respond(incoming.leg, 200)
        if not call.up:
            self._sip.respond(other, 200)
            call.connected_at = call.now()
        call.up = self._sip.join(other, incoming.leg)
        if not call.up:
            # Nobody is to be left in silence.
            for leg in (other, incoming.leg):
                self._sip.hang_up(leg, 500, Reason.GATEWAY_ERROR)
        self._sip.hang_up(replaced, 487, Reason.ANSWERED)

    def _call_assistant(self, call: Call, incoming: IncomingCall) -> None:
        if not self._config().trunks[call.number.trunk].outbound:
            log.warning("call-refused", call=call.id, why=f"trunk {call.number.trunk} has no outbound")
            self._sip.hang_up(incoming.leg, 404, Reason.NOT_ASSIGNED)
            return
        leg = LegId(f"out-{next(self._numbers)}")
        trunk = Peer(call.number.trunk, PeerKind.TRUNK)
        headers = tuple(incoming.context.items())
        caller = call.parties[incoming.leg]
        order = DialOrder(
            leg, trunk, call.number.number, caller.user, caller.name, headers, private=caller.private,
            diverted=caller.diverted or (), max_forwards=call.max_forwards, beside=incoming.leg,
        )  # fmt: skip
        try:
            self._sip.dial(order)
        except NoRoomError:
            self._observer.request_rejected(Reason.AT_CAPACITY)
            self._sip.hang_up(incoming.leg, 503, Reason.AT_CAPACITY, RETRY_S)
            return
        except OSError as error:
            log.error("dial-failed", call=call.id, peer=trunk.name, error=str(error))
            self._sip.hang_up(incoming.leg, 502, Reason.UNREACHABLE)
            return
        self._calls.join(call, leg, trunk, self._sip.call_id(leg), Party(call.number.number))
        self._sip.wait(incoming.leg, leg)


def _party(incoming: IncomingCall, caller: Caller | None) -> Party:
    user, name = (caller.target.user, caller.name) if caller else (None, "")
    return Party(user, name, incoming.private, incoming.diverted)


def _target(text: str, country: str | None) -> Target | None:
    try:
        return parse_target(text, country)
    except TargetError:
        return None
