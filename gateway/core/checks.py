# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of the gate for one destination: hours, state of the queue or extension, waiting, capacity."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.core.hours import opening
from gateway.core.model import Destination, DeviceState, Entry, Load, PbxState, QueueState, WhenUnknown
from gateway.core.outcome import Reason
from gateway.core.staffing import seen_by_caller

_RETRY_AT_CAPACITY = timedelta(seconds=10)
_IN_CONVERSATION = (DeviceState.IN_USE, DeviceState.ON_HOLD, DeviceState.RINGING)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found; reason ACCEPTED when the destination may be dialled as far as this goes."""

    reason: Reason
    lines: tuple[str, ...]
    retry_after: timedelta | None = None
    opens_at: datetime | None = None  # in the schedule's zone, when it is closed
    wait_s: float | None = None  # expected, when that is too long


def check_in_order(
    destination: Destination, pbx: PbxState, load: Load, entry: Entry, now: datetime
) -> Iterator[Finding]:
    """What each step finds; the next is taken when one is asked for it."""
    yield _check_hours(destination, now)
    yield _check_state(destination, pbx, now)
    if entry is Entry.CALLBACK:
        yield _check_free(destination, pbx, now)
    yield _check_capacity(destination, load, entry)


def _check_hours(destination: Destination, now: datetime) -> Finding:
    if destination.hours is None:
        return Finding(Reason.ACCEPTED, (f"hours: always open, for {destination.id}",))
    found = opening(destination.hours, now)
    lines = (f"hours: {found.text}, for {destination.id}",)
    if found.open:
        return Finding(Reason.ACCEPTED, lines)
    reason = Reason.HOLIDAY if found.holiday else Reason.OUTSIDE_HOURS
    opens_at = found.changes_at
    return Finding(reason, lines, opens_at - now if opens_at else None, opens_at)


def _check_state(destination: Destination, pbx: PbxState, now: datetime) -> Finding:
    if not pbx.fresh(now):
        return _unknown(destination, f"{_asks_for(destination, pbx)}: state unknown, {_why_unknown(pbx, now)}")
    if destination.group:
        return _check_group(destination, pbx)
    if destination.queue is None:
        return _check_extension(destination, pbx)
    queue = pbx.queues.get(destination.queue)
    if queue is None:
        why = _why_absent(pbx, "queue", destination.queue, f"{pbx.pbx} says nothing of such a queue")
        return _unknown(destination, f"{_asks_for(destination, pbx)}: state unknown, {why}")
    return _check_queue(destination, seen_by_caller(queue, destination.max_penalty, destination.wrap_up, now))


def _asks_for(destination: Destination, pbx: PbxState) -> str:
    """What is looked at, and whose word is taken for it where that is less than the PBX knows."""
    source = f" ({pbx.source})" if pbx.source.traits.named else ""
    if destination.queue is not None:
        return f"queue {destination.queue}{source}"
    return f"{'group' if destination.group else 'extension'} {destination.extension}{source}"


def _why_unknown(pbx: PbxState, now: datetime) -> str:
    if pbx.proven_at is None:
        return pbx.unknown_because
    return f"{pbx.pbx} last spoke {(now - pbx.proven_at).total_seconds():.0f} s ago"


def _why_absent(pbx: PbxState, kind: str, name: str, else_why: str) -> str:
    if (kind, name) in pbx.unsettled:
        return f"{pbx.pbx} has just started and does not see all its phones yet"
    return pbx.withheld.get((kind, name), else_why)


def _unknown(destination: Destination, line: str) -> Finding:
    if destination.when_unknown is WhenUnknown.ALLOW:
        return Finding(Reason.ACCEPTED, (f"{line}: allowed, as when_unknown says",))
    return Finding(Reason.QUEUE_UNKNOWN, (f"{line}: refused, as when_unknown says",))


def _check_extension(destination: Destination, pbx: PbxState) -> Finding:
    extension = destination.extension
    state = pbx.extensions.get(extension, DeviceState.UNKNOWN)
    line = f"{_asks_for(destination, pbx)}: {state.value}"
    match state:
        case DeviceState.UNKNOWN:
            why = _why_absent(pbx, "extension", extension, f"{pbx.pbx} says nothing of it")
            return _unknown(destination, f"{_asks_for(destination, pbx)}: state unknown, {why}")
        case DeviceState.UNAVAILABLE:
            return Finding(Reason.QUEUE_UNSTAFFED, (line,))
        case DeviceState.BUSY:
            return Finding(Reason.AGENTS_BUSY, (line,))
        case _ if state in _IN_CONVERSATION and destination.min_available > 0:
            return Finding(Reason.AGENTS_BUSY, (line,))
        case _:
            return Finding(Reason.ACCEPTED, (line,))


def phones_of(destination: Destination, pbx: PbxState) -> tuple[int, int, int]:
    """How many phones of a destination without a queue are there, are idle, and are of unknown state."""
    states = _states_of(destination, pbx)
    unknown = states[DeviceState.UNKNOWN]
    return states.total() - states[DeviceState.UNAVAILABLE] - unknown, states[DeviceState.IDLE], unknown


def _states_of(destination: Destination, pbx: PbxState) -> Counter[DeviceState]:
    return Counter(pbx.extensions.get(each, DeviceState.UNKNOWN) for each in destination.watched)


def _check_group(destination: Destination, pbx: PbxState) -> Finding:
    """Several phones ring together: each counts by itself, as the PBX's state of them all would hide who is free."""
    name = _asks_for(destination, pbx)
    states = _states_of(destination, pbx)
    there, free, _ = phones_of(destination, pbx)
    line = f"{name}: {free} of {there} phones free"
    if free >= max(destination.min_available, 1):
        return Finding(Reason.ACCEPTED, (line,))
    if unknown := states[DeviceState.UNKNOWN]:
        return _unknown(destination, f"{line}, {unknown} of unknown state")
    if not there:
        return Finding(Reason.QUEUE_UNSTAFFED, (f"{name}: none of {len(destination.group)} phones is there",))
    if destination.min_available > 0:
        return Finding(Reason.AGENTS_BUSY, (f"{line}; at least {destination.min_available} must be free",))
    if states[DeviceState.BUSY] == there:
        return Finding(Reason.AGENTS_BUSY, (line,))
    return Finding(Reason.ACCEPTED, (line,))


def _check_queue(destination: Destination, queue: QueueState) -> Finding:
    agents = f"queue {queue.name}: {queue.available} of {queue.logged_in} agents free, {queue.callers} waiting"
    if queue.logged_in == 0:
        limit = "" if destination.max_penalty is None else f" with a penalty of at most {destination.max_penalty}"
        return Finding(Reason.QUEUE_UNSTAFFED, (f"queue {queue.name}: no agent{limit} is logged in",))
    if queue.paused >= queue.logged_in:  # logged in, as Asterisk counts, and not there to serve anybody
        line = f"queue {queue.name}: {queue.paused} of {queue.logged_in} agents are paused"
        return Finding(Reason.QUEUE_UNSTAFFED, (line,))
    if queue.available < destination.min_available:
        return Finding(Reason.AGENTS_BUSY, (f"{agents}; at least {destination.min_available} must be free",))
    if queue.max_len is not None and queue.callers >= queue.max_len:
        return Finding(Reason.QUEUE_FULL, (f"{agents}; the PBX lets at most {queue.max_len} wait",))
    if queue.available > queue.ahead:  # there is an agent for everybody who waits, and one for this caller
        return Finding(Reason.ACCEPTED, (agents,))
    if destination.max_waiting is not None and queue.callers >= destination.max_waiting:
        return Finding(Reason.QUEUE_FULL, (f"{agents}; at most {destination.max_waiting} may wait",))
    return _check_wait(destination, queue, agents)


def _check_wait(destination: Destination, queue: QueueState, agents: str) -> Finding:
    if destination.max_wait is None:
        return Finding(Reason.ACCEPTED, (agents,))
    limit, expected = destination.max_wait.total_seconds(), queue.expected_wait_s
    waits = queue.longest_wait_s if expected is None else expected
    if expected is None:
        line = f"wait: expected wait unknown; the longest so far is {waits:.0f} s of {limit:.0f} s"
    else:
        line = f"wait: {waits:.0f} s expected, {limit:.0f} s allowed"
    if waits > limit:
        retry_after = timedelta(seconds=waits - limit)
        return Finding(Reason.WAIT_TOO_LONG, (agents, line), retry_after, wait_s=expected)
    if expected is None:
        found = _unknown(destination, line)
        return Finding(found.reason, (agents, *found.lines))
    return Finding(Reason.ACCEPTED, (agents, line))


def _check_free(destination: Destination, pbx: PbxState, now: datetime) -> Finding:
    """Whether somebody is free whom none of those who wait will be given: nobody waits for who is called back."""
    if not pbx.fresh(now):
        return Finding(Reason.ACCEPTED, ())
    if destination.queue is None:
        _, free, unknown = phones_of(destination, pbx)
        is_free = free + unknown > 0
    else:
        queue = pbx.queues.get(destination.queue)
        seen = seen_by_caller(queue, destination.max_penalty, destination.wrap_up, now) if queue else None
        is_free = seen is None or seen.available > seen.ahead
    if is_free:
        return Finding(Reason.ACCEPTED, ())
    return Finding(Reason.AGENTS_BUSY, ("call back: nobody is free whom no other caller waits for",))


def _check_capacity(destination: Destination, load: Load, entry: Entry) -> Finding:
    if load.draining:
        return Finding(Reason.AT_CAPACITY, ("capacity: the gateway is stopping and takes no more",))
    if load.exhausted:
        line = "capacity: the gateway has no ports or descriptors left"
        return Finding(Reason.AT_CAPACITY, (line,), _RETRY_AT_CAPACITY)
    if entry in (Entry.INVITE, Entry.CALLBACK) and load.calls >= load.max_calls:
        line = f"capacity: the gateway carries {load.calls} calls, its limit"
        return Finding(Reason.AT_CAPACITY, (line,), _RETRY_AT_CAPACITY)
    running, limit = load.per_destination.get(destination.id, 0), destination.max_concurrent
    if limit is not None and destination.max_concurrent_shared:
        return _check_shared(destination.id, running, limit, load)
    if limit is not None and running >= limit:
        line = f"capacity: {destination.id} has {running} calls, its limit"
        return Finding(Reason.AT_CAPACITY, (line,), _RETRY_AT_CAPACITY)
    own = f", {running} of {limit} at {destination.id}" if limit is not None else ""
    return Finding(Reason.ACCEPTED, (f"capacity: {load.calls} of {load.max_calls} calls{own}",))


def _check_shared(destination: str, here: int, limit: int, load: Load) -> Finding:
    """A limit over all gateways, each of which knows of the others what they said last."""
    gateways, there = load.elsewhere.gateways, load.elsewhere.running.get(destination, 0)
    total = here + there
    others = (
        f"{there} at {gateways} other gateway{'' if gateways == 1 else 's'}" if gateways else "no other is heard of"
    )
    if total >= limit:
        line = f"capacity: {destination} has about {total} calls, its limit is {limit}: {here} here, {others}"
        return Finding(Reason.AT_CAPACITY, (line,), _RETRY_AT_CAPACITY)
    line = f"capacity: {load.calls} of {load.max_calls} calls, about {total} of {limit} at {destination}"
    return Finding(Reason.ACCEPTED, (f"{line}: {here} here, {others}",))
