# SPDX-License-Identifier: GPL-2.0-or-later
"""What a row of the history is made of, and the document that is made of a row.

`record` holds the data of the last event and the ids and times of all of them, as compressed JSON; the caller and the
id stand in columns of their own alone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeAlias

from gateway.core.outcome import CallEnd, Outcome
from gateway.core.platform_calls import Promise
from gateway.core.record import CallRecord, Milestone, PlatformCallRecord, TransferRecord
from gateway.report.history.keys import first_key

Id: TypeAlias = bytes | str
"""As it is stored: the 16 bytes of a ULID, or any other text as it is."""
Told: TypeAlias = tuple[str, str, str]
"""Id, type and time of an event."""
Document: TypeAlias = dict[str, Any]

TRANSFER, CALL, PLATFORM_CALL = "transfer", "call", "platform_call"
ID_FIELD = {TRANSFER: "transfer", CALL: "call", PLATFORM_CALL: "id"}
_RECORDS = {TRANSFER: TransferRecord, CALL: CallRecord, PLATFORM_CALL: PlatformCallRecord}
_FIELDS = {what: tuple(each.name for each in fields(record)) for what, record in _RECORDS.items()}
_MOMENTS = {TRANSFER: ("decided", "ringing", "answered", "human", "ended"), CALL: ("connected", "ended")}
_KIND_FIELDS = ("number", "trunk", "pbx", "entry", "destination", "outcome", "reason")
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, as ULIDs are written
_VALUES = {digit: value for value, digit in enumerate(_BASE32)}
_ORDER = {f"transfer.{milestone}.v1": place for place, milestone in enumerate(Milestone)}
_ULID_LENGTH, _ULID_BYTES = 26, 16

# What records have in common, the most common last (RFC 1950 §2.2). It is part of the stored form, and never changes:
# a better one gets a number of its own.
_COMMON = (
    b'"call_ids":{"trunk":"","pbx":null}"talk_s":null,"hung_up_by":"trunk""pbx""gateway","reason":"hung-up"'
    b'"started_at":"2026-"connected_at":"2026-"destination":"","rtp-timeout""peer-gone""too-long"'
    b'"call.ended.v1""locale":"nl","sentence":"Nobody is available at the moment.""reason":"agents-busy","sip_code":486'
    b'"reason":"queue-unstaffed","sip_code":480,"reason":"outside-hours","outcome":"refused","outcome":"abandoned"'
    b'"reason":"no-answer","outcome":"failed","reason":"caller-hung-up","sip_code":487"extension ""'
    b'" (dialog-info): idle"'
    b'{"events":[["01M","requested","2026-"],["01M","accepted","2026-"],["01M","ringing","2026-"],["01M",'
    b'"connected","2026-"],["01M","ended","2026-"]],"data":{"number":"main-line","trunk":"","pbx":"asterisk","entry":'
    b'"invite","entry":"command","entry":"refer","requested_target":"+31","destination":"sales","outcome":"completed",'
    b'"reason":"answered","sip_code":200,"fault":null,"attempts":[{"destination":"sales","extension":"6500",'
    b'"reason":"answered","sip_code":200}],"context":{"User-to-User":""},"final_notify":"on-answer",'
    b'"final_notify":null,"returned_to_transferor":false,"requested_at":"2026-01-01T00:00:00.000Z","decided_at":"2026-'
    b'","ringing_at":"2026-","answered_at":"2026-","human_at":"2026-","ended_at":"2026-","talk_s":null,"trail":["hours'
    b': office is open until 17:30","queue sales: 1 of 2 agents free, 0 waiting","capacity: 1 of 500 calls"],"call_ids'
    b'":{"transferor":"","transferee":"","target":""},"locale":"en","sentence":null}}'
)
_FORM = b"\x01"


@dataclass(frozen=True, slots=True)
class Row:
    """A transfer or a call that is over."""

    what: str  # TRANSFER, CALL or PLATFORM_CALL
    which: str  # its id
    begun: datetime
    kind: tuple[str, ...]  # values of _KIND_FIELDS; empty where there is none
    failed: bool  # it is kept for `failures_days`
    caller: str | None
    moments: Mapping[str, int | None]  # milliseconds since it began, by column
    data: Document
    events: tuple[Told, ...]


def read_row(data: Mapping[str, Any], events: Sequence[Told]) -> Row:
    """The row of a record, from the data of its last event. Raises KeyError, TypeError or ValueError."""
    what = PLATFORM_CALL if "promise" in data else TRANSFER if "requested_at" in data else CALL
    begun = _moment(begun_at(what, data) or "")
    which = data[ID_FIELD[what]]
    if not isinstance(which, str) or not which:
        raise TypeError("the record has no id")
    first_key(begun)
    return Row(
        what=what,
        which=which,
        begun=begun,
        kind=tuple(str(data.get(_kind_field(what, name)) or "") for name in _KIND_FIELDS),
        failed=_failed(what, data),
        caller=data.get("caller") or None,
        moments={f"{name}_ms": _since(begun, data.get(f"{name}_at")) for name in _MOMENTS.get(what, ())},
        data=dict(data),
        events=tuple(events),
    )


def begun_at(what: str, data: Mapping[str, Any]) -> str | None:
    """When it began, by which rows are in order. Raises KeyError."""
    if what == PLATFORM_CALL:
        begun: str | None = data["started_at"] or data["ended_at"] or data["reported_at"]
        return begun
    text: str | None = data["requested_at" if what == TRANSFER else "started_at"]
    return text


def _failed(what: str, data: Mapping[str, Any]) -> bool:
    match what:
        case "transfer":
            return bool(data["outcome"] != Outcome.COMPLETED)
        case "call":
            return data["reason"] not in {CallEnd.HUNG_UP, None}
    return data["promise"] in {Promise.BROKEN, Promise.UNCLEAR}


def _kind_field(what: str, name: str) -> str:
    """What stands in the column of this name; a platform's own words are no kind: they have no end."""
    if what != PLATFORM_CALL or name == "number":
        return name
    return "promise" if name == "outcome" else ""


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return moment


def _since(begun: datetime, text: str | None) -> int | None:
    return None if text is None else round((_moment(text) - begun).total_seconds() * 1000)


def in_order(events: Iterable[Told]) -> tuple[Told, ...]:
    """The events as they happened: several of them may have the same time."""
    return tuple(sorted(events, key=lambda told: (told[2], _ORDER.get(told[1], len(_ORDER)))))


def pack(row: Row) -> bytes:
    """The stored form of what stands in no column."""
    kept = {name: value for name, value in row.data.items() if name not in {ID_FIELD[row.what], "caller"}}
    return pack_record(kept, row.events)


def pack_record(data: Mapping[str, Any], events: Sequence[Sequence[str]]) -> bytes:
    """As `pack`, of the parts."""
    text = json.dumps({"events": events, "data": data}, separators=(",", ":"))
    packer = zlib.compressobj(6, wbits=-15, zdict=_COMMON)
    return _FORM + packer.compress(text.encode()) + packer.flush()


def unpack(record: bytes) -> tuple[Document, list[Told]]:
    """The data and the events of a stored record. Raises ValueError where it is none."""
    found = json.loads(_text(record))
    return found["data"], [(event, kind, time) for event, kind, time in found["events"]]


def may_have(record: bytes, words: Iterable[str]) -> bool:
    """Whether these words, in lower case, may be in a stored record: told in a quarter of the time that `unpack` takes.

    Raises ValueError as that does.
    """
    text = _text(record).lower()
    # What stands there as \\u00eb is looked for as an e.
    return b"\\u" in text or all(word.encode() in text for word in words)


def holds(record: bytes, marks: Iterable[bytes]) -> bool:
    """Whether any of these stands in the JSON of a stored record. Raises ValueError as `unpack` does."""
    text = _text(record)
    return any(mark in text for mark in marks)


def _text(record: bytes) -> bytes:
    if record[:1] != _FORM:
        raise ValueError(f"a record of form {record[:1]!r} is unknown")
    try:
        return zlib.decompressobj(wbits=-15, zdict=_COMMON).decompress(record[1:])
    except zlib.error as error:
        raise ValueError(f"the record is damaged: {error}") from error


def document(what: str, which: str, caller: str | None, data: Mapping[str, Any]) -> Document:
    """A record as the outside sees it: all fields, null where the release that stored it knew none of that name."""
    whole = {**data, ID_FIELD[what]: which, "caller": caller}
    return {name: whole.get(name) for name in _FIELDS[what]}


def trail_text(data: Mapping[str, Any]) -> str:
    """What is found by `text`: each check, and what went wrong. Part of the stored form: it never changes."""
    return "\n".join((*(data.get("trail") or ()), data.get("fault") or ""))


def stored_id(which: str) -> Id:
    """The id as it is stored."""
    if len(which) != _ULID_LENGTH or not set(which) <= set(_BASE32) or which[0] > "7":
        return which
    number = 0
    for digit in which:
        number = number << 5 | _VALUES[digit]
    return number.to_bytes(_ULID_BYTES, "big")


def read_id(stored: Id) -> str:
    """The id that is stored so."""
    if isinstance(stored, str):
        return stored
    number = int.from_bytes(stored, "big")
    return "".join(_BASE32[number >> 5 * place & 31] for place in reversed(range(_ULID_LENGTH)))
