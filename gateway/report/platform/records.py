# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told of a platform's call, made of what is held: its record, the word in others' records, and back again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gateway.core.model import TransferId
from gateway.core.platform_calls import MatchedBy, PlatformCall, judged, of_one
from gateway.core.record import JoinedCall, JoinedTransfer, PlatformCallRecord, PlatformView
from gateway.report.history.callers import is_full
from gateway.report.platform.held import Known, Mine, OurCalls, PlatformsCalls

_TIMES = ("began_at", "ended_at", "heard_at", "over_at", "reported_at")
_SECONDS = ("duration_s", "clock_off_s")


def view_of(fits: Mapping[str, MatchedBy], calls: PlatformsCalls) -> PlatformView | None:
    """What the platform says of the call that something of ours belongs to which fits these; None: nothing."""
    by = of_one(fits)
    known = next((known for which in fits if (known := calls.get(which))), None)
    if by is None or known is None:
        return None
    call = known.call
    if by is MatchedBy.AMBIGUOUS:
        return PlatformView(platform=call.platform, call_id=None, matched_by=by, candidates=len(fits))
    return PlatformView(
        platform=call.platform,
        call_id=call.call_id,
        matched_by=by,
        status=call.status,
        ended_reason=call.ended_reason,
        error=call.error,
        ended_at=call.until,
    )


def record_of(known: Known, ours: OurCalls) -> PlatformCallRecord | None:
    """The record of a call that is over; None: it goes on."""
    call, told = known.call, known.last
    if call.reported_at is None:
        return None
    mine = [one for which in known.ours if (one := ours.get(which))]
    transfers, calls = _joined(sorted(mine, key=lambda one: one.order))
    if told is not None:
        # What was joined before, and is no longer in memory, stays joined.
        transfers = [one for one in told.transfers if ours.get(one.transfer) is None] + transfers
        calls = [one for one in told.calls if ours.get(one.call) is None] + calls
    promise = judged(
        call,
        came=any(one.matched_by is not MatchedBy.AMBIGUOUS for one in transfers),
        may_have_come=known.nameless or bool(transfers),
        settled=known.settled,
    )
    return PlatformCallRecord(
        id=known.id,
        platform=call.platform,
        call_id=call.call_id,
        number=call.number,
        caller=call.caller,
        status=call.status,
        ended_reason=call.ended_reason,
        error=call.error,
        started_at=call.since,
        ended_at=call.until,
        duration_s=call.duration_s,
        reported_at=call.reported_at,
        clock_off_s=call.clock_off_s if call.clock_is_off else None,
        promise=promise,
        promised_by=call.promised_by,
        transfers=tuple(transfers),
        calls=tuple(calls),
    )


def call_of(record: PlatformCallRecord, call_id: str, names: frozenset[str]) -> PlatformCall:
    """The call that a stored record tells of; `names` are those by which its caller is known."""
    return PlatformCall(
        platform=record.platform,
        call_id=call_id,
        number=record.number,
        caller=record.caller if is_full(record.caller) else None,
        names=names,
        status=record.status,
        over=True,
        ended_reason=record.ended_reason,
        error=record.error,
        began_at=record.started_at,
        ended_at=record.ended_at,
        duration_s=record.duration_s,
        over_at=record.ended_at,
        reported_at=record.reported_at,
        clock_off_s=record.clock_off_s or 0.0,  # a report that comes again comes late
        promised_by=record.promised_by,
    )


def as_stored(report: PlatformCall) -> PlatformCall:
    """The same as precisely as it is stored, so that what comes again after a kill is found to be the same."""
    exact = {name: getattr(report, name) for name in _TIMES}
    moments = {name: at.replace(microsecond=at.microsecond // 1000 * 1000) for name, at in exact.items() if at}
    seconds = {name: round(value, 3) for name in _SECONDS if (value := getattr(report, name)) is not None}
    return replace(report, **moments, **seconds)


def _joined(mine: Iterable[Mine]) -> tuple[list[JoinedTransfer], list[JoinedCall]]:
    transfers, calls = [], []
    for one in mine:
        by = of_one(one.fits)
        if by is None:
            continue
        if one.is_transfer:
            found = TransferId(one.ours.id)
            transfers.append(JoinedTransfer(transfer=found, matched_by=by, candidates=len(one.fits)))
        else:
            calls.append(JoinedCall(call=one.ours.id, matched_by=by, candidates=len(one.fits)))
    return transfers, calls
