# SPDX-License-Identifier: GPL-2.0-or-later
"""The form in which records are published: models made of the core's dataclasses, for events, HTTP and their schemas.

A field that a record has is in the published form too, with the words that stand beside its type there.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from gateway.core.model import TransferId
from gateway.core.outcome import Outcome, Reason
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
from gateway.core.state_sources import StateSource

Timestamp = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        json_schema_extra={"format": "date-time"},
        description="RFC 3339, UTC, to the millisecond",
    ),
]
LONGEST_ID = 64  # characters
Ulid = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, description="a ULID")]
SipCode = Annotated[int, Field(ge=100, le=699)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Published(BaseModel):
    """What leaves the gateway: nothing that is not declared, but a reader must bear a field that is added later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_enum_values=True, json_schema_extra={"additionalProperties": True}
    )


class TransferCallIds(Published):
    """The SIP Call-ID of each leg of a transfer, null where there is or was none."""

    transferor: str | None
    transferee: str | None
    target: str | None


class CallCallIds(Published):
    """The SIP Call-ID of each side of a call."""

    trunk: str | None
    pbx: str | None


class LegMediaData(Published):
    """The audio of one leg of a call, as RTP and RTCP tell of it (RFC 3550 §6.4)."""

    side: Literal["trunk", "pbx"] = Field(description="where the leg leads")
    call_id: str | None = Field(description="the leg's SIP Call-ID")
    packets_received: Count
    packets_lost: int = Field(description="sent to us, and not come")
    packets_discarded: Count = Field(description="come, and of no use: too late, or twice")
    jitter_ms: Seconds = Field(description="the mean of the interarrival jitter, in milliseconds")
    jitter_max_ms: Seconds
    packets_sent: Count
    packets_sent_lost: int | None = Field(description="sent, and not come; null: that side reports nothing")
    round_trip_ms: Seconds | None = Field(description="null: nothing to measure it by")
    mos: Annotated[float, Field(ge=1, le=5)] | None = Field(
        description="mean opinion score, estimated by the E-model of ITU-T G.107 as for G.711; null: nothing came"
    )


def _data(name: str, record: type, **changes: Any) -> type[BaseModel]:
    """The published form of a record: a model with the record's fields, and the words beside their types."""
    declared = get_type_hints(record, include_extras=True)
    held: dict[str, Any] = {each.name: (_published(declared[each.name]), ...) for each in fields(record)}
    return create_model(name, __base__=Published, __doc__=record.__doc__, **held | changes)


def _published(declared: Any) -> Any:
    """How a type of a record is published."""
    if declared in _PUBLISHED:
        return _PUBLISHED[declared]
    kind, parts = get_origin(declared), get_args(declared)
    if kind is Annotated:
        words = Field(description=parts[1])
        return Annotated[_published(parts[0]), words]
    if kind is UnionType or kind is Union:
        return reduce(or_, map(_published, parts))
    if kind is tuple:
        return list[_published(parts[0])]  # type: ignore[misc]  # mypy takes it for a type of ours
    if kind is Mapping:
        return dict[_published(parts[0]), _published(parts[1])]  # type: ignore[misc]
    return declared


_PUBLISHED: dict[Any, Any] = {datetime: Timestamp, TransferId: Ulid, float: Seconds, int: SipCode}
_PUBLISHED |= {Attempt: _data("AttemptData", Attempt), LegMedia: LegMediaData}
_PUBLISHED |= {
    PlatformView: _data("PlatformViewData", PlatformView, candidates=(Count, ...)),
    JoinedTransfer: _data("JoinedTransferData", JoinedTransfer, candidates=(Count, ...)),
    JoinedCall: _data("JoinedCallData", JoinedCall, candidates=(Count, ...)),
}

_CALLER_CALLS = Field(description="how often the caller was called back; null: that was not asked for")
TransferData = _data(
    "TransferData",
    TransferRecord,
    call_ids=(TransferCallIds, ...),
    caller_calls=(Annotated[Count | None, _CALLER_CALLS], ...),
)
EndedTransferData = create_model(
    "EndedTransferData",
    __base__=TransferData,
    __doc__="""A transfer that is over: it has exactly one outcome.""",
    outcome=(Outcome, ...),
    reason=(Reason, ...),
    sip_code=(SipCode, ...),
    ended_at=(Timestamp, ...),
)
OpenCallData = _data("OpenCallData", CallRecord, call_ids=(CallCallIds, ...))
CallData = create_model("CallData", __base__=OpenCallData, __doc__=CallRecord.__doc__, ended_at=(Timestamp, ...))


PlatformCallData = _data(
    "PlatformCallData",
    PlatformCallRecord,
    clock_off_s=(
        Annotated[
            float | None,
            Field(description="how much later than it says a report came; null: no more than times are compared by"),
        ],
        ...,
    ),
)


class QueueData(Published):
    """What is known of a queue; where `known` is false every count is null, which is neither 0 nor the last one."""

    pbx: str
    queue: str
    source: StateSource = Field(description="what tells of the PBX's state")
    known: bool
    unknown_because: str | None
    proven_at: Timestamp | None = Field(description="when the PBX last proved that it is alive")
    logged_in: Count | None
    available: Count | None
    busy: Count | None
    paused: Count | None
    callers: Count | None = Field(description="who wait in the queue")
    max_callers: Count | None = Field(description="the PBX's own limit; 0: none")
    longest_wait_s: Seconds | None
    expected_wait_s: Seconds | None
    mean_talk_s: Seconds | None


class AvailabilityOfPbx(Published):
    """What the gateway knows of the PBX, and how fresh that is."""

    pbx: str
    source: StateSource = Field(description="what tells of the PBX's state")
    known: bool
    unknown_because: str | None
    proven_at: Timestamp | None = Field(description="when the PBX last proved that it is alive")
    age_s: Seconds | None = Field(description="how long ago that was")


class DestinationAvailability(Published):
    """What the gate would say of one destination; counts are null where the PBX does not tell."""

    destination: str = Field(description="its id")
    name: str = Field(description="what callers know it by")
    number: str | None = Field(description="what the assistant is told, in E.164")
    description: str
    available: bool = Field(description="a transfer would be accepted now")
    leads_to: str | None = Field(description="id of what would be dialled: this one, or its overflow; null: refused")
    reason: Reason = Field(description="`accepted`, or why not")
    sip_code: SipCode
    sentence: str | None = Field(description="why not, as the caller may be told it; null: it is available")
    open: bool = Field(description="within its hours")
    holiday: str | None = Field(description="what closes it on a day on which it would be open")
    opens_at: Timestamp | None = Field(description="when again; null: it is open, or no opening is in sight")
    closes_at: Timestamp | None = Field(description="null: it is closed, or always open")
    known: bool = Field(description="the PBX tells who is there")
    agents_logged_in: Count | None = Field(description="agents of its queue, or phones, that are there")
    agents_available: Count | None = Field(description="… and that could take a call now")
    agents_paused: Count | None
    callers_waiting: Count | None = Field(description="in its queue; null: it has none")
    expected_wait_s: Seconds | None = Field(description="of one more caller; null: unknown")


class AvailabilityData(Published):
    """Whether a transfer of this number's callers would be accepted now, by destination."""

    number: str = Field(description="id of the assigned number")
    called: str = Field(description="the assigned number, in E.164")
    locale: str = Field(description="language of the sentences, ISO 639-1")
    at: Timestamp = Field(description="when this was so")
    pbx: AvailabilityOfPbx
    destinations: list[DestinationAvailability]


class StatusData(Published):
    """Whether the gateway is there. `offline` is also the will, and has no `at` then."""

    state: Literal["online", "draining", "offline"]
    instance: str
    version: str
    reason: str | None = None
    at: Timestamp | None = None


class ChainData(Published):
    """The newest line of the chain of outcomes, for whoever is to know later that none was taken out of it."""

    n: int = Field(ge=1, description="number of the line; it counts on, and begins at 1 where a history is begun anew")
    hash: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256, as `report --verify --head N:HASH` takes it")
    at: Timestamp = Field(description="when the gateway has looked")


class ErrorData(Published):
    """Why something was not done: a slug for programs, a sentence for people."""

    code: str
    message: str
