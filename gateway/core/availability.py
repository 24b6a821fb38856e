# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a transfer would be accepted now, asked before it is promised: by the gate that a REFER goes through.

Nothing is decided here. What the gate says is put beside what it looked at, so that the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from gateway.core.checks import phones_of
from gateway.core.gate import Request, Situation, decide
from gateway.core.hours import opening
from gateway.core.json_form import timestamp
from gateway.core.model import AssignedNumber, Decision, Destination, Entry, PbxState, Peer, PeerKind
from gateway.core.numbers import Target, parse_target
from gateway.core.routing import Routes
from gateway.core.staffing import seen_by_caller

Document = dict[str, object]


def availability_document(
    number: AssignedNumber, routes: Routes, situation: Situation, wanted: Iterable[Destination] | None = None
) -> Document:
    """All destinations of a number, or those that are `wanted`: see `documents.AvailabilityData` for the fields.

    What a REFER of the number's trunk would get at this moment, if nothing speaks against it but the gate.
    """
    now, pbx = situation.now, situation.pbx(number.pbx)
    destinations = number.destinations.values() if wanted is None else wanted
    fresh = pbx.fresh(now)
    return {
        "number": number.id,
        "called": number.number,
        "locale": number.locale,
        "at": timestamp(now),
        "pbx": {
            "pbx": pbx.pbx,
            "source": pbx.source.value,
            "known": fresh,
            "unknown_because": None if fresh or pbx.proven_at else pbx.unknown_because,
            "proven_at": pbx.proven_at and timestamp(pbx.proven_at),
            "age_s": pbx.proven_at and round(max(0.0, (now - pbx.proven_at).total_seconds()), 3),
        },
        "destinations": [_destination(each, number, routes, situation, pbx) for each in destinations],
    }


def what_changes(document: Document) -> object:
    """The document without what every moment changes: the same for two that say the same."""
    pbx = document["pbx"]
    known = pbx["known"] if isinstance(pbx, dict) else None
    return (known, document["locale"], document["destinations"])


def _destination(
    destination: Destination, number: AssignedNumber, routes: Routes, situation: Situation, pbx: PbxState
) -> Document:
    decision = _decision(destination, number, routes, situation)
    leads_to = decision.destination.id if decision.accepted and decision.destination else None
    return {
        "destination": destination.id,
        "name": destination.spoken_name,
        "number": destination.number,
        "description": destination.description,
        "available": decision.accepted,
        "leads_to": leads_to,
        "reason": decision.reason.value,
        "sip_code": decision.sip_code,
        "sentence": decision.sentence,
        **_hours(destination, situation.now),
        **_staff(destination, pbx, situation.now),
    }


def would_accept(destination: Destination, number: AssignedNumber, routes: Routes, situation: Situation) -> bool:
    """Whether a REFER of the number's trunk would be accepted at this moment, as the document says it."""
    return _decision(destination, number, routes, situation).accepted


def _decision(destination: Destination, number: AssignedNumber, routes: Routes, situation: Situation) -> Decision:
    trunk = Peer(number.trunk, PeerKind.TRUNK)
    return decide(Request(_by_id(destination.id, number.country), number, trunk, Entry.REFER), routes, situation)


@lru_cache(maxsize=4096)
def _by_id(destination: str, country: str | None) -> Target:
    return parse_target(destination, country)


def _hours(destination: Destination, now: datetime) -> Document:
    if destination.hours is None:
        return {"open": True, "holiday": None, "opens_at": None, "closes_at": None}
    found = opening(destination.hours, now)
    changes_at = found.changes_at and timestamp(found.changes_at)
    return {
        "open": found.open,
        "holiday": found.holiday,
        "opens_at": None if found.open else changes_at,
        "closes_at": changes_at if found.open else None,
    }


def _staff(destination: Destination, pbx: PbxState, now: datetime) -> Document:
    """Who is there for it: the agents of its queue, or the phones that ring; null where the PBX does not tell."""
    if not pbx.fresh(now):
        return _NOBODY_KNOWS
    if destination.queue is None:
        return _phones(destination, pbx)
    queue = pbx.queues.get(destination.queue)
    if queue is None:
        return _NOBODY_KNOWS
    seen = seen_by_caller(queue, destination.max_penalty, destination.wrap_up, now)
    return {
        "known": True,
        "agents_logged_in": seen.logged_in,
        "agents_available": seen.available,
        "agents_paused": seen.paused,
        "callers_waiting": seen.callers,
        "expected_wait_s": None if seen.expected_wait_s is None else round(seen.expected_wait_s, 1),
    }


def _phones(destination: Destination, pbx: PbxState) -> Document:
    there, free, unknown = phones_of(destination, pbx)
    if unknown == len(destination.watched):
        return _NOBODY_KNOWS
    return {**_NOBODY_KNOWS, "known": True, "agents_logged_in": there, "agents_available": free, "agents_paused": 0}


_NOBODY_KNOWS: Document = {
    "known": False,
    "agents_logged_in": None,
    "agents_available": None,
    "agents_paused": None,
    "callers_waiting": None,
    "expected_wait_s": None,
}
