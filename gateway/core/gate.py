# SPDX-License-Identifier: GPL-2.0-or-later
"""The check before a transfer is accepted: the first destination that can take the caller now, or why there is none.

Every step leaves a line in the trail. All is in memory, so that a REFER is answered at once.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gateway.core.checks import Finding, check_in_order
from gateway.core.model import AssignedNumber, Decision, Destination, Entry, Load, PbxState, Peer, PeerKind
from gateway.core.numbers import Target, TargetError, parse_target
from gateway.core.outcome import Reason
from gateway.core.routing import Routes, hunt
from gateway.core.sentence import sentence


@dataclass(frozen=True, slots=True)
class Request:
    """A transfer as it is asked for, whichever way it came in."""

    target: Target
    number: AssignedNumber | None  # None: the call could not be assigned
    peer: Peer | None = None  # None: an operator asks
    entry: Entry = Entry.REFER
    assigned: str = ""  # how the number was found (`Assignment.line`)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision depends on besides the configuration."""

    now: datetime  # aware
    load: Load = field(default_factory=Load)  # without what is being asked for
    pbxs: Mapping[str, PbxState] = field(default_factory=dict)  # by name; one that is missing is unknown

    def pbx(self, name: str) -> PbxState:
        """What is known of a PBX."""
        return self.pbxs.get(name) or PbxState(pbx=name)


def decide(request: Request, routes: Routes, situation: Situation, kept: Destination | None = None) -> Decision:
    """Decide on a request: which destination to dial, or the reason to refuse.

    A refused request keeps the reason of the destination that was asked for, whatever its overflow found. `kept` is one
    in whose queue the caller has a place already that the request takes up: it was let pass then.
    """
    number, peer, now = request.number, request.peer, situation.now
    trail = [f"peer: {peer.name}, a {peer.kind}" if peer else "peer: an operator"]
    if number is None:
        trail.append(request.assigned or "number: the call belongs to none that is assigned")
        return _refused(Reason.NOT_ASSIGNED, None, trail, now)
    if peer and peer.name not in ((number.trunk,) if peer.kind is PeerKind.TRUNK else number.pbxs):
        trail[0] = f"peer: {peer.name} may not transfer calls of {number.id}"
        return _refused(Reason.PEER_NOT_ALLOWED, number, trail, now)
    trail.append(request.assigned or f"number: {number.id} on trunk {number.trunk}")
    asked = routes.destination(number, request.target)
    if asked is None:
        trail.append(f"destination: {number.id} has none by that number or name")
        return _refused(Reason.UNKNOWN_DESTINATION, number, trail, now)
    trail.append(f"destination: {asked.id}, extension {_place(number, asked)}")
    if kept is not None:
        trail.append(f"place: kept in the queue of {kept.id}, extension {_place(number, kept)}, and taken up")
        return Decision(True, Reason.ACCEPTED, kept, tuple(trail))
    return _first_open(number, hunt(number, asked), situation, request.entry, trail)


def _refused(reason: Reason, number: AssignedNumber | None, trail: list[str], now: datetime) -> Decision:
    """The refusal of a request that leads to no destination."""
    told = sentence(reason, number.locale, name=None, now=now) if number else None
    return Decision(accepted=False, reason=reason, destination=None, trail=tuple(trail), sentence=told)


def next_after(
    number: AssignedNumber,
    asked: Destination,
    tried: Collection[str],
    situation: Situation,
    told: Collection[tuple[str, Reason]] = (),
) -> Decision:
    """Decide where to go on after busy or no answer: the next in the hunt order of `asked` that passes its gate now.

    `tried` are the ids of those dialled so far; neither they nor their extensions are dialled again. When none is left
    the decision is not accepted and names no destination. The trail holds what was found now, and nothing of before: a
    destination that was passed over is looked at again, but its refusal is not told again if it is among those `told`.
    """
    dialled = {number.destinations[name].place for name in tried}
    left = tuple(
        destination
        for destination in hunt(number, asked)
        if destination.id not in tried and destination.place not in dialled
    )
    if not left:
        line = f"overflow: none left after {', '.join(tried)}"
        return Decision(accepted=False, reason=Reason.NO_ANSWER, destination=None, trail=(line,))
    decision = _first_open(number, left, situation, Entry.REFER, [], told)
    if not decision.trail:
        decision = replace(decision, trail=("overflow: none, the rest is refused as before",))
    return decision if decision.accepted else replace(decision, destination=None, sentence=None)


def turn(number: AssignedNumber, destination: Destination, situation: Situation) -> Decision:
    """Decide whether somebody is free there, now, to call somebody back; nobody else is asked."""
    return _first_open(number, (destination,), situation, Entry.CALLBACK, [f"call back: by {destination.id}"])


def on_the_clock(at: datetime, text: str, number: AssignedNumber, routes: Routes) -> datetime:
    """The moment that somebody means who gives a time without a zone: it is read by the clock on the wall.

    By that of the hours of the destination `text` names, or else of the next in the hunt order; where that names none,
    by that of the first hours that any of the number's destinations has.
    """
    if at.tzinfo is not None:
        return at
    try:
        asked = routes.destination(number, parse_target(text, number.country))
    except TargetError:
        asked = None
    clocks = (*(hunt(number, asked) if asked else ()), *number.destinations.values())
    zone = next((each.hours.time_zone for each in clocks if each.hours), UTC)
    return at.replace(tzinfo=zone)


def explain(text: str, number: AssignedNumber, routes: Routes, situation: Situation) -> dict[str, object]:
    """What would be decided if an operator asked for `text`, as `explain --json` and `/api/explain` give it."""
    try:
        target = parse_target(text, number.country)
    except TargetError as error:
        reason, trail = error.reason, [f"target: {error}"]
        return explanation(_refused(reason, number, trail, situation.now))
    return explanation(decide(Request(target, number), routes, situation))


def explanation(decision: Decision) -> dict[str, object]:
    """The decision as `explain --json` and `/api/explain` give it."""
    destination = decision.destination
    return {
        "decision": "accept" if decision.accepted else "refuse",
        "destination": destination.id if destination else None,
        "extension": destination.extension if destination else None,
        "reason": decision.reason.value,
        "sip_code": decision.sip_code,
        "trail": list(decision.trail),
        "sentence": decision.sentence,
    }


def _first_open(
    number: AssignedNumber,
    candidates: tuple[Destination, ...],
    situation: Situation,
    entry: Entry,
    trail: list[str],
    told: Collection[tuple[str, Reason]] = (),
) -> Decision:
    """Try the gates of `candidates` (at least one) in order. The first one's refusal is the one that counts.

    Whatever was `told` before stays out of the trail and the refusals.
    """
    refusals: list[tuple[str, Reason]] = []
    findings: list[Finding] = []
    for candidate in candidates:
        finding = _examine(candidate, number, situation, entry)
        findings.append(finding)
        if (candidate.id, finding.reason) in told:
            continue
        if refusals:
            passed_over, why = refusals[-1]
            trail.append(
                f"overflow: {passed_over} is refused ({why}); next is {candidate.id}, {_place(number, candidate)}"
            )
        elif not trail:
            trail.append(f"overflow: {candidate.id}, extension {_place(number, candidate)}")
        trail += finding.lines
        if finding.reason is Reason.ACCEPTED:
            return Decision(True, Reason.ACCEPTED, candidate, tuple(trail), refusals=tuple(refusals))
        refusals.append((candidate.id, finding.reason))
    asked, first = candidates[0], findings[0]
    return Decision(
        accepted=False,
        reason=first.reason,
        destination=asked,
        trail=tuple(trail),
        retry_after_s=max(1, math.ceil(first.retry_after.total_seconds())) if first.retry_after else None,
        refusals=tuple(refusals),
        sentence=sentence(
            first.reason,
            number.locale,
            name=asked.spoken_name,
            now=situation.now,
            opens_at=first.opens_at,
            wait_s=first.wait_s,
        ),
    )


def _place(number: AssignedNumber, destination: Destination) -> str:
    """Where a destination is dialled; a PBX that is not its number's is named."""
    pbx = number.pbx_of(destination)
    return destination.extension if pbx == number.pbx else f"{destination.extension} on {pbx}"


def _examine(destination: Destination, number: AssignedNumber, situation: Situation, entry: Entry) -> Finding:
    """Take one destination through the steps of the gate, as far as it gets."""
    lines: tuple[str, ...] = ()
    state = situation.pbx(number.pbx_of(destination))
    for found in check_in_order(destination, state, situation.load, entry, situation.now):
        lines += found.lines
        if found.reason is not Reason.ACCEPTED:
            return replace(found, lines=lines)
    return Finding(Reason.ACCEPTED, lines)
