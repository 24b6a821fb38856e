# SPDX-License-Identifier: GPL-2.0-or-later
"""The check before a transfer is accepted: the first destination that can take the caller now, or why there is none.

Every step leaves a line in the trail. All is in memory, so that a REFER is answered at once.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.core.hours import opening
from gateway.core.model import (
    AssignedNumber,
    Decision,
    Destination,
    DeviceState,
    Entry,
    Load,
    PbxState,
    Peer,
    PeerKind,
    QueueState,
    WhenUnknown,
)
from gateway.core.numbers import Target, TargetError, parse_target
from gateway.core.outcome import Reason
from gateway.core.routing import Routes, hunt

_RETRY_AT_CAPACITY = timedelta(seconds=10)


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


@dataclass(frozen=True, slots=True)
class _Finding:
    """What the gate of one destination found; reason ACCEPTED when it may be dialled."""

    reason: Reason
    lines: tuple[str, ...]
    retry_after: timedelta | None = None


def decide(request: Request, routes: Routes, situation: Situation) -> Decision:
    """Decide on a request: which destination to dial, or the reason to refuse.

    A refused request keeps the reason of the destination that was asked for, whatever its overflow found.
    """
    number, peer = request.number, request.peer
    trail = [f"peer: {peer.name}, a {peer.kind}" if peer else "peer: an operator"]
    if number is None:
        trail.append(request.assigned or "number: the call belongs to none that is assigned")
        return Decision(accepted=False, reason=Reason.NOT_ASSIGNED, destination=None, trail=tuple(trail))
    if peer and peer.name != (number.trunk if peer.kind is PeerKind.TRUNK else number.pbx):
        trail[0] = f"peer: {peer.name} may not transfer calls of {number.id}"
        return Decision(accepted=False, reason=Reason.PEER_NOT_ALLOWED, destination=None, trail=tuple(trail))
    trail.append(request.assigned or f"number: {number.id} on trunk {number.trunk}")
    asked = routes.destination(number, request.target)
    if asked is None:
        trail.append(f"destination: {number.id} has none by that number or name")
        return Decision(accepted=False, reason=Reason.UNKNOWN_DESTINATION, destination=None, trail=tuple(trail))
    trail.append(f"destination: {asked.id}, extension {asked.extension}")
    return _first_open(number, hunt(number, asked), situation, request.entry, trail)


def next_after(number: AssignedNumber, asked: Destination, tried: Collection[str], situation: Situation) -> Decision:
    """Decide where to go on after busy or no answer: the next in the hunt order of `asked` that passes its gate now.

    `tried` are the ids of those dialled so far; neither they nor their extensions are dialled again. When none is left
    the decision is not accepted and names no destination. The trail holds what was found now, and nothing of before.
    """
    dialled = {number.destinations[name].extension for name in tried}
    left = tuple(
        destination
        for destination in hunt(number, asked)
        if destination.id not in tried and destination.extension not in dialled
    )
    if not left:
        line = f"overflow: none left after {', '.join(tried)}"
        return Decision(accepted=False, reason=Reason.NO_ANSWER, destination=None, trail=(line,))
    trail = [f"overflow: {left[0].id}, extension {left[0].extension}"]
    decision = _first_open(number, left, situation, Entry.REFER, trail)
    if decision.accepted:
        return decision
    return Decision(
        accepted=False,
        reason=decision.reason,
        destination=None,
        trail=decision.trail,
        retry_after_s=decision.retry_after_s,
        refusals=decision.refusals,
    )


def explain(text: str, number: AssignedNumber, routes: Routes, situation: Situation) -> dict[str, object]:
    """What would be decided if an operator asked for `text`, as `explain --json` and `/api/explain` give it."""
    try:
        target = parse_target(text, number.country)
    except TargetError as error:
        return explanation(unreadable(error))
    return explanation(decide(Request(target, number), routes, situation))


def unreadable(error: TargetError) -> Decision:
    """The refusal of a target that can't be read."""
    return Decision(accepted=False, reason=error.reason, destination=None, trail=(f"target: {error}",))


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
    }


def _first_open(
    number: AssignedNumber,
    candidates: tuple[Destination, ...],
    situation: Situation,
    entry: Entry,
    trail: list[str],
) -> Decision:
    """Try the gates of `candidates` (at least one) in order. The first one's refusal is the one that is told."""
    refusals: list[tuple[str, Reason]] = []
    retry_after_s: int | None = None
    for position, candidate in enumerate(candidates):
        if position:
            passed_over, why = refusals[-1]
            trail.append(f"overflow: {passed_over} is refused ({why}); next is {candidate.id}, {candidate.extension}")
        finding = _examine(candidate, number, situation, entry)
        trail += finding.lines
        if finding.reason is Reason.ACCEPTED:
            return Decision(
                accepted=True,
                reason=Reason.ACCEPTED,
                destination=candidate,
                trail=tuple(trail),
                refusals=tuple(refusals),
            )
        refusals.append((candidate.id, finding.reason))
        if not position and finding.retry_after is not None:
            retry_after_s = max(1, math.ceil(finding.retry_after.total_seconds()))
    return Decision(
        accepted=False,
        reason=refusals[0][1],
        destination=candidates[0],
        trail=tuple(trail),
        retry_after_s=retry_after_s,
        refusals=tuple(refusals),
    )


def _examine(destination: Destination, number: AssignedNumber, situation: Situation, entry: Entry) -> _Finding:
    """Take one destination through the steps of the gate, as far as it gets."""
    lines: list[str] = []
    for check in (
        _check_hours(destination, situation.now),
        _check_state(destination, situation.pbx(number.pbx), situation.now),
        _check_capacity(destination, situation.load, entry),
    ):
        lines += check.lines
        if check.reason is not Reason.ACCEPTED:
            return _Finding(check.reason, tuple(lines), check.retry_after)
    return _Finding(Reason.ACCEPTED, tuple(lines))


def _check_hours(destination: Destination, now: datetime) -> _Finding:
    if destination.hours is None:
        return _Finding(Reason.ACCEPTED, ("hours: always open",))
    found = opening(destination.hours, now)
    lines = (f"hours: {found.text}",)
    if found.open:
        return _Finding(Reason.ACCEPTED, lines)
    reason = Reason.HOLIDAY if found.holiday else Reason.OUTSIDE_HOURS
    return _Finding(reason, lines, found.changes_at - now if found.changes_at else None)


def _check_state(destination: Destination, pbx: PbxState, now: datetime) -> _Finding:
    asks_for = f"queue {destination.queue}" if destination.queue else f"extension {destination.extension}"
    if not pbx.fresh(now):
        return _unknown(destination, f"{asks_for}: state unknown, {_why_unknown(pbx, now)}")
    if destination.queue is None:
        return _check_extension(destination, pbx.extensions.get(destination.extension, DeviceState.UNKNOWN))
    queue = pbx.queues.get(destination.queue)
    if queue is None:
        return _unknown(destination, f"{asks_for}: state unknown, {pbx.pbx} says nothing of such a queue")
    return _check_queue(destination, queue)


def _why_unknown(pbx: PbxState, now: datetime) -> str:
    if pbx.proven_at is None:
        return pbx.unknown_because
    return f"{pbx.pbx} last spoke {(now - pbx.proven_at).total_seconds():.0f} s ago"


def _unknown(destination: Destination, line: str) -> _Finding:
    if destination.when_unknown is WhenUnknown.ALLOW:
        return _Finding(Reason.ACCEPTED, (f"{line}: allowed, as when_unknown says",))
    return _Finding(Reason.QUEUE_UNKNOWN, (f"{line}: refused, as when_unknown says",))


def _check_extension(destination: Destination, state: DeviceState) -> _Finding:
    line = f"extension {destination.extension}: {state.value}"
    match state:
        case DeviceState.UNKNOWN:
            return _unknown(destination, f"extension {destination.extension}: state unknown")
        case DeviceState.UNAVAILABLE:
            return _Finding(Reason.QUEUE_UNSTAFFED, (line,))
        case DeviceState.BUSY:
            return _Finding(Reason.AGENTS_BUSY, (line,))
        case DeviceState.IN_USE | DeviceState.ON_HOLD | DeviceState.RINGING if destination.min_available > 0:
            return _Finding(Reason.AGENTS_BUSY, (line,))
        case _:
            return _Finding(Reason.ACCEPTED, (line,))


def _check_queue(destination: Destination, queue: QueueState) -> _Finding:
    agents = f"queue {queue.name}: {queue.available} of {queue.logged_in} agents free, {queue.callers} waiting"
    if queue.logged_in == 0:
        return _Finding(Reason.QUEUE_UNSTAFFED, (f"queue {queue.name}: no agent is logged in",))
    if queue.paused >= queue.logged_in:  # logged in, as Asterisk counts, and not there to serve anybody
        line = f"queue {queue.name}: {queue.paused} of {queue.logged_in} agents are paused"
        return _Finding(Reason.QUEUE_UNSTAFFED, (line,))
    if queue.available < destination.min_available:
        return _Finding(Reason.AGENTS_BUSY, (f"{agents}; at least {destination.min_available} must be free",))
    if queue.max_len is not None and queue.callers >= queue.max_len:
        return _Finding(Reason.QUEUE_FULL, (f"{agents}; the PBX lets at most {queue.max_len} wait",))
    if queue.available > queue.callers:  # there is an agent for everybody who waits, and one for this caller
        return _Finding(Reason.ACCEPTED, (agents,))
    if destination.max_waiting is not None and queue.callers >= destination.max_waiting:
        return _Finding(Reason.QUEUE_FULL, (f"{agents}; at most {destination.max_waiting} may wait",))
    return _check_wait(destination, queue, agents)


def _check_wait(destination: Destination, queue: QueueState, agents: str) -> _Finding:
    if destination.max_wait is None:
        return _Finding(Reason.ACCEPTED, (agents,))
    limit = destination.max_wait.total_seconds()
    if queue.expected_wait_s is not None:
        line = f"wait: {queue.expected_wait_s:.0f} s expected, {limit:.0f} s allowed"
        too_long = queue.expected_wait_s - limit
    else:
        line = f"wait: expected wait unknown; the longest so far is {queue.longest_wait_s:.0f} s, {limit:.0f} s allowed"
        too_long = queue.longest_wait_s - limit
    if too_long > 0:
        return _Finding(Reason.WAIT_TOO_LONG, (agents, line), timedelta(seconds=too_long))
    return _Finding(Reason.ACCEPTED, (agents, line))


def _check_capacity(destination: Destination, load: Load, entry: Entry) -> _Finding:
    if load.draining:
        return _Finding(Reason.AT_CAPACITY, ("capacity: the gateway is stopping and takes no more",))
    if entry is Entry.INVITE and load.calls >= load.max_calls:
        line = f"capacity: the gateway carries {load.calls} calls, its limit"
        return _Finding(Reason.AT_CAPACITY, (line,), _RETRY_AT_CAPACITY)
    running, limit = load.per_destination.get(destination.id, 0), destination.max_concurrent
    if limit is not None and running >= limit:
        line = f"capacity: {destination.id} has {running} calls, its limit"
        return _Finding(Reason.AT_CAPACITY, (line,), _RETRY_AT_CAPACITY)
    own = f", {running} of {limit} at {destination.id}" if limit is not None else ""
    return _Finding(Reason.ACCEPTED, (f"capacity: {load.calls} of {load.max_calls} calls{own}",))
