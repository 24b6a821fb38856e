# SPDX-License-Identifier: GPL-2.0-or-later
"""A number with a queue behind it, and what the gate says of requests for it."""

from datetime import UTC, datetime, time

from gateway.core.gate import Request, Situation, decide
from gateway.core.hours import Schedule
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
)
from gateway.core.numbers import parse_target
from gateway.core.routing import Routes
from gateway.core.state_sources import StateSource

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
OFFICE = Schedule("office", UTC, dict.fromkeys(range(5), ((time(9), time(17, 30)),)))
SALES = Destination(id="sales", extension="6500", number="+31612345678", queue="sales", hours=OFFICE)
TRUNK = Peer("hms", PeerKind.TRUNK)


def line(*destinations: Destination) -> AssignedNumber:
    """The assigned number with these destinations."""
    return AssignedNumber("main-line", "+31201234567", "hms", "asterisk", {each.id: each for each in destinations})


def pbx(
    *queues: QueueState, extensions: dict[str, DeviceState] | None = None, proven_at: datetime | None = NOW
) -> PbxState:
    """The state of the PBX."""
    return PbxState(
        "asterisk", StateSource.AMI, proven_at, queues={each.name: each for each in queues}, extensions=extensions or {}
    )


def queue(name: str = "sales", logged_in: int = 3, available: int = 2, callers: int = 0) -> QueueState:
    """A queue, staffed unless told otherwise."""
    return QueueState(name, logged_in=logged_in, available=available, callers=callers)


def gate(
    *destinations: Destination,
    state: PbxState | None = None,
    now: datetime = NOW,
    load: Load | None = None,
    target: str | None = None,
    entry: Entry = Entry.REFER,
    peer: Peer | None = TRUNK,
) -> Decision:
    """What the gate says of a request for the first of these destinations, or for `target`."""
    number = line(*destinations)
    situation = Situation(now, load or Load(), {"asterisk": state} if state else {})
    request = Request(parse_target(target or destinations[0].id, "NL"), number, peer, entry)
    return decide(request, Routes([number]), situation)
