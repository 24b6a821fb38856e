# SPDX-License-Identifier: GPL-2.0-or-later
"""The events that leave the gateway: CloudEvents 1.0 in structured JSON, and their JSON Schema."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from typing_extensions import TypedDict
from ulid import ULID

from gateway.core.json_form import call_document, timestamp, transfer_document
from gateway.core.model import TransferId
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Attempt, CallRecord, Milestone, TransferRecord

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

Timestamp = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        json_schema_extra={"format": "date-time"},
        description="RFC 3339, UTC, to the millisecond",
    ),
]
Ulid = Annotated[str, Field(min_length=1, max_length=64, description="a ULID")]
SipCode = Annotated[int, Field(ge=100, le=699)]


class _Model(BaseModel):
    # We send nothing that is not declared, but a consumer must bear a field that is added later.
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_enum_values=True, json_schema_extra={"additionalProperties": True}
    )


class TransferCallIds(_Model):
    """The SIP Call-ID of each leg of a transfer, null where there is or was none."""

    transferor: str | None
    transferee: str | None
    target: str | None


class CallCallIds(_Model):
    """The SIP Call-ID of each side of a call."""

    trunk: str | None
    pbx: str | None


def _data(name: str, record: type, **changes: Any) -> type[BaseModel]:
    """The published form of a record: a model with the record's fields, and the words beside their types."""
    declared = get_type_hints(record, include_extras=True)
    held: dict[str, Any] = {each.name: (_published(declared[each.name]), ...) for each in fields(record)}
    return create_model(name, __base__=_Model, __doc__=record.__doc__, **held | changes)


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


_PUBLISHED: dict[Any, Any] = {
    datetime: Timestamp,
    TransferId: Ulid,
    float: Annotated[float, Field(ge=0)],
    int: SipCode,
}
_PUBLISHED[Attempt] = _data("AttemptData", Attempt)

TransferData = _data("TransferData", TransferRecord, call_ids=(TransferCallIds, ...))
EndedTransferData = create_model(
    "EndedTransferData",
    __base__=TransferData,
    __doc__="""A transfer that is over: it has exactly one outcome.""",
    outcome=(Outcome, ...),
    reason=(Reason, ...),
    sip_code=(SipCode, ...),
    ended_at=(Timestamp, ...),
)
CallData = _data("CallData", CallRecord, call_ids=(CallCallIds, ...), ended_at=(Timestamp, ...))


class _Event(_Model):
    specversion: Literal["1.0"] = "1.0"
    id: Ulid = Field(description="unique: an event that arrives twice has the same id both times")
    source: Annotated[str, Field(pattern=r"^/transfer-gateway/[^/]+$")]


class TransferEvent(_Event):
    """A milestone of a transfer before its end."""

    type: Literal["transfer.requested.v1", "transfer.accepted.v1", "transfer.ringing.v1", "transfer.connected.v1"]
    time: Timestamp
    subject: Ulid = Field(description="the transfer's id")
    datacontenttype: Literal["application/json"] = "application/json"
    data: TransferData  # type: ignore[valid-type]  # made of the record, above


class TransferEndedEvent(_Event):
    """The end of a transfer, exactly one for each."""

    type: Literal["transfer.ended.v1"]
    time: Timestamp
    subject: Ulid = Field(description="the transfer's id")
    datacontenttype: Literal["application/json"] = "application/json"
    data: EndedTransferData  # type: ignore[valid-type]


class CallEndedEvent(_Event):
    """The end of a conversation."""

    type: Literal["call.ended.v1"]
    time: Timestamp
    subject: str = Field(description="the id of the transfer that made the call; without one, the call's id")
    datacontenttype: Literal["application/json"] = "application/json"
    data: CallData  # type: ignore[valid-type]


Event = Annotated[TransferEvent | TransferEndedEvent | CallEndedEvent, Field(discriminator="type")]
_EVENTS: TypeAdapter[TransferEvent | TransferEndedEvent | CallEndedEvent] = TypeAdapter(Event)


class _Told(TypedDict):
    data: TransferRecord


_TOLD = TypeAdapter(_Told)


def transfer_event(instance: str, milestone: Milestone, record: TransferRecord, now: datetime) -> dict[str, object]:
    """The event of one milestone, whatever the record holds; `now` is its time if the record has none."""
    moments = {
        Milestone.REQUESTED: record.requested_at,
        Milestone.ACCEPTED: record.decided_at,
        Milestone.RINGING: record.ringing_at,
        Milestone.CONNECTED: record.answered_at,
        Milestone.ENDED: record.ended_at,
    }
    return {
        "specversion": "1.0",
        "id": str(ULID()),
        "source": f"/transfer-gateway/{instance}",
        "type": f"transfer.{milestone}.v1",
        "time": timestamp(moments[milestone] or now),
        "subject": record.transfer,
        "datacontenttype": "application/json",
        "data": transfer_document(record),
    }


def call_event(instance: str, record: CallRecord, now: datetime) -> dict[str, object]:
    """The event of a call's end, whatever the record holds; `now` is its time if the record has none."""
    document = call_document(record)
    document["ended_at"] = document["ended_at"] or timestamp(now)
    return {
        "specversion": "1.0",
        "id": str(ULID()),
        "source": f"/transfer-gateway/{instance}",
        "type": "call.ended.v1",
        "time": document["ended_at"],
        "subject": record.transfer or record.call,
        "datacontenttype": "application/json",
        "data": document,
    }


def write(event: Mapping[str, object]) -> tuple[str, ValidationError | None]:
    """An event as JSON, and what about it is not as the schema says: it is worth more than none all the same."""
    try:
        return _EVENTS.validate_python(event).model_dump_json(), None
    except ValidationError as error:
        return json.dumps(event), error


def read_transfer(payload: str) -> TransferRecord:
    """The record of which an event tells, with times to the millisecond. Raises pydantic.ValidationError."""
    return _TOLD.validate_json(payload)["data"]


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of every event the gateway sends."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of the transfer gateway",
        **_EVENTS.json_schema(mode="serialization"),
    }
