# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that come in, let in or refused: a new call, a transfer that begins with its INVITE, or a leg for another."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import structlog

from gateway.core.call import events as ev
from gateway.core.caller import Party
from gateway.core.model import LegId, Peer, PeerKind
from gateway.core.outcome import Reason
from gateway.engine import incoming_calls

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.engine.loop import Loop
    from gateway.engine.surroundings import Surroundings
    from gateway.ports import IncomingCall, Observer, SipPort

KEPT_BACK = 10
"""One in so many of the calls that we carry is kept for peers that have begun few of them."""
SHARES_S = 3600
"""So long after it has begun a call a peer has a part of them."""

log = structlog.get_logger(__name__)


class Admission:
    """Asks who calls whom, and has the loop begin what comes of it."""

    def __init__(self, loop: Loop, sip: SipPort, observer: Observer, surroundings: Surroundings) -> None:
        self._loop = loop
        self._sip = sip
        self._observer = observer
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._legs = itertools.count(1)
        self._begun_at: dict[str, float] = {}  # when each peer, by its name, has begun a call last

    @property
    def _config(self) -> Config:
        return self._surroundings.config

    def admit(self, peer: Peer) -> Reason | None:
        """See ports.SipListener."""
        calls, most = self._loop.calls, self._config.sip.max_calls
        if self._surroundings.drain.begun or len(calls) >= most:
            return Reason.AT_CAPACITY
        if len(calls) >= most - most // KEPT_BACK and not self._has_share(peer.name, most):
            return Reason.AT_CAPACITY
        return None

    def _has_share(self, peer: str, most: int) -> bool:
        """Whether a peer has begun fewer calls than its part, when all share that have or had any."""
        begun, since = self._loop.calls.per_peer(), self._clock.now().steady - SHARES_S
        recent = {name for name, at in self._begun_at.items() if at > since}
        return begun[peer] < most / len({peer, *begun, *recent})

    def inquire(self, peer: Peer, called: tuple[str, ...], calling: tuple[str, ...]) -> Reason | None:
        """See ports.SipListener."""
        found = incoming_calls.assigned(self._config, peer, called, calling)
        number = found.assignment.number
        if number is None:
            return Reason.NOT_ASSIGNED
        if peer.kind is PeerKind.TRUNK:
            return self._loop.desk().would_refuse(number, peer, found.called)
        return incoming_calls.refusal_for_pbx(self._config, number, found.called)

    def take(self, incoming: IncomingCall) -> None:
        """Begin what an INVITE asks for, or refuse it."""
        if incoming.replaces is not None:
            self._replace(incoming, incoming.replaces)
        else:
            self._begin(incoming)

    def _begin(self, incoming: IncomingCall) -> None:
        found = incoming_calls.assigned_to(self._config, incoming)
        desk = self._loop.desk()
        call = incoming_calls.begun(self._config, incoming, found, desk.now)
        if call is None:
            log.warning("call-refused", peer=incoming.peer.name, why=found.assignment.line, call_id=incoming.call_id)
            self._reject(incoming.leg, 404, Reason.NOT_ASSIGNED)
            return
        self._loop.add(call)
        self._begun_at[incoming.peer.name] = call.began.steady
        log.info("call-started", call=call.id, number=call.number.id, peer=incoming.peer.name, caller=call.caller)
        if incoming.peer.kind is PeerKind.TRUNK:
            self._loop.begin(call, desk.invite(call, incoming, found.called, found.assignment.line))
            return
        match incoming_calls.refusal_for_pbx(self._config, call.number, found.called):
            case None:
                leg = LegId(f"out-{next(self._legs)}")
                order, party = incoming_calls.to_assistant(call, incoming, leg), Party(call.number.number)
                self._loop.feed(call.id, ev.AssistantWanted(self._clock.now(), order, party))
            case Reason.NOT_ASSIGNED:
                log.warning("call-refused", call=call.id, why=f"trunk {call.number.trunk} has no outbound")
                self._sip.hang_up(incoming.leg, 404, Reason.NOT_ASSIGNED)
            case reason:
                self._reject(incoming.leg, 404, reason)

    def _replace(self, incoming: IncomingCall, replaced: LegId) -> None:
        """The new leg takes the place of another one of the same peer (RFC 3891); the call goes on."""
        call = self._loop.calls.of(replaced)
        if call is None or call.other(replaced) is None or call.newest is not None:
            self._reject(incoming.leg, 491, Reason.TRANSFER_PENDING)
            return
        log.info("leg-replaced", call=call.id, peer=incoming.peer.name)
        leg, party = incoming_calls.successor(self._config, incoming)
        self._loop.feed(call.id, ev.LegReplaced(self._clock.now(), replaced, leg, party))

    def _reject(self, leg: LegId, code: int, reason: Reason) -> None:
        self._observer.request_rejected(reason)
        self._sip.hang_up(leg, code, reason)
