# SPDX-License-Identifier: GPL-2.0-or-later
"""The events that leave the gateway: CloudEvents 1.0 in structured JSON, and their JSON Schema."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from ulid import ULID

from gateway.core.document import call_document, timestamp, transfer_document
from gateway.core.model import Entry, FinalNotify
from gateway.core.outcome import CallEnd, Outcome, Reason
from gateway.core.record import CallRecord, Milestone, TransferRecord

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


class AttemptData(_Model):
    """One destination that was tried; `reason` null while it is under way."""

    destination: str
    extension: str
    reason: Reason | None
    sip_code: SipCode | None


class TransferCallIds(_Model):
    """The SIP Call-ID of each leg of a transfer, null where there is or was none."""

    transferor: str | None
    transferee: str | None
    target: str | None


class TransferData(_Model):
    """A transfer as far as it is known at the time of the event."""

    transfer: Ulid
    number: str | None = Field(description="id of the assigned number; null: the request belongs to none")
    trunk: str | None
    pbx: str | None
    entry: Entry
    requested_target: str = Field(description="what was asked for, as it was asked for")
    destination: str | None = Field(description="the destination that answered, or was tried last")
    outcome: Outcome | None = Field(description="null while the transfer runs")
    reason: Reason | None
    sip_code: SipCode | None
    fault: str | None = Field(description="what went wrong in words, when something outside the rules did")
    attempts: list[AttemptData]
    caller: str | None = Field(description="E.164 where it can be told")
    context: dict[str, str] = Field(description="headers that travelled with the request")
    final_notify: FinalNotify | None = Field(description="null: the request has no NOTIFY")
    returned_to_transferor: bool
    requested_at: Timestamp
    decided_at: Timestamp | None
    ringing_at: Timestamp | None
    answered_at: Timestamp | None = Field(description="the PBX answered")
    human_at: Timestamp | None = Field(description="a human answered, as the PBX tells")
    ended_at: Timestamp | None
    talk_s: Annotated[float, Field(ge=0)] | None
    trail: list[str] = Field(description="each check, and what it found")
    call_ids: TransferCallIds
    locale: str = Field(description="the caller's language, ISO 639-1")
    sentence: str | None = Field(description="why the caller was not put through, as it may be told; null: nothing is")


class EndedTransferData(TransferData):
    """A transfer that is over: it has exactly one outcome."""

    outcome: Outcome
    reason: Reason
    sip_code: SipCode
    ended_at: Timestamp


class CallCallIds(_Model):
    """The SIP Call-ID of each side of a call."""

    trunk: str | None
    pbx: str | None


class CallData(_Model):
    """A call that is over."""

    call: str
    number: str | None
    trunk: str | None
    pbx: str | None
    transfer: Ulid | None = Field(description="the transfer that made this call")
    destination: str | None
    caller: str | None
    started_at: Timestamp
    connected_at: Timestamp | None
    ended_at: Timestamp
    talk_s: Annotated[float, Field(ge=0)] | None
    hung_up_by: str | None
    reason: CallEnd | None = Field(description="why it ended; null while it lasts")
    call_ids: CallCallIds


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
    data: TransferData


class TransferEndedEvent(_Event):
    """The end of a transfer, exactly one for each."""

    type: Literal["transfer.ended.v1"]
    time: Timestamp
    subject: Ulid = Field(description="the transfer's id")
    datacontenttype: Literal["application/json"] = "application/json"
    data: EndedTransferData


class CallEndedEvent(_Event):
    """The end of a conversation."""

    type: Literal["call.ended.v1"]
    time: Timestamp
    subject: str = Field(description="the id of the transfer that made the call; without one, the call's id")
    datacontenttype: Literal["application/json"] = "application/json"
    data: CallData


Event = Annotated[TransferEvent | TransferEndedEvent | CallEndedEvent, Field(discriminator="type")]
_EVENTS: TypeAdapter[TransferEvent | TransferEndedEvent | CallEndedEvent] = TypeAdapter(Event)


def transfer_event(
    instance: str, milestone: Milestone, record: TransferRecord, now: datetime
) -> TransferEvent | TransferEndedEvent:
    """The event of one milestone. Raises pydantic.ValidationError when the record lacks what the milestone needs."""
    kind = TransferEndedEvent if milestone is Milestone.ENDED else TransferEvent
    return kind.model_validate(transfer_envelope(instance, milestone, record, now))


def transfer_envelope(instance: str, milestone: Milestone, record: TransferRecord, now: datetime) -> dict[str, object]:
    """The event of one milestone as JSON, whatever the record holds; `now` is its time if the record has none."""
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


def call_event(instance: str, record: CallRecord, now: datetime) -> CallEndedEvent:
    """The event of a call's end. Raises pydantic.ValidationError when the record is not as it should be."""
    return CallEndedEvent.model_validate(call_envelope(instance, record, now))


def call_envelope(instance: str, record: CallRecord, now: datetime) -> dict[str, object]:
    """The event of a call's end as JSON, whatever the record holds; `now` is its time if the record has none."""
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


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of every event the gateway sends."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of the transfer gateway",
        **_EVENTS.json_schema(mode="serialization"),
    }
