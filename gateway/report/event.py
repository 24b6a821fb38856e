# SPDX-License-Identifier: GPL-2.0-or-later
"""The events that leave the gateway: CloudEvents 1.0 in structured JSON, and their JSON Schema."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict
from ulid import ULID

from gateway.core.event_types import (
    CALL_ENDED,
    PLATFORM_CALL,
    CallEndedType,
    EarlierType,
    PlatformCallType,
    TransferEndedType,
)
from gateway.core.json_form import call_document, platform_call_document, timestamp, transfer_document
from gateway.core.moment import can_be
from gateway.core.record import CallRecord, Milestone, PlatformCallRecord, PlatformView, TransferRecord
from gateway.documents import (
    CallData,
    EndedTransferData,
    PlatformCallData,
    Published,
    Timestamp,
    TransferData,
    Ulid,
)

_ULID_TIME_BYTES, _ULID_RANDOM_BYTES = 6, 10

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


class _Event(Published):
    specversion: Literal["1.0"] = "1.0"
    id: Ulid = Field(description="unique: an event that arrives twice has the same id both times")
    source: Annotated[str, Field(pattern=r"^/transfer-gateway/[^/]+$")]


class TransferEvent(_Event):
    """A milestone of a transfer before its end."""

    type: EarlierType
    time: Timestamp
    subject: Ulid = Field(description="the transfer's id")
    datacontenttype: Literal["application/json"] = "application/json"
    data: TransferData  # type: ignore[valid-type]  # made of the record, above


class TransferEndedEvent(_Event):
    """The end of a transfer, exactly one for each."""

    type: TransferEndedType
    time: Timestamp
    subject: Ulid = Field(description="the transfer's id")
    datacontenttype: Literal["application/json"] = "application/json"
    data: EndedTransferData  # type: ignore[valid-type]


class CallEndedEvent(_Event):
    """The end of a conversation."""

    type: CallEndedType
    time: Timestamp
    subject: str = Field(description="the id of the transfer that made the call; without one, the call's id")
    datacontenttype: Literal["application/json"] = "application/json"
    data: CallData  # type: ignore[valid-type]


class PlatformCallEvent(_Event):
    """A call of the voice platform is over, or more is known of one that is: the newest counts."""

    type: PlatformCallType
    time: Timestamp
    subject: str = Field(description="the `id` in its data")
    datacontenttype: Literal["application/json"] = "application/json"
    data: PlatformCallData  # type: ignore[valid-type]


Event = Annotated[TransferEvent | TransferEndedEvent | CallEndedEvent | PlatformCallEvent, Field(discriminator="type")]
_EVENTS: TypeAdapter[TransferEvent | TransferEndedEvent | CallEndedEvent | PlatformCallEvent] = TypeAdapter(Event)


_Record = TypeVar("_Record", TransferRecord, PlatformCallRecord)


def _with_times_that_can_be(record: _Record) -> _Record:
    if not all(map(can_be, _times(record))):
        raise ValueError("it has a time that none can be")
    return record


def _times(record: TransferRecord | PlatformCallRecord | PlatformView) -> Iterator[datetime]:
    for each in fields(record):
        value = getattr(record, each.name)
        if isinstance(value, datetime):
            yield value
        elif isinstance(value, PlatformView):
            yield from _times(value)


class _Told(TypedDict):
    data: Annotated[TransferRecord, AfterValidator(_with_times_that_can_be)]


class _ToldPlatformCall(TypedDict):
    data: Annotated[PlatformCallRecord, AfterValidator(_with_times_that_can_be)]


_TOLD = TypeAdapter(_Told)
_TOLD_PLATFORM_CALL = TypeAdapter(_ToldPlatformCall)


def transfer_event(
    instance: str, milestone: Milestone, record: TransferRecord, now: datetime, *, event_id: str | None = None
) -> dict[str, object]:
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
        "id": event_id or str(ULID()),
        "source": f"/transfer-gateway/{instance}",
        "type": f"transfer.{milestone}.v1",
        "time": timestamp(moments[milestone] or now),
        "subject": record.transfer,
        "datacontenttype": "application/json",
        "data": transfer_document(record),
    }


def interruption_id(instance: str, record: TransferRecord) -> str:
    """The id of the event that a transfer of a lost gateway was interrupted: the same, whichever gateway tells it."""
    said = hashlib.sha256(f"{instance}/{record.transfer}/interrupted".encode()).digest()[:_ULID_RANDOM_BYTES]
    return str(ULID(int(record.requested_at.timestamp() * 1000).to_bytes(_ULID_TIME_BYTES, "big") + said))


def call_event(instance: str, record: CallRecord, now: datetime) -> dict[str, object]:
    """The event of a call's end, whatever the record holds; `now` is its time if the record has none."""
    document = call_document(record)
    document["ended_at"] = document["ended_at"] or timestamp(now)
    return {
        "specversion": "1.0",
        "id": str(ULID()),
        "source": f"/transfer-gateway/{instance}",
        "type": CALL_ENDED,
        "time": document["ended_at"],
        "subject": record.transfer or record.call,
        "datacontenttype": "application/json",
        "data": document,
    }


def platform_call_event(instance: str, record: PlatformCallRecord, now: datetime) -> dict[str, object]:
    """The event of a call of the platform. What is known being the same, it has the same id, in another life too."""
    document = platform_call_document(record)
    said = json.dumps([instance, document], sort_keys=True).encode()
    moment = int(record.reported_at.timestamp() * 1000).to_bytes(_ULID_TIME_BYTES, "big")
    return {
        "specversion": "1.0",
        "id": str(ULID(moment + hashlib.sha256(said).digest()[:_ULID_RANDOM_BYTES])),
        "source": f"/transfer-gateway/{instance}",
        "type": PLATFORM_CALL,
        "time": timestamp(now),
        "subject": record.id,
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


def read_platform_call(payload: str) -> PlatformCallRecord:
    """The record of which an event tells. Raises pydantic.ValidationError."""
    return _TOLD_PLATFORM_CALL.validate_json(payload)["data"]


def event_id(payload: str) -> str:
    """The id of a stored event; empty where it has none (of a journal of version 1 the data alone is left)."""
    event = stored_event(payload)
    return str(event.get("id", "")) if event is not None else ""


def stored_event(payload: str) -> dict[str, Any] | None:
    """A stored event; None: it is none, as a disk may have it that was restored."""
    try:
        read = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of every event the gateway sends."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of the transfer gateway",
        **_EVENTS.json_schema(mode="serialization"),
    }
