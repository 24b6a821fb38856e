# SPDX-License-Identifier: GPL-2.0-or-later
"""The MCP server: asked by the official client of either era, by right and wrong tokens, and by broken messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import PbxState, QueueState
from gateway.core.state_sources import StateSource
from gateway.ports import Operations
from gateway.report.platform_metrics import MCP_METHODS, MCP_RESULTS
from gateway.web.platforms.listener import PlatformListener
from gateway.web.platforms.mcp import TOOLS, McpServer
from gateway.web.platforms.mcp_messages import METHODS, MODERN, VERSIONS, Server
from gateway.web.platforms.tools import Tools
from tests.bench.bench import Bench, Source
from tests.bench.jumping_loop import clock_of_loop
from tests.support.mcp_client import called, mcp_client
from tests.web.platforms.listening import Listening, Observed, files

pytestmark = pytest.mark.slow  # a server, and whoever asks it, at sockets

TOKEN, BOTH = "the token of the main line", "the token of both lines"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Served:
    """An MCP server before the engine of a company, and what it has counted."""

    def __init__(self, directory: Path) -> None:
        written = files()
        main = written.main["numbers"][0]
        main["locale"] = "nl"
        main["destinations"].append(
            {"id": "closed", "number": "+31612345687", "extension": "6700", "hours": "never", "name": "de directie"}
        )
        written.main["hours"] = {"never": {"time_zone": "Europe/Amsterdam", "weekly": {}}}
        written.follow("asterisk", 5038, "secret")
        written.main["platform"]["mcp_tokens"] = [
            {"name": "main", "secret_file": "mcp.token", "numbers": ["main-line"]},
            {"name": "both", "secret_file": "both.token", "numbers": ["main-line", "spare-line"]},
        ]
        written.secrets |= {"mcp.token": TOKEN, "both.token": BOTH}
        self.written, self.directory = written, directory
        self.counted: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{written.main['platform']['port']}/mcp"

    def config(self) -> Any:
        return Listening(self.directory, self.written).config()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        config = self.config()
        bench = Bench(config)
        queues = {"sales": QueueState("sales", logged_in=2, available=2, callers=0)}
        state = PbxState("asterisk", StateSource.AMI, bench.clock.now().wall, queues=queues)
        bench.engine.sources = {"asterisk": Source(state)}
        operations, observed = cast(Operations, bench.engine), Observed()
        mcp = McpServer(operations, Tools(operations, observed), "1.2.3", lambda *one: self.counted.append(one))
        self.listener = PlatformListener(config, {}, clock_of_loop(), observed, mcp)
        await self.listener.start()
        try:
            yield
        finally:
            await self.listener.stop()

    async def post(self, message: object, *, token: str | None = TOKEN, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a message that is sent as it is."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, data=body, headers=sent) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text else None


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


@pytest.mark.keeps("19.32")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_official_client_lists_and_calls_the_tools(served: Served, mode: Any) -> None:
    async with served.running(), mcp_client(served.url, TOKEN, mode) as client:
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == ["check_availability", "list_destinations", "explain"]
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in listed.tools)
        failed, closed = await called(client, "check_availability", destination="+31612345687")
        assert (failed, closed["available"], closed["reason"]) == (False, False, "outside-hours")
        assert closed["sentence"] == "De directie is gesloten."
        failed, free = await called(client, "check_availability", destination="sales", number="+31201234567")
        assert (failed, free["available"], free["agents_available"]) == (False, True, 2)
        _, told = await called(client, "list_destinations")
        assert {one["destination"]: one["available"] for one in told["destinations"]}["closed"] is False
        _, why = await called(client, "explain", target="closed")
        assert (why["decision"], why["reason"]) == ("refuse", "outside-hours")
        assert why["trail"]
    assert {method for method, _ in served.counted} <= {*METHODS, "other"}


@pytest.mark.keeps("19.32")
async def test_mistakes_of_a_model_are_results_that_it_can_use(served: Served) -> None:
    async with served.running(), mcp_client(served.url, BOTH) as client:
        failed, told = await called(client, "list_destinations")
        assert (failed, [one["id"] for one in told["numbers"]]) == (True, ["main-line", "spare-line"])
        for arguments, word in (
            ({}, "destination: is missing"),
            ({"destination": "nowhere", "number": "main-line"}, "there is no destination"),
            ({"destination": "sales", "number": "silent-line"}, "number: is none"),
            ({"destination": "sales", "colour": "red"}, "colour: is not taken"),
            ({"destination": " "}, "destination: must be a text"),
        ):
            failed, told = await called(client, "check_availability", **arguments)
            assert failed
            assert word in told["error"]


@pytest.mark.keeps("19.33")
async def test_a_token_is_good_for_its_numbers_alone(served: Served) -> None:
    async with served.running():
        async with mcp_client(served.url, TOKEN) as client:
            failed, told = await called(client, "list_destinations", number="spare-line")
            assert (failed, [one["id"] for one in told["numbers"]]) == (True, ["main-line"])
        for token in (None, "", "wrong", TOKEN[:-1], "é"):
            status, body = await served.post(discover(), token=token)
            assert (status, body["error"]["code"]) == (401, "wrong-token")
        served.written.secrets["mcp.token"] = "another one"
        served.listener.configure(served.config())
        assert (await served.post(discover(), **modern("server/discover")))[0] == 401
        assert (await served.post(discover(), token="another one", **modern("server/discover")))[0] == 200
    assert ("other", "not-proved") in served.counted


@pytest.mark.keeps("19.33")
async def test_a_page_in_a_browser_is_refused_and_nothing_is_streamed(served: Served) -> None:
    async with served.running():
        status, body = await served.post(discover(), Origin="http://example.com", **modern("server/discover"))
        assert (status, body["error"]["code"]) == (403, "wrong-origin")
        async with aiohttp.ClientSession() as session:
            for method in ("GET", "DELETE"):
                async with session.request(method, served.url) as response:
                    assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_without_a_token_there_is_no_server(served: Served) -> None:
    served.written.main["platform"]["mcp_tokens"] = []
    async with served.running():
        assert (await served.post(discover()))[0] == 404


def modern(method: str, name: str | None = None) -> dict[str, str]:
    """The headers of a request of the modern era."""
    return {"MCP_Protocol_Version": MODERN, "Mcp_Method": method, **({"Mcp_Name": name} if name else {})}


def asked(method: str, meta: Mapping[str, Any] | None = META, **params: Any) -> dict[str, Any]:
    more = {} if meta is None else {"_meta": meta}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, **more}}


def discover() -> dict[str, Any]:
    return asked("server/discover")


CALL = asked("tools/call", name="list_destinations", arguments={})
FUTURE = {**META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}
NAMED = modern("tools/call", "list_destinations")
BASE64 = "=?base64?bGlzdF9kZXN0aW5hdGlvbnM=?="
LISTED, LISTS = modern("tools/list"), asked("tools/call", name="explain", arguments=[])
OLD, NEW = {"MCP_Protocol_Version": "2025-11-25"}, {"MCP_Protocol_Version": "2099-01-01"}
WRONG: dict[str, tuple[object, dict[str, str], int, int]] = {
    "no JSON": (b"{", {}, 400, -32700),
    "a batch": ([CALL], NAMED, 400, -32600),
    "a text": ("x", {}, 400, -32600),
    "no version of JSON-RPC": ({"id": 1, "method": "ping"}, {}, 400, -32600),
    "no method": ({"jsonrpc": "2.0", "id": 1}, {}, 400, -32600),
    "no id": ({"jsonrpc": "2.0", "id": None, "method": "ping"}, {}, 400, -32600),
    "a true id": ({"jsonrpc": "2.0", "id": True, "method": "ping"}, {}, 400, -32600),
    "params are a list": ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, {}, 400, -32602),
    "no capabilities": (asked("tools/list", {next(iter(META)): MODERN}), modern("tools/list"), 400, -32602),
    "header without meta": (asked("tools/list", None), modern("tools/list"), 400, -32602),
    "no version header": (asked("tools/list"), {"Mcp_Method": "tools/list"}, 400, -32020),
    "another version in the header": (asked("tools/list"), {**LISTED, **OLD}, 400, -32020),
    "a version of the future": (asked("tools/list", FUTURE), {**LISTED, **NEW}, 400, -32022),
    "a version of the future, without meta": (asked("tools/list", None), NEW, 400, -32022),
    "another method in the header": (CALL, {**NAMED, "Mcp_Method": "tools/list"}, 400, -32020),
    "another tool in the header": (CALL, {**NAMED, "Mcp_Name": "explain"}, 400, -32020),
    "no tool in the header": (CALL, modern("tools/call"), 400, -32020),
    "no method of ours": (asked("resources/list"), modern("resources/list"), 404, -32601),
    "no tool of ours": (asked("tools/call", name="transfer"), modern("tools/call", "transfer"), 200, -32602),
    "arguments are a list": (LISTS, modern("tools/call", "explain"), 200, -32602),
    "no method of ours, legacy": (asked("resources/list", None), {}, 200, -32601),
}  # fmt: skip


@pytest.mark.keeps("19.34")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_what_is_not_as_the_specification_says_is_told(served: Served, wrong: Any) -> None:
    message, headers, status, code = wrong
    async with served.running():
        got, body = await served.post(message, **headers)
    assert (got, body["error"]["code"]) == (status, code)
    assert body["jsonrpc"] == "2.0"
    if code == -32022:
        assert body["error"]["data"]["supported"] == list(VERSIONS)


@pytest.mark.keeps("19.34")
async def test_what_either_era_may_send_is_taken(served: Served) -> None:
    async with served.running():
        status, body = await served.post(CALL, **{**NAMED, "Mcp_Name": BASE64})
        assert (status, body["result"]["resultType"]) == (200, "complete")
        assert body["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["version"] == "1.2.3"
        status, body = await served.post(asked("initialize", None, protocolVersion="2025-06-18", capabilities={}))
        assert (status, body["result"]["protocolVersion"]) == (200, "2025-06-18")
        status, body = await served.post(asked("initialize", None, protocolVersion="2024-11-05", capabilities={}))
        assert body["result"]["protocolVersion"] == "2025-11-25"
        assert await served.post({"jsonrpc": "2.0", "method": "notifications/initialized"}) == (202, None)
        assert await served.post({"jsonrpc": "2.0", "id": 7, "result": {}}) == (202, None)
        status, body = await served.post(asked("ping", None), MCP_Protocol_Version="2025-11-25")
        assert (status, body["result"]) == (200, {})


async def test_a_body_that_is_too_large_or_too_deep_is_refused(served: Served) -> None:
    async with served.running():
        assert (await served.post(b"[" * 40 + b"]" * 40))[0] == 400
        assert (await served.post(b'"' + b"x" * 65_536 + b'"'))[0] == 413


def test_the_metrics_know_every_method() -> None:
    assert MCP_METHODS == METHODS
    assert set(MCP_RESULTS) == {"answered", "error", "not-proved", "refused"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
METHOD = st.sampled_from([*METHODS, "x"]) | JSON
HEADER = st.dictionaries(
    st.sampled_from(["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"]),
    st.sampled_from([*VERSIONS, *METHODS, "explain", "=?base64?é?=", "=?base64?=?="]),
)


@given(
    st.fixed_dictionaries(
        {"jsonrpc": st.sampled_from(["2.0", "1.0"])},
        optional={
            "id": JSON,
            "method": METHOD,
            "params": JSON | st.fixed_dictionaries({"_meta": st.just(META) | JSON}),
        },
    )
    | JSON,
    HEADER,
)
def test_whatever_comes_has_an_answer(message: object, headers: dict[str, str]) -> None:
    server = Server("1", "", TOOLS, lambda _name, _arguments: {"error": "none"})
    answer = server.answer(message, headers)
    assert answer.status in {200, 202, 400, 404}
    assert (answer.body is None) == (answer.status == 202)
    json.dumps(answer.body)
