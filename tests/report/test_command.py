# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands over MQTT: what they do, and what their senders are told."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.core.document import transfer_document
from gateway.core.record import TransferRecord
from gateway.ports import Operations
from gateway.report import command
from gateway.report.command import MAX_PAYLOAD, Commands
from tests.report import samples

BODY = {"type": "transfer", "call": "c1", "destination": "sales", "message": "one moment", "id": "crm-7"}


class Gateway:
    """The one operation that commands need."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        self.answer = replace(samples.requested(), destination="sales")

    def transfer_call(self, call: str, destination: str, message: str | None) -> TransferRecord:
        self.asked.append((call, destination, message))
        if call == "broken":
            raise RuntimeError("secret inner workings")
        if call != "c1":
            raise LookupError(call)
        return self.answer


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def commands(gateway: Gateway) -> Commands:
    return Commands(cast(Operations, gateway))


async def send(commands: Commands, body: Any) -> Any:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await commands(payload, None, None)


async def test_a_call_is_transferred_and_its_sender_told(commands: Commands, gateway: Gateway) -> None:
    reply = await send(commands, BODY)
    assert gateway.asked == [("c1", "sales", "one moment")]
    assert reply == {
        "id": "crm-7",
        "call": "c1",
        "status": "accepted",
        "transfer": transfer_document(gateway.answer),
    }


async def test_a_refusal_comes_with_its_reason(commands: Commands, gateway: Gateway) -> None:
    gateway.answer = samples.refused()
    reply = await send(commands, BODY)
    assert (reply["status"], reply["transfer"]["reason"]) == ("refused", "queue-unstaffed")


async def test_the_same_id_again_moves_nobody_twice(
    commands: Commands, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await send(commands, BODY)
    assert await send(commands, BODY | {"destination": "support"}) == first
    assert len(gateway.asked) == 1
    await send(commands, BODY | {"id": None})
    await send(commands, BODY | {"id": None})
    assert len(gateway.asked) == 3
    monkeypatch.setattr(command, "REMEMBERED_REPLIES", 2)
    for other in ("a", "b", "c"):
        await send(commands, BODY | {"id": other})
    await send(commands, BODY)
    assert len(gateway.asked) == 7


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"{", "bad-json", "JSON"),
        (b"", "bad-json", "JSON"),
        (b"\xff\xfe", "bad-json", "JSON"),
        (b"[" * 10_000, "bad-json", ""),
        ([], "bad-request", ""),
        (BODY | {"type": "cancel"}, "bad-request", "type"),
        (BODY | {"call": 5}, "bad-request", "call"),
        ({"type": "transfer", "call": "c1"}, "bad-request", "destination"),
        (BODY | {"destination": "x" * 600}, "bad-request", "destination"),
        (BODY | {"call": "c2"}, "unknown-call", "c2"),
        (b" " * (MAX_PAYLOAD + 1), "bad-request", str(MAX_PAYLOAD)),
    ],
)
async def test_what_cannot_be_done_is_said(
    commands: Commands, gateway: Gateway, body: Any, code: str, says: str
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
