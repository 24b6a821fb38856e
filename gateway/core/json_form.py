# SPDX-License-Identifier: GPL-2.0-or-later
"""How a transfer, a call and a queue look from outside: the JSON that events, the HTTP API and the store share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gateway.core.model import Entry, FinalNotify, PbxState
from gateway.core.open_call import OpenCall, OpenLeg
from gateway.core.outcome import CallEnd, Outcome, Reason
from gateway.core.platform_calls import MatchedBy, Promise, PromisedBy
from gateway.core.record import (
    Attempt,
    CallRecord,
    JoinedCall,
    JoinedTransfer,
    LegMedia,
    PlatformCallRecord,
    PlatformView,
    TransferRecord,
)

TRANSFER_ROLES = ("transferor", "transferee", "target")
CALL_SIDES = ("trunk", "pbx")
_PARTS = (Attempt, LegMedia, PlatformView, JoinedTransfer, JoinedCall)
_RECORDS = (TransferRecord, CallRecord, PlatformCallRecord)
_FIELDS = {kind: tuple(each.name for each in fields(kind)) for kind in (*_PARTS, *_RECORDS)}


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond: `2026-03-01T09:30:00.123Z`. `at` must be aware."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def transfer_document(record: TransferRecord) -> dict[str, object]:
    """The data of `transfer.ended.v1`, as far as it is known: every field is there, null where nothing is known yet."""
    return _document(record, TRANSFER_ROLES)


def call_document(record: CallRecord) -> dict[str, object]:
    """The data of `call.ended.v1`, and one entry of `/api/calls`."""
    return _document(record, CALL_SIDES)


def open_call_document(record: CallRecord, known: OpenCall | None) -> dict[str, object]:
    """One entry of `/api/calls` that is under way, with how it is at the moment."""
    way = known.way if known is not None else None
    document = call_document(record) | {
        "audio": None if way is None else {"path": way.path.value, "why": way.why.value}
    }
    if known is None:
        return document
    legs = [_leg_document(leg) for leg in known.legs]
    return document | {"state": known.state, "duration_s": _seconds(known.duration_s), "legs": legs}


def _leg_document(leg: OpenLeg) -> dict[str, object]:
    now = leg.condition
    return {
        "side": leg.side,
        "peer": leg.peer,
        "call_id": _json_form(leg.call_id),
        "state": now.state.value,
        "codec": now.codec,
        "encrypted": now.encrypted,
        "media_address": now.media_address,
        "rtp_age_s": None if now.rtp_age_s is None else round(now.rtp_age_s, 1),
    }


def platform_call_document(record: PlatformCallRecord) -> dict[str, object]:
    """The data of `platform.call.v1`, and one entry of `/api/platform-calls`."""
    return _fields(record)


def platform_view_document(view: PlatformView) -> dict[str, object]:
    """`platform` in the data of a transfer or call."""
    return _fields(view)


def _document(record: TransferRecord | CallRecord, legs: tuple[str, ...]) -> dict[str, object]:
    document = {name: _json_form(getattr(record, name)) for name in _FIELDS[type(record)]}
    return document | {"call_ids": {leg: _json_form(record.call_ids.get(leg)) for leg in legs}}


def _json_form(value: Any) -> Any:
    # By the exact type, which takes a fraction of the time that patterns do: every event passes here.
    form = _FORMS.get(type(value)) or next((form for kind, form in _FORMS.items() if isinstance(value, kind)), None)
    if form is None:
        raise TypeError(f"{value!r} has no form in JSON")
    return form(value)


def _as_it_is(value: Any) -> Any:
    return value


def _text(text: str) -> str:
    # What came over the wire may hold bytes that were no UTF-8; a lone surrogate can't be written as JSON.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _member(member: StrEnum) -> str:
    return member.value


def _seconds(seconds: float) -> float:
    return round(seconds, 3)


def _list(parts: Sequence[object]) -> list[Any]:
    return [_json_form(part) for part in parts]


def _object(mapping: Mapping[str, object]) -> dict[str, Any]:
    return {_text(name): _json_form(value) for name, value in mapping.items()}


def _fields(part: Any) -> dict[str, Any]:
    return {name: _json_form(getattr(part, name)) for name in _FIELDS[type(part)]}


_FORMS: dict[Any, Callable[[Any], Any]] = {
    **dict.fromkeys((type(None), bool, int), _as_it_is),
    **dict.fromkeys((Entry, FinalNotify, Outcome, Reason, CallEnd, MatchedBy, Promise, PromisedBy), _member),
    str: _text,
    float: _seconds,
    datetime: timestamp,
    tuple: _list,
    list: _list,
    dict: _object,
    Mapping: _object,
    **dict.fromkeys(_PARTS, _fields),
}


def queue_document(state: PbxState, queue: str, now: datetime) -> dict[str, object]:
    """One queue at `now`; `known` false, and every count null, when the PBX did not tell or its word is too old."""
    fresh = state.fresh(now)
    found = state.queues.get(queue) if fresh else None
    why: str | None = None
    if found is None:
        unsettled = ("queue", queue) in state.unsettled
        none = state.withheld.get(("queue", queue), f"the PBX has no queue {queue}")
        none = "the PBX has just started" if unsettled else none
        why = none if fresh else _why_not_fresh(state)
    return {
        "pbx": state.pbx,
        "queue": queue,
        "source": state.source,
        "known": found is not None,
        "unknown_because": why,
        "proven_at": _json_form(state.proven_at),
        "logged_in": found and found.logged_in,
        "available": found and found.available,
        "busy": found and found.busy,
        "paused": found and found.paused,
        "callers": found and found.callers,
        "max_callers": found and found.max_len,
        "longest_wait_s": _json_form(found.longest_wait_s if found else None),
        "expected_wait_s": _json_form(found.expected_wait_s if found else None),
        "mean_talk_s": _json_form(found.mean_talk_s if found else None),
    }


def _why_not_fresh(state: PbxState) -> str:
    if state.proven_at is None:
        return state.unknown_because
    return f"nothing was heard of the PBX for more than {state.max_age.total_seconds():g} s"
