# SPDX-License-Identifier: GPL-2.0-or-later
"""What a transfer is as a trace: a span for the whole of it, and one for each state that its record tells of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.core.record import TransferRecord

TRACEPARENT = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


@dataclass(frozen=True)
class Stretch:
    """A state of a transfer, and from when to when it was in it."""

    name: str
    begins: datetime
    ends: datetime


def stretches(record: TransferRecord) -> Iterator[Stretch]:
    """The states of a transfer that is over, in their order; of a hunt, those of the attempt that went furthest.

    `gate`, `dialling`, `ringing`, `answering` (whom it is that has answered), `whispering` (until the call is taken).
    """
    ended = record.ended_at or record.requested_at
    marks = [
        ("gate", record.requested_at),
        ("dialling", record.decided_at if record.attempts else None),
        ("ringing", record.ringing_at),
        ("answering", record.answered_at),
        ("whispering", record.whispered_at),
    ]
    known = sorted(((at, name) for name, at in marks if at is not None and at <= ended), key=lambda mark: mark[0])
    over = record.accepted_at or (record.human_at if record.whispered_at is None else None)
    for place, (begins, name) in enumerate(known):
        last = place + 1 == len(known)
        ends = ended if last else known[place + 1][0]
        if last and name != "gate" and over is not None and begins <= over <= ended:
            ends = over
        yield Stretch(name, begins, ends)


def attributes(record: TransferRecord) -> Mapping[str, str | int]:
    """What is told of a transfer: what became of it, and where; nobody's number, and nothing that was said."""
    told = {
        "transfer.id": record.transfer,
        "transfer.entry": record.entry.value,
        "transfer.number": record.number,
        "transfer.trunk": record.trunk,
        "transfer.pbx": record.pbx,
        "transfer.destination": record.destination,
        "transfer.outcome": record.outcome.value if record.outcome else None,
        "transfer.reason": record.reason.value if record.reason else None,
        "transfer.answered_by": record.answered_by.value if record.answered_by else None,
        "transfer.attempts": sum(bool(attempt.extension) for attempt in record.attempts),
        "sip.code": record.sip_code,
    }
    return {name: value for name, value in told.items() if value is not None}


def parent(record: TransferRecord) -> Mapping[str, str]:
    """The `traceparent` and `tracestate` that came with the request (W3C Trace Context); nothing, if they are unfit."""
    came = {name.lower(): value.strip() for name, value in record.context.items()}
    if not _FORM.fullmatch(came.get(TRACEPARENT, "")):
        return {}
    return {name: came[name] for name in (TRACEPARENT, "tracestate") if name in came}
