# SPDX-License-Identifier: GPL-2.0-or-later
"""Vapi and Retell ask: requests as their documents have them, made here from those alone, and wrong ones."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from gateway.core.model import PbxState, QueueState
from gateway.core.platform_calls import PlatformCall
from gateway.core.state_sources import StateSource
from gateway.ports import Operations
from gateway.web.platforms.handlers import handlers
from tests.bench.bench import Bench, Source
from tests.support.company import NUMBER
from tests.web.platforms.listening import SECRET, SPARE_NUMBER, SPARE_SECRET, Listening, files

pytestmark = pytest.mark.slow  # a server, and whoever asks it, at sockets

SALES, CLOSED = "+31612345678", "+31612345687"


class Asking:
    """A gateway whose trunk hms is Vapi's, and whose spare trunk is Retell's."""

    def __init__(self, directory: Path) -> None:
        written = files()
        main, spare = written.main["numbers"][:2]
        main["destinations"][0]["message"] = "One moment please."
        main["destinations"].append({"id": "closed", "number": CLOSED, "extension": "6700", "hours": "never"})
        main["locale"] = spare["locale"] = "nl"
        written.main["hours"] = {"never": {"time_zone": "Europe/Amsterdam", "weekly": {}}}
        written.follow("asterisk", 5038, "secret")
        written.profiles["hms"]["platform"]["form"] = "vapi"
        written.profiles["spare"]["platform"]["form"] = "retell"
        self.gateway = Listening(directory, written)
        bench = Bench(self.gateway.config())
        queues = {
            "sales": QueueState("sales", logged_in=2, available=2, callers=0),
            "support": QueueState("support", logged_in=0, available=0, callers=0),
        }
        state = PbxState("asterisk", StateSource.AMI, bench.clock.now().wall, queues=queues)
        bench.engine.sources = {"asterisk": Source(state)}
        operations = cast(Operations, bench.engine)
        self.gateway.handlers = dict(handlers(operations, self.gateway.observed, self._report))

    async def _report(self, report: PlatformCall) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.gateway.running():
            yield

    async def vapi(self, message: dict[str, Any], headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """As Vapi's credential of kind "Bearer Token" has it, unless other headers are given."""
        common = {"timestamp": 1767225600000, "call": {"id": "c1"}, "customer": {"number": "+31612340000"}}
        body = {"message": {"phoneNumber": {"number": NUMBER}, **common, **message}}
        sent = {"Authorization": f"Bearer {SECRET}"} if headers is None else headers
        return await _post(self.gateway.url("hms"), json.dumps(body).encode(), sent)

    async def retell(self, body: bytes, *, key: str = SPARE_SECRET, at: float | None = None) -> tuple[int, Any]:
        """Signed as Retell's SDK signs: HMAC-SHA256 of the body and the milliseconds, with an API key."""
        stamp = str(int((time.time() if at is None else at) * 1000))
        digest = hmac.new(key.encode(), (body.decode() + stamp).encode(), hashlib.sha256).hexdigest()
        return await _post(self.gateway.url("spare"), body, {"X-Retell-Signature": f"v={stamp},d={digest}"})


async def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers={"Content-Type": "application/json", **headers}) as response,
    ):
        return response.status, await response.json()


def function(name: str, direction: str = "inbound", **arguments: Any) -> bytes:
    """A call of a custom function, in an order of keys and with blanks that a parser would not write again."""
    numbers = {"to_number": SPARE_NUMBER, "from_number": "+31612340000"}
    if direction == "outbound":
        numbers = {"from_number": SPARE_NUMBER, "to_number": "+31612340000"}
    call = {"call_id": "r1", "call_type": "phone_call", "direction": direction, **numbers}
    return json.dumps({"name": name, "call": call, "args": arguments}, indent=1).encode()


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    return Asking(tmp_path)


def spoken(**arguments: Any) -> dict[str, Any]:
    """The conversation, in which the model has called its transfer tool."""
    call = {"id": "1", "type": "function", "function": {"name": "transferCall", "arguments": json.dumps(arguments)}}
    return {"artifact": {"messages": [{"role": "bot", "message": "Hi"}, {"role": "tool_calls", "toolCalls": [call]}]}}


@pytest.mark.keeps("19.36")
async def test_vapi_is_told_where_to_transfer_or_why_not(asking: Asking) -> None:
    kind = {"type": "transfer-destination-request"}
    async with asking.running():
        status, told = await asking.vapi({**kind, **spoken(destination="sales")})
        assert (status, told) == (
            200,
            {"destination": {"type": "number", "number": SALES, "message": "One moment please."}},
        )
        _, told = await asking.vapi({**kind, **spoken(destination=CLOSED)})
        assert told == {"error": "Closed is gesloten."}
        _, told = await asking.vapi(kind)
        assert told["error"].startswith("destination: is missing")
        assert SALES in told["error"]
        _, told = await asking.vapi({**kind, **spoken(destination="nobody")})
        assert "there is no destination" in told["error"]
        for odd in ([], [7], [{"toolCalls": 7}], [{"toolCalls": [{"function": {"arguments": "{"}}]}]):
            _, told = await asking.vapi({**kind, "artifact": {"messages": odd}})
            assert "error" in told
        _, told = await asking.vapi({**kind, **spoken(destination="sales"), "phoneNumber": {"number": "+31699999999"}})
        assert "error" in told


@pytest.mark.keeps("19.36")
async def test_vapi_s_tools_are_answered_by_the_id_of_each_call(asking: Asking) -> None:
    calls = [
        {"id": "a", "name": "check_availability", "parameters": {"destination": "closed"}},
        {"id": "b", "type": "function", "function": {"name": "list_destinations", "arguments": {}}},
        {"id": "c", "function": {"name": "check_availability", "arguments": '{"destination": "sales"}'}},
        {"id": "d", "name": "check_availability", "parameters": "{"},
        # JSON that would not have been taken as a body: half a surrogate pair, and no number.
        {"id": "e", "name": "check_availability", "parameters": '{"destination": "\\ud800"}'},
        {"id": "f", "name": "check_availability", "parameters": '{"destination": "sales", "at": NaN}'},
    ]
    async with asking.running():
        status, told = await asking.vapi({"type": "tool-calls", "toolCallList": calls})
        assert status == 200
        results = {one["toolCallId"]: json.loads(one["result"]) for one in told["results"]}
        assert (results["a"]["available"], results["a"]["sentence"]) == (False, "Closed is gesloten.")
        assert len(results["b"]["destinations"]) >= 2
        assert results["c"]["available"]
        assert results["d"] == results["e"] == results["f"] == {"error": "arguments: must be an object"}
        assert all("\n" not in one["result"] for one in told["results"])
        wrongs: list[object] = [None, [], [{}], "x"]
        for wrong in wrongs:
            _, told = await asking.vapi({"type": "tool-calls", "toolCallList": wrong})
            assert "toolCallList" in told["error"]


@pytest.mark.keeps("19.36")
async def test_vapi_shows_its_secret_in_either_header(asking: Asking) -> None:
    message = {"type": "tool-calls", "toolCallList": [{"id": "a", "name": "list_destinations"}]}
    async with asking.running():
        assert (await asking.vapi(message, {"X-Vapi-Secret": SECRET}))[0] == 200
        for headers in ({}, {"X-Vapi-Secret": "x"}, {"Authorization": "Bearer x"}, {"Authorization": SECRET}):
            status, told = await asking.vapi(message, headers)
            assert (status, told["code"]) == (401, "signature-wrong")
        assert (await asking.vapi({"type": "hang"}))[1] == {}


@pytest.mark.keeps("19.37")
async def test_retell_s_functions_are_the_tools(asking: Asking) -> None:
    async with asking.running():
        status, told = await asking.retell(function("check_availability", destination="support"))
        assert (status, told["available"], told["reason"]) == (200, False, "queue-unstaffed")
        assert told["sentence"]
        _, told = await asking.retell(function("list_destinations", direction="outbound"))
        assert [one["destination"] for one in told["destinations"]] == ["support"]
        _, told = await asking.retell(function("book_a_table"))
        assert "there is no tool" in told["error"]
        assert (await asking.retell(b'{"event": "call_started", "call": {}}'))[1] == {}
        status, told = await asking.retell(b'{"destination": "support"}')
        assert (status, told["code"]) == (400, "bad-request")


@pytest.mark.keeps("19.37")
async def test_retell_s_signature_is_that_of_the_body_as_it_is_in_time_and_once(asking: Asking) -> None:
    body = function("list_destinations")
    now = time.time()
    async with asking.running():
        assert (await asking.retell(body, at=now))[0] == 200
        status, told = await asking.retell(body, at=now)
        assert (status, told["code"]) == (401, "replayed")
        for options, code in (
            ({"key": "another key"}, "signature-wrong"),
            ({"at": now - 302}, "timestamp-off"),
            ({"at": now + 302}, "timestamp-off"),
        ):
            status, told = await asking.retell(body, **options)
            assert (status, told["code"]) == (401, code)
        status, told = await _post(asking.gateway.url("spare"), body, {"X-Retell-Signature": "v=1"})
        assert (status, told["code"]) == (401, "signature-missing")
