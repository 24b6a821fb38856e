# SPDX-License-Identifier: GPL-2.0-or-later
"""The OpenAPI document is one, and every answer is as it says."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from openapi_spec_validator import validate

import gateway
from gateway.clock import LoopClock
from gateway.core.record import CallRecord, TransferRecord
from gateway.ports import Author
from gateway.web.openapi import OPERATIONS, document
from gateway.web.server import WebServer
from tests.report import samples
from tests.support.processes import free_port
from tests.web.described import exercise
from tests.web.serving import TOKEN, Gateway

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]  # 22 s alone, and 116 at a load of 12


def test_it_is_an_openapi_document() -> None:
    validate(cast(Any, document(gateway.__version__)))


class Busy(Gateway):
    """Has calls, transfers and numbers of many names."""

    def status(self) -> Mapping[str, Any]:
        known = {
            "instance": "pbx-1",
            "state": "online",
            "version": "1",
            "pjsip": "2",
            "bridge_hz": 8000,
            "started_at": "2026-03-02T09:30:00",
            "problems": [],
            "listening": {"sip": [], "http": []},
        }
        return {**known, "calls": 1, "transfers": 1, "strangers": [], "webhooks": {}, "restart_needed": []}

    def explain(self, target: str, number: str, at: object) -> Mapping[str, Any]:
        if len(number) % 2:
            raise LookupError(number)
        decision = {"decision": "accept", "destination": "sales", "extension": "6500", "reason": "accepted"}
        return {**decision, "sip_code": 202, "trail": [target], "sentence": None}

    def availability(self, number: str, destination: str | None) -> dict[str, object]:
        if destination is not None and len(destination) % 2:
            destination = "nowhere"
        return super().availability("nobody" if len(number) % 2 else number, destination)

    def transfer_call(
        self,
        call: str,
        destination: str,
        message: str | None,
        command_id: str | None = None,
        author: Author | None = None,
        whisper: str | None = None,
    ) -> TransferRecord:
        record = super().transfer_call("c1" if len(call) % 3 else "gone", destination, message, command_id, author)
        return record if len(destination) % 3 else samples.refused()

    def cancel_transfer(
        self, which: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        return super().cancel_transfer(("c1", "late", "gone")[len(which) % 3], command_id, author)

    def hang_up_call(self, call: str, command_id: str | None = None, author: Author | None = None) -> CallRecord:
        return super().hang_up_call("c1" if len(call) % 2 else "gone", command_id, author)

    async def transfers(self, *, limit: int | None = None, transfer: str | None = None) -> Any:
        return await super().transfers(limit=limit, transfer="01A" if transfer and len(transfer) % 2 else transfer)


@pytest.fixture
def url() -> Iterator[str]:
    """Where a server is asked that runs on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = free_port()
    running = WebServer(Busy(), metrics=lambda _accept: (b"# none\n", "text/plain"), token=TOKEN, clock=LoopClock())

    def done(what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, loop).result(10)

    done(running.start("127.0.0.1", port))
    yield f"http://127.0.0.1:{port}"
    done(running.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_every_answer_is_as_it_says(url: str) -> None:
    # What chance draws depends on which modules are loaded: what the assertions want is asked in any case.
    seen = exercise(url, TOKEN, also={
        "POST /api/calls/{id}/transfer": [
            {"path_parameters": {"id": call}, "body": {"type": "transfer", "destination": destination}}
            for call, destination in (("c1", "sales"), ("c1", "tax"), ("abc", "sales"))
        ],
        "POST /api/transfers/{id}/cancel": [
            {"path_parameters": {"id": name}} for name in ("abc", "abcd", "abcde")
        ],
        "POST /api/callbacks": [
            {"body": {"call": call, "destination": destination}}
            for call, destination in (("c1", "sales"), ("c1", "tax"), ("abc", "sales"))
        ],
        "POST /api/calls/{id}/hangup": [{"path_parameters": {"id": name}} for name in ("abc", "abcd")],
    })  # fmt: skip
    assert len(seen) == len(OPERATIONS)
    assert seen["POST /api/calls/{id}/transfer"] >= {202, 400, 401, 404, 409}
    assert seen["POST /api/transfers/{id}/cancel"] >= {200, 401, 404, 409}
    assert seen["POST /api/calls/{id}/hangup"] >= {200, 400, 401, 404}
    assert seen["GET /api/transfers/{id}"] >= {200, 404}
    assert seen["GET /api/explain"] >= {200, 404}
    assert seen["GET /api/availability"] >= {200, 404}
    assert seen["POST /api/reload"] == {200, 401}
