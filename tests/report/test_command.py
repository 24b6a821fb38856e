# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands over MQTT: what they do, and what their senders are told."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.core.json_form import transfer_document
from gateway.ports import Operations
from gateway.report.command import MAX_PAYLOAD, Commands
from tests.report import samples
from tests.support.commanded import Commanded

BODY = {"type": "transfer", "call": "c1", "destination": "sales", "message": "one moment", "id": "crm-7"}


@pytest.fixture
def gateway() -> Commanded:
    return Commanded(replace(samples.requested(), destination="sales"))


@pytest.fixture
def commands(gateway: Commanded) -> Commands:
    return Commands(cast(Operations, gateway))


async def send(commands: Commands, body: Any) -> Any:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await commands(payload, None, None)


async def test_a_call_is_ended_and_its_sender_told(commands: Commands, gateway: Commanded) -> None:
    reply = await send(commands, {"type": "hangup", "call": "c1", "id": "crm-9"})
    assert reply == {"id": "crm-9", "call": "c1", "status": "ended"}
    assert (gateway.asked, [one and one.name for one in gateway.authors]) == ([("hangup", "c1", "crm-9")], ["mqtt"])
    assert (await send(commands, {"type": "hangup", "call": "c2"}))["error"]["code"] == "unknown-call"
    assert (await send(commands, {"type": "hangup"}))["error"]["code"] == "bad-request"
    assert [(one.action, one.result, one.call) for one in gateway.given] == [
        ("hangup", "done", "c1"), ("hangup", "unknown-call", "c2"),
    ]  # fmt: skip


@pytest.mark.keeps("21.47")
async def test_what_a_command_has_begun_outlives_the_gateway_before_it_is_answered(
    commands: Commands, gateway: Commanded
) -> None:
    for count, body in enumerate((BODY, BODY | {"type": "callback"}, {"type": "hangup", "call": "c2"}), start=1):
        await send(commands, body)
        assert gateway.kept == count


async def test_a_call_is_transferred_and_its_sender_told(commands: Commands, gateway: Commanded) -> None:
    reply = await send(commands, BODY)
    assert gateway.asked == [("c1", "sales", "one moment", "crm-7")]
    assert reply == {"id": "crm-7", "call": "c1", "status": "accepted", "transfer": transfer_document(gateway.answer)}


async def test_a_refusal_comes_with_its_reason(commands: Commands, gateway: Commanded) -> None:
    gateway.answer = samples.refused()
    reply = await send(commands, BODY)
    assert (reply["status"], reply["transfer"]["reason"]) == ("refused", "queue-unstaffed")


@pytest.mark.parametrize("named", [{"transfer": "01A"}, {"call": "c1"}])
async def test_a_transfer_is_cancelled(commands: Commands, gateway: Commanded, named: dict[str, str]) -> None:
    reply = await send(commands, {"type": "cancel", "id": "crm-8", **named})
    assert gateway.asked == [(*named.values(), "crm-8")]
    assert reply == {"id": "crm-8", "status": "cancelled", "transfer": transfer_document(samples.refused())}


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"{", "bad-json", "JSON"),
        (b"", "bad-json", "JSON"),
        (b"\xff\xfe", "bad-json", "JSON"),
        (b"[" * 10_000, "bad-json", ""),
        ([], "bad-request", ""),
        (BODY | {"type": "dial"}, "bad-request", "dial"),
        ({"call": "c1"}, "bad-request", "type"),
        ({"type": "cancel"}, "bad-request", "transfer or call must be given"),
        ({"type": "cancel", "call": "c1", "transfer": "01A"}, "bad-request", "transfer or call must be given"),
        ({"type": "cancel", "transfer": "01X"}, "unknown-transfer", "01X"),
        ({"type": "cancel", "transfer": "late"}, "too-late", "switching"),
        (BODY | {"call": 5}, "bad-request", "call"),
        ({"type": "transfer", "call": "c1"}, "bad-request", "destination"),
        (BODY | {"destination": "x" * 600}, "bad-request", "destination"),
        (BODY | {"call": "c2"}, "unknown-call", "c2"),
        (b" " * (MAX_PAYLOAD + 1), "bad-request", str(MAX_PAYLOAD)),
    ],
)
async def test_what_cannot_be_done_is_said(
    commands: Commands, gateway: Commanded, body: Any, code: str, says: str
) -> None:
    reply = await send(commands, body)
    assert reply["error"]["code"] == code
    assert says in reply["error"]["message"]


async def test_a_fault_inside_stays_in_the_log(commands: Commands) -> None:
    with capture_logs() as logs:
        reply = await send(commands, BODY | {"call": "broken"})
    assert (reply["id"], reply["error"]["code"]) == ("crm-7", "internal-error")
    assert "inner workings" not in str(reply)
    assert [line["log_level"] for line in logs] == ["error"]
