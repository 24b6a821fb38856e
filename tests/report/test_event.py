# SPDX-License-Identifier: GPL-2.0-or-later
"""The events are CloudEvents, hold what the contract says, and match the schema that is handed out."""

import json
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator

from gateway.core.json_form import queue_document, transfer_document
from gateway.core.model import Entry
from gateway.core.record import Milestone, TransferRecord
from gateway.report.event import call_event, read_transfer, schema, transfer_event, write
from tests.report import samples

CONTRACT_FIELDS = [
    "transfer", "number", "trunk", "pbx", "entry", "requested_target", "destination", "outcome", "reason",
    "sip_code", "fault", "attempts", "caller", "context", "final_notify", "returned_to_transferor",
    "requested_at", "decided_at", "ringing_at", "answered_at", "human_at", "ended_at", "talk_s", "trail",
    "call_ids", "locale", "sentence", "author", "answered_by", "agent", "platform",
    "whispered_at", "accepted_at", "expires_at", "caller_calls", "told_by",
]  # fmt: skip


def as_json(event: dict[str, object]) -> dict[str, Any]:
    payload, odd = write(event)
    assert odd is None
    document: dict[str, Any] = json.loads(payload)
    return document


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_an_ended_transfer_is_a_cloud_event_with_the_contracts_data(validator: Draft202012Validator) -> None:
    event = as_json(transfer_event("pbx-1", Milestone.ENDED, samples.completed(), samples.START))
    validator.validate(event)
    data = event.pop("data")
    assert len(event.pop("id")) == 26
    assert event == {
        "specversion": "1.0",
        "source": "/transfer-gateway/pbx-1",
        "type": "transfer.ended.v1",
        "time": "2026-03-02T09:30:04.423Z",
        "subject": samples.ID,
        "datacontenttype": "application/json",
    }
    assert list(data) == CONTRACT_FIELDS
    assert data["attempts"] == [{"destination": "sales", "extension": "6500", "reason": "answered", "sip_code": 200}]
    assert data["call_ids"] == {"transferor": "a@trunk", "transferee": "b@pbx", "target": "c@pbx"}
    assert (data["outcome"], data["reason"], data["sip_code"], data["fault"]) == ("completed", "answered", 200, None)
    assert (data["requested_at"], data["talk_s"]) == ("2026-03-02T09:30:00.123Z", None)


@pytest.mark.parametrize("milestone", [m for m in Milestone if m is not Milestone.ENDED])
def test_earlier_events_have_the_same_fields_with_null_for_what_is_not_known(
    milestone: Milestone, validator: Draft202012Validator
) -> None:
    event = as_json(transfer_event("pbx-1", milestone, samples.requested(), samples.START))
    validator.validate(event)
    assert event["type"] == f"transfer.{milestone}.v1"
    assert list(event["data"]) == CONTRACT_FIELDS
    assert event["data"]["outcome"] is None
    assert event["data"]["call_ids"]["target"] is None


@pytest.mark.parametrize("calls", [0, 3])
def test_a_call_back_is_told_with_how_often_the_caller_was_called(calls: int, validator: Draft202012Validator) -> None:
    record = replace(samples.requested(), entry=Entry.CALLBACK, expires_at=samples.START, caller_calls=calls)
    event = as_json(transfer_event("pbx-1", Milestone.REQUESTED, record, samples.START))
    validator.validate(event)
    assert (event["data"]["entry"], event["data"]["caller_calls"]) == ("callback", calls)
    again = read_transfer(json.dumps(event))
    assert (again.entry, again.caller_calls) == (Entry.CALLBACK, calls)
    assert again.expires_at is not None
    assert abs(again.expires_at - samples.START) < timedelta(milliseconds=1)


def test_an_end_without_outcome_is_no_event() -> None:
    payload, odd = write(transfer_event("pbx-1", Milestone.ENDED, samples.requested(), samples.START))
    assert "outcome" in str(odd)
    # It is told all the same.
    assert json.loads(payload)["subject"] == samples.ID


def test_the_end_of_a_call_names_the_transfer_that_made_it(validator: Draft202012Validator) -> None:
    event = as_json(call_event("pbx-1", samples.call(), samples.START))
    validator.validate(event)
    assert (event["type"], event["subject"]) == ("call.ended.v1", samples.ID)
    assert (event["data"]["talk_s"], event["data"]["hung_up_by"], event["data"]["reason"]) == (60.0, "pbx", "hung-up")
    alone = as_json(call_event("pbx-1", replace(samples.call(), transfer=None), samples.START))
    validator.validate(alone)
    assert alone["subject"] == samples.call().call


def test_the_schema_refuses_what_is_no_event(validator: Draft202012Validator) -> None:
    event = as_json(transfer_event("pbx-1", Milestone.ENDED, samples.completed(), samples.START))
    for change in ({"type": "transfer.over.v1"}, {"time": "yesterday"}, {"data": event["data"] | {"outcome": None}}):
        assert not validator.is_valid(event | change), change
    # A field that is added later is none of an old consumer's business.
    assert validator.is_valid(event | {"data": event["data"] | {"mood": "good"}})


@pytest.mark.parametrize("record", [samples.requested(), samples.completed(), samples.refused()])
def test_a_record_comes_back_from_its_document(record: TransferRecord) -> None:
    document = transfer_document(record)
    again = read_transfer(json.dumps({"data": document}))
    assert transfer_document(again) == document
    assert again.outcome is record.outcome
    assert again.attempts == record.attempts
    assert abs((again.requested_at - record.requested_at).total_seconds()) < 0.001


@pytest.mark.parametrize(
    "broken", [{}, {"attempts": 3}, {"entry": "pigeon"}, {"requested_at": "noon"}, {"sip_code": "x"}]
)
def test_what_is_no_record_is_not_taken_for_one(broken: dict[str, object]) -> None:
    document = transfer_document(samples.completed()) | broken if broken else {}
    with pytest.raises(ValueError, match="data"):
        read_transfer(json.dumps({"data": document}))


def test_bytes_from_the_wire_that_are_no_text_do_not_stop_an_event() -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    record = replace(samples.completed(), context={"X-Note": odd}, caller=odd, requested_target=odd, trail=(odd,))
    data = as_json(transfer_event("pbx-1", Milestone.ENDED, record, samples.START))["data"]
    assert data["context"] == {"X-Note": "caf?"}


def test_a_record_of_other_types_than_declared_is_told_too() -> None:
    class Name(str):
        __slots__ = ()

    whole = samples.completed()
    other = replace(
        whole,
        pbx=Name("asterisk"),
        trail=cast("tuple[str, ...]", list(whole.trail)),
        context=MappingProxyType(dict(whole.context)),
        call_ids=MappingProxyType(dict(whole.call_ids)),
    )
    assert transfer_document(other) == transfer_document(whole)


def test_a_queue_that_is_not_known_shows_no_counts() -> None:
    known = queue_document(samples.pbx_state(), "sales", samples.after(5))
    assert (known["known"], known["available"], known["callers"]) == (True, 1, 1)
    for state, now, why in (
        (samples.pbx_state(), samples.after(11), "nothing was heard of the PBX for more than 10 s"),
        (samples.pbx_state(proven_at=None), samples.after(0), "AMI is away"),
    ):
        document = queue_document(state, "sales", now)
        assert (document["known"], document["available"], document["callers"]) == (False, None, None)
        assert document["unknown_because"] == why
    assert queue_document(samples.pbx_state(), "support", samples.START)["unknown_because"] == (
        "the PBX has no queue support"
    )
