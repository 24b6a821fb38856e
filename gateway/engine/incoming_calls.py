# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that come in, judged: whose they are, and what is to become of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ulid import ULID

from gateway.core.call.commands import DialOrder
from gateway.core.call.state import Call, Leg
from gateway.core.caller import Caller, Party, known_caller
from gateway.core.model import AssignedNumber, LegId, Peer, PeerKind
from gateway.core.moment import Moment
from gateway.core.numbers import Target, TargetError, parse_target
from gateway.core.outcome import Reason
from gateway.core.routing import Assignment
from gateway.ports import IncomingCall

if TYPE_CHECKING:
    from gateway.config import Config


@dataclass(frozen=True, slots=True)
class Assigned:
    """Whom a call is for, and the assigned number that it belongs to; both by the URIs that it names."""

    called: Target | None
    assignment: Assignment


def assigned(config: Config, peer: Peer, called: tuple[str, ...], calling: tuple[str, ...]) -> Assigned:
    """Read the URIs that an INVITE names, the most likely first."""
    country, routes = config.gateway.default_country, config.routes
    target = routes.called(peer, [found for uri in called if (found := _target(uri, country))])
    return Assigned(target, routes.assign(peer, target, [found for uri in calling if (found := _target(uri, country))]))


def assigned_to(config: Config, incoming: IncomingCall) -> Assigned:
    """The same for a call that came in."""
    uris = (*(identity.uri for identity in incoming.calling), *incoming.diverting)
    return assigned(config, incoming.peer, incoming.called, uris)


def begun(config: Config, incoming: IncomingCall, found: Assigned, now: Moment) -> Call | None:
    """The call that comes of it, with the caller's leg; None: it is for none of the assigned numbers."""
    number = found.assignment.number
    if number is None:
        return None
    caller = known_caller(incoming.calling, config.gateway.default_country)
    leg = Leg(incoming.leg, incoming.peer, incoming.call_id)
    return Call(
        id=str(ULID()),
        number=number,
        began=now,
        begun_by=incoming.peer.name,
        # What is withheld from whoever is called is withheld from the company's own events and log as well.
        caller=caller.number if caller and not incoming.private else None,
        max_forwards=incoming.max_forwards - 1,
        legs={leg.id: leg},
        parties={leg.id: _party(incoming, caller)},
    )


def refusal_for_pbx(config: Config, number: AssignedNumber, called: Target | None) -> Reason | None:
    """Why a call of the PBX does not reach the number's assistant, if it does not."""
    if called is None or not config.routes.is_own(number, called):
        return Reason.UNKNOWN_DESTINATION
    return None if config.trunks[number.trunk].outbound else Reason.NOT_ASSIGNED


def to_assistant(call: Call, incoming: IncomingCall, leg: LegId) -> DialOrder:
    """The leg to the assistant, for a caller of the PBX."""
    caller = call.parties[incoming.leg]
    return DialOrder(
        leg=leg,
        peer=Peer(call.number.trunk, PeerKind.TRUNK),
        user=call.number.number,
        caller=caller.user,
        caller_name=caller.name,
        headers=tuple(incoming.context.items()),
        private=caller.private,
        diverted=caller.diverted or (),
        max_forwards=call.max_forwards,
        beside=incoming.leg,
    )


def successor(config: Config, incoming: IncomingCall) -> tuple[Leg, Party]:
    """The leg that takes the place of another one, and whom it leads to."""
    caller = known_caller(incoming.calling, config.gateway.default_country)
    return Leg(incoming.leg, incoming.peer, incoming.call_id), _party(incoming, caller)


def _party(incoming: IncomingCall, caller: Caller | None) -> Party:
    user, name = (caller.target.user, caller.name) if caller else (None, "")
    return Party(user, name, incoming.private, incoming.diverted)


def _target(text: str, country: str | None) -> Target | None:
    try:
        return parse_target(text, country)
    except TargetError:
        return None
