# SPDX-License-Identifier: GPL-2.0-or-later
"""Made-up events for the history, and a company's mixed days."""

import itertools
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ulid import ULID

from gateway.core.model import TransferId
from gateway.core.outcome import CallEnd, Outcome, Reason
from gateway.core.record import CallRecord, Milestone, TransferRecord
from gateway.report.cursors import StoredEvent
from gateway.report.event import call_event, transfer_event, write
from tests.report import samples

SEQ = itertools.count(1)


def told(milestone: Milestone, record: TransferRecord) -> StoredEvent:
    """The event of a transfer, as the journal holds it."""
    return stored(transfer_event("pbx-1", milestone, record, samples.START))


def call_over(record: CallRecord) -> StoredEvent:
    """The event of a call's end."""
    return stored(call_event("pbx-1", record, samples.START))


def stored(event: dict[str, Any]) -> StoredEvent:
    payload, odd = write(event)
    assert odd is None
    return StoredEvent(next(SEQ), str(event["id"]), "transfers/main-line", payload)


def whole(record: TransferRecord) -> list[StoredEvent]:
    """All events of a transfer that was asked for and has ended."""
    return [told(Milestone.REQUESTED, samples.requested(record.transfer)), told(Milestone.ENDED, record)]


def ended(n: int, reason: Reason = Reason.ANSWERED, *, at: datetime | None = None, **changes: Any) -> TransferRecord:
    """Transfer number n, asked for n seconds after the start."""
    begun = at or samples.after(n)
    record = replace(
        samples.completed(f"t{n:06}"),
        requested_at=begun,
        decided_at=begun,
        ringing_at=None,
        answered_at=begun + timedelta(seconds=4) if reason is Reason.ANSWERED else None,
        human_at=begun + timedelta(seconds=6) if reason is Reason.ANSWERED else None,
        ended_at=begun + timedelta(seconds=7),
        outcome=reason.outcome,
        reason=reason,
        sip_code=reason.sip_code,
    )
    return replace(record, **changes)


def over(n: int, reason: CallEnd = CallEnd.HUNG_UP, *, at: datetime | None = None, **changes: Any) -> CallRecord:
    """Call number n, begun n seconds after the start."""
    begun = at or samples.after(n)
    made = replace(
        samples.call(),
        call=f"c{n:06}",
        started_at=begun,
        connected_at=None,
        ended_at=begun,
        transfer=None,
        reason=reason,
    )
    return replace(made, **changes)


def mixed(count: int, seed: int = 7) -> list[TransferRecord]:
    """Transfers of every kind, some in the same millisecond."""
    chance = random.Random(seed)
    reasons = [reason for reason in Reason if reason is not Reason.ACCEPTED]
    made = []
    at = samples.START
    for _ in range(count):
        at += timedelta(milliseconds=chance.choice((0, 0, 1, 1000, 60_000)))
        reason = chance.choice((Reason.ANSWERED, Reason.ANSWERED, chance.choice(reasons)))
        number = chance.choice(("main-line", "shop", None))
        made.append(
            replace(
                ended(0, reason, at=at),
                transfer=TransferId(str(ULID())),
                number=number,
                destination=chance.choice(("sales", "support", "desk", None)) if number else None,
                caller=chance.choice(("+31201112222", "+31612345678", "2001", None)),
                trail=(
                    f"queue sales: {chance.randrange(3)} of 3 agents free",
                    chance.choice(("no agent", "zoë là", "")),
                ),
                fault="the PBX vanished" if chance.random() < 0.1 else None,
                returned_to_transferor=reason.outcome is Outcome.FAILED,
            )
        )
    return made
