# SPDX-License-Identifier: GPL-2.0-or-later
"""The schemas that are handed out: the files in docs/schema are those of the code, and what is sent is as they say."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator

from gateway.core.event_types import EVENT_TYPES
from gateway.core.json_form import queue_document
from gateway.core.model import PbxState
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.ports import Operations
from gateway.report.command import Commands
from gateway.report.event import call_event, transfer_event, write
from gateway.report.schemas import json_schemas
from scripts.schemas import DIRECTORY, documents, text
from tests.report import samples
from tests.support.commanded import Commanded

pytestmark = pytest.mark.slow

SCHEMAS = json_schemas()


def valid(name: str, document: Mapping[str, Any]) -> bool:
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(SCHEMAS[name], format_checker=checker).is_valid(json.loads(json.dumps(document)))


def test_the_files_are_those_of_the_code() -> None:
    """Where this fails, `make schemas` writes them anew: a published field may be added, and none taken away."""
    assert {path.name: path.read_text() for path in DIRECTORY.glob("*.json")} == {
        name: text(document) for name, document in documents().items()
    }


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("milestone", Milestone)
def test_an_event_of_a_transfer_is_as_its_own_schema_says_and_as_no_other(milestone: Milestone) -> None:
    record = samples.completed() if milestone is Milestone.ENDED else samples.requested()
    payload, odd = write(transfer_event("pbx-1", milestone, record, samples.START))
    assert odd is None
    assert [name for name in EVENT_TYPES if valid(name, json.loads(payload))] == [f"transfer.{milestone}.v1"]


def test_the_end_of_a_call_is_as_its_schema_says() -> None:
    payload, odd = write(call_event("pbx-1", samples.call(), samples.START))
    assert odd is None
    assert [name for name in EVENT_TYPES if valid(name, json.loads(payload))] == ["call.ended.v1"]


def test_a_queue_is_as_its_schema_says_whether_it_is_known_or_not() -> None:
    known = queue_document(samples.pbx_state(), "sales", samples.START)
    unknown = queue_document(PbxState("asterisk"), "sales", samples.START)
    assert (known["known"], unknown["known"]) == (True, False)
    assert valid("queue", known)
    assert valid("queue", unknown)
    assert not valid("queue", known | {"available": "many"})


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ({"type": "transfer", "call": "c1", "destination": "sales", "id": "crm-7"}, "response.transfer"),
        ({"type": "cancel", "transfer": "01A"}, "response.cancel"),
        ({"type": "transfer", "call": "gone", "destination": "sales"}, "response.error"),
        ({"type": "cancel", "transfer": "01LATE"}, "response.error"),
    ],
)
async def test_a_command_and_its_answer_are_as_their_schemas_say(command: dict[str, str], answer: str) -> None:
    assert valid(f"command.{command['type']}", command)
    reply = await Commands(cast(Operations, Commanded(samples.requested())))(json.dumps(command).encode(), None, None)
    assert reply is not None
    # The answer to a call back has a part of what a transfer's has, and a reader must bear more: it is of both.
    others = {"response.callback"} if answer == "response.transfer" else set()
    assert {name for name in SCHEMAS if name.startswith("response.") and valid(name, reply)} == {answer} | others


def test_the_schema_of_a_refusal_is_that_of_an_answer() -> None:
    refused = samples.refused()
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.QUEUE_UNSTAFFED)
    payload, odd = write(transfer_event("pbx-1", Milestone.ENDED, refused, samples.START))
    assert odd is None
    assert valid("transfer.ended.v1", json.loads(payload))
