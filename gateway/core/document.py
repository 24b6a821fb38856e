# SPDX-License-Identifier: GPL-2.0-or-later
"""How a transfer, a call and a queue look from outside: the JSON that events, the HTTP API and the store share."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from gateway.core.model import Entry, FinalNotify, PbxState, TransferId
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Attempt, CallRecord, TransferRecord

T = TypeVar("T")

TRANSFER_ROLES = ("transferor", "transferee", "target")
CALL_SIDES = ("trunk", "pbx")


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond: `2026-03-01T09:30:00.123Z`. `at` must be aware."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def transfer_document(record: TransferRecord) -> dict[str, object]:
    """The data of `transfer.ended.v1`, as far as it is known: every field is there, null where nothing is known yet."""
    return {
        "transfer": record.transfer,
        "number": record.number,
        "trunk": record.trunk,
        "pbx": record.pbx,
        "entry": record.entry.value,
        "requested_target": _clean(record.requested_target),
        "destination": record.destination,
        "outcome": record.outcome and record.outcome.value,
        "reason": record.reason and record.reason.value,
        "sip_code": record.sip_code,
        "fault": _text(record.fault),
        "attempts": [_attempt_document(attempt) for attempt in record.attempts],
        "caller": _text(record.caller),
        "context": {_clean(name): _clean(value) for name, value in record.context.items()},
        "final_notify": record.final_notify and record.final_notify.value,
        "returned_to_transferor": record.returned_to_transferor,
        "requested_at": timestamp(record.requested_at),
        "decided_at": _time(record.decided_at),
        "ringing_at": _time(record.ringing_at),
        "answered_at": _time(record.answered_at),
        "human_at": _time(record.human_at),
        "ended_at": _time(record.ended_at),
        "talk_s": _seconds(record.talk_s),
        "trail": [_clean(line) for line in record.trail],
        "call_ids": {role: _text(record.call_ids.get(role)) for role in TRANSFER_ROLES},
        "locale": record.locale,
        "sentence": record.sentence,
    }


def transfer_record(document: Mapping[str, object]) -> TransferRecord:
    """The record that `transfer_document` made `document` from, with times to the millisecond.

    Raises KeyError, TypeError or ValueError when it is not such a document.
    """
    return TransferRecord(
        transfer=TransferId(_as_text(document["transfer"])),
        entry=Entry(_as_text(document["entry"])),
        requested_target=_as_text(document["requested_target"]),
        requested_at=datetime.fromisoformat(_as_text(document["requested_at"])),
        number=_as_optional_text(document["number"]),
        trunk=_as_optional_text(document["trunk"]),
        pbx=_as_optional_text(document["pbx"]),
        destination=_as_optional_text(document["destination"]),
        outcome=_as_member(Outcome, document["outcome"]),
        reason=_as_member(Reason, document["reason"]),
        sip_code=_as_optional_int(document["sip_code"]),
        fault=_as_optional_text(document["fault"]),
        attempts=tuple(_attempt(each) for each in _as_list(document["attempts"])),
        caller=_as_optional_text(document["caller"]),
        context=_as_texts(document["context"]),
        final_notify=_as_member(FinalNotify, document["final_notify"]),
        returned_to_transferor=document["returned_to_transferor"] is True,
        decided_at=_as_time(document["decided_at"]),
        ringing_at=_as_time(document["ringing_at"]),
        answered_at=_as_time(document["answered_at"]),
        human_at=_as_time(document["human_at"]),
        ended_at=_as_time(document["ended_at"]),
        talk_s=_as_seconds(document["talk_s"]),
        trail=tuple(_as_text(line) for line in _as_list(document["trail"])),
        call_ids=_as_texts(document["call_ids"]),
        # Later than the rest: a document that was stored before the gateway was renewed lacks them.
        locale=_as_text(document.get("locale", "en")),
        sentence=_as_optional_text(document.get("sentence")),
    )


def call_document(record: CallRecord) -> dict[str, object]:
    """The data of `call.ended.v1`, and one entry of `/api/calls`."""
    return {
        "call": record.call,
        "number": record.number,
        "trunk": record.trunk,
        "pbx": record.pbx,
        "transfer": record.transfer,
        "destination": record.destination,
        "caller": _text(record.caller),
        "started_at": timestamp(record.started_at),
        "connected_at": _time(record.connected_at),
        "ended_at": _time(record.ended_at),
        "talk_s": _seconds(record.talk_s),
        "hung_up_by": record.hung_up_by,
        "reason": record.reason,
        "call_ids": {side: _text(record.call_ids.get(side)) for side in CALL_SIDES},
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
        "proven_at": _time(state.proven_at),
        "logged_in": found and found.logged_in,
        "available": found and found.available,
        "busy": found and found.busy,
        "paused": found and found.paused,
        "callers": found and found.callers,
        "max_callers": found and found.max_len,
        "longest_wait_s": _seconds(found.longest_wait_s if found else None),
        "expected_wait_s": _seconds(found.expected_wait_s if found else None),
        "mean_talk_s": _seconds(found.mean_talk_s if found else None),
    }


def _why_not_fresh(state: PbxState) -> str:
    if state.proven_at is None:
        return state.unknown_because
    return f"nothing was heard of the PBX for more than {state.max_age.total_seconds():g} s"


def _attempt_document(attempt: Attempt) -> dict[str, object]:
    return {
        "destination": attempt.destination,
        "extension": attempt.extension,
        "reason": attempt.reason and attempt.reason.value,
        "sip_code": attempt.sip_code,
    }


def _attempt(document: object) -> Attempt:
    if not isinstance(document, Mapping):
        raise TypeError(f"an attempt must be an object, not {document!r}")
    return Attempt(
        destination=_as_text(document["destination"]),
        extension=_as_text(document["extension"]),
        reason=_as_member(Reason, document["reason"]),
        sip_code=_as_optional_int(document["sip_code"]),
    )


def _clean(text: str) -> str:
    # What came over the wire may hold bytes that were no UTF-8; a lone surrogate can't be written as JSON.
    return text.encode("utf-8", "replace").decode()


def _text(text: str | None) -> str | None:
    return None if text is None else _clean(text)


def _time(at: datetime | None) -> str | None:
    return None if at is None else timestamp(at)


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a string was expected, not {value!r}")
    return value


def _as_member(kind: Callable[[str], T], value: object) -> T | None:
    return None if value is None else kind(_as_text(value))


def _as_optional_text(value: object) -> str | None:
    return None if value is None else _as_text(value)


def _as_optional_int(value: object) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"a whole number was expected, not {value!r}")
    return value


def _as_seconds(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError(f"a number of seconds was expected, not {value!r}")
    return float(value)


def _as_time(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(_as_text(value))


def _as_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {value!r}")
    return value


def _as_texts(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError(f"an object was expected, not {value!r}")
    return {_as_text(name): _as_text(text) for name, text in value.items() if text is not None}
