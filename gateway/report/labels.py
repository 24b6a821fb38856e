# SPDX-License-Identifier: GPL-2.0-or-later
"""Which label values the metrics can have: all are from the configuration or from a fixed list."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.core.model import Entry
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import TransferRecord

UNKNOWN = "unknown"  # stands for a number or destination that is none of ours
MILESTONES = ("requested", "accepted", "ringing", "answered", "human")
AGENT_STATES = ("logged_in", "available", "busy", "paused")

# Reasons that are found before a destination is known: only these occur with destination "unknown".
_UNROUTED = (
    Reason.BAD_REQUEST,
    Reason.PEER_NOT_ALLOWED,
    Reason.FORBIDDEN_TARGET,
    Reason.UNKNOWN_DESTINATION,
    Reason.NOT_ASSIGNED,
    Reason.UNSUPPORTED_EXTENSION,
    Reason.NOT_BRIDGED,
)
# … and these with either.
_ANYWHERE = (
    Reason.TRANSFER_PENDING,
    Reason.AT_CAPACITY,
    Reason.CALLER_HUNG_UP,
    Reason.GATEWAY_STOPPED,
    Reason.GATEWAY_ERROR,
)
# … and these with an attended transfer, whose destination is that of the call consulted on, if it has one.
_ATTENDED_UNROUTED = (
    Reason.ANSWERED,
    Reason.NO_SUCH_DIALOG,
    Reason.DIALOG_ENDED,
    Reason.DIALOG_NOT_EARLY,
    Reason.PBX_ERROR,
)
_ATTENDED_ROUTED = (Reason.NOT_BRIDGED, Reason.BAD_REQUEST)
# … these with a transfer that was asked for, but for those that never become one.
_NO_TRANSFER = (Reason.ACCEPTED, Reason.TRUNK_AT_CAPACITY)
# … these with call backs alone, and those that such a one can have too.
_OF_CALLBACKS = (Reason.CALLER_WITHHELD, Reason.CALLER_UNREACHABLE, Reason.EXPIRED, Reason.CLOSED)
_CALLBACK_ROUTED = (
    *_OF_CALLBACKS,
    Reason.ANSWERED,
    Reason.FORBIDDEN_TARGET,
    Reason.OUTSIDE_HOURS,
    Reason.TRANSFER_PENDING,
    Reason.AT_CAPACITY,
    Reason.NO_ANSWER,
    Reason.CALLER_HUNG_UP,
    Reason.CANCELLED,
    Reason.GATEWAY_ERROR,
)
_CALLBACK_UNROUTED = (Reason.UNKNOWN_DESTINATION, Reason.CANCELLED)
# … and this one with a REFER alone, whose sender has a deadline.
_OF_REFERS = (Reason.PLACE_KEPT,)
_ROUTED = tuple(reason for reason in Reason if reason not in (*_UNROUTED, *_NO_TRANSFER, *_OF_CALLBACKS, *_OF_REFERS))


@dataclass(frozen=True, slots=True)
class Plan:
    """What the configuration holds, as far as it becomes labels; all are ids."""

    numbers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # assigned number -> its destinations
    queues: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # PBX -> the queues that are looked at
    trunks: tuple[str, ...] = ()
    called_back: frozenset[tuple[str, str]] = frozenset()  # numbers and destinations whose callers may be
    unasked: frozenset[str] = frozenset()  # trunks of which nothing tells whether they are there


def transfer_labels(plan: Plan) -> Iterator[tuple[str, str, str, str, str]]:
    """What `transfers_total` can count: number, entry, destination, outcome, reason."""
    for number, destinations in (*plan.numbers.items(), (UNKNOWN, ())):
        for entry in Entry:
            for destination in (*destinations, UNKNOWN):
                for reason in _reasons(entry, destination, may_call_back=(number, destination) in plan.called_back):
                    yield number, entry.value, destination, reason.outcome.value, reason.value


def _reasons(entry: Entry, destination: str, *, may_call_back: bool) -> tuple[Reason, ...]:
    if entry is Entry.CALLBACK:
        if destination == UNKNOWN:
            return _CALLBACK_UNROUTED
        return _CALLBACK_ROUTED if may_call_back else ()  # that it is refused there is counted when it is
    attended = entry is Entry.REFER
    if destination == UNKNOWN:
        return (*_UNROUTED, *_ANYWHERE, *(_ATTENDED_UNROUTED if attended else ()))
    return (*_ROUTED, *((*_ATTENDED_ROUTED, *_OF_REFERS) if attended else ()))


def milestone_labels(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """What `transfer_milestones_total` can count: number, destination, milestone."""
    for number, destinations in (*plan.numbers.items(), (UNKNOWN, ())):
        for destination in (*destinations, UNKNOWN):
            for milestone in MILESTONES:
                yield number, destination, milestone


def milestones(record: TransferRecord) -> tuple[str, ...]:
    """How far a transfer came that has ended: its last milestone and all before it, for not every PBX says 180."""
    times = (record.ringing_at, record.answered_at, record.human_at)
    last = max((place for place, at in enumerate(times, 3) if at is not None), default=1)
    if last == 1 and record.outcome is not Outcome.REFUSED:
        last = 2
    return MILESTONES[:last]


def decision_labels(destination: str) -> Iterator[tuple[str, str]]:
    """What the gate can say of a destination: decision, reason."""
    if destination != UNKNOWN:
        yield decision_label(True), Reason.ACCEPTED.value
    for reason in (*_UNROUTED, Reason.AT_CAPACITY) if destination == UNKNOWN else _ROUTED:
        if reason.outcome is Outcome.REFUSED:
            yield decision_label(False), reason.value


def decision_label(accepted: bool) -> str:
    """The gate's decision as a label."""
    return "accept" if accepted else "refuse"


def all_destinations(plan: Plan) -> set[str]:
    """The destinations of all numbers."""
    return {destination for destinations in plan.numbers.values() for destination in destinations}


def is_configured(plan: Plan, number: str, destination: str) -> bool:
    """Whether the two still go together."""
    if number != UNKNOWN and number not in plan.numbers:
        return False
    return destination in (*plan.numbers.get(number, ()), UNKNOWN)


def singles(values: Iterable[str]) -> set[tuple[str, ...]]:
    """Each value as the one label of a series."""
    return {(value,) for value in values}


def with_states(queues: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Each queue with each state that its agents are counted in."""
    return {(*queue, state) for queue in queues for state in AGENT_STATES}


def queue_labels(plan: Plan) -> Iterator[tuple[str, ...]]:
    """PBX and queue of each queue."""
    for pbx, queues in plan.queues.items():
        for queue in queues:
            yield pbx, queue
