# SPDX-License-Identifier: GPL-2.0-or-later
"""The running gateway answers platforms, and clients of MCP, as the document of their listener says."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests

from gateway.web.platforms.mcp_messages import METHODS, MODERN
from gateway.web.platforms.openapi import OPERATIONS, document
from tests.sip.scene import LINES, settings
from tests.support.gateway import Gateway
from tests.support.platform_client import SECRET, asking, signature
from tests.web.described import exercise_described

if TYPE_CHECKING:
    from tests.support.configuration import Configuration
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PLATFORM, MCP = "/platform/{trunk}", "/mcp"
FORMS = {"hms": "main", "vapi": "livekit", "retell": "jambonz"}
"""Which trunk's platform has which form."""
MODELS = {
    "hms": (("HmsRequest",), "HmsAnswer"),
    "vapi": (("VapiRequest",), "VapiAnswer"),
    "retell": (("RetellFunction", "RetellEvent"), "RetellAnswer"),
}
TOKEN = "the assistant's token"
EXAMPLES = 20
WITHOUT = ("ignored_auth", "missing_required_header")
"""Each request is proved, so what one without proof gets is not for these checks."""


class Signing(requests.auth.AuthBase):
    """Signs whatever is sent, a second earlier each time: the same twice would be a replay."""

    def __init__(self) -> None:
        self._sent = 0

    def __call__(self, request: Any) -> Any:
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        self._sent += 1
        self.sign(request, raw, int(time.time()) - self._sent % 250)
        return request

    def sign(self, request: Any, body: bytes, at: int) -> None:
        """As HMS does."""
        request.headers["X-Webhook-Timestamp"] = str(at)
        request.headers["X-Webhook-Signature"] = f"sha256={signature(SECRET, str(at), body)}"


class SigningAsRetell(Signing):
    """The same as Retell signs."""

    def sign(self, request: Any, body: bytes, at: int) -> None:
        """See Signing."""
        digest = hmac.new(SECRET.encode(), body + f"{at}000".encode(), hashlib.sha256).hexdigest()
        request.headers["X-Retell-Signature"] = f"v={at}000,d={digest}"


PROOFS: dict[str, dict[str, Any]] = {
    "hms": {"auth": Signing()},
    "vapi": {"headers": {"Authorization": f"Bearer {SECRET}"}},
    "retell": {"auth": SigningAsRetell()},
}


def asked_by_all(net: Net) -> tuple[Configuration, str]:
    """A gateway that platforms of each form ask, and clients of MCP; the address of the listener."""
    files = settings(net, {trunk: LINES[trunk] for trunk in FORMS.values()})
    client = asking(files, "main", mcp_tokens=[{"name": "hms", "secret_file": "mcp.token", "numbers": ["main"]}])
    files.secrets["mcp.token"] = TOKEN
    for form, trunk in FORMS.items():
        files.profiles[trunk]["platform"] = {"form": form, "secret_files": ["platform.secret"]}
    return files, client.url.removesuffix("/platform/main")


def described(path: str) -> dict[str, Any]:
    """What the document says of one path, with destinations that there are among those that there are not."""
    made = document("1")
    made["paths"] = {path: made["paths"][path]}
    schemas = made["components"]["schemas"]
    wanted = {"type": "object", "properties": {"destination": {"enum": ["anna", "closed", "nobody", 7]}}}
    for model in ("CalledFunction", "VapiFunction", "McpParams"):
        schemas[model]["properties"]["arguments"] = wanted
    schemas["VapiToolCall"]["properties"]["parameters"] = schemas["RetellFunction"]["properties"]["args"] = wanted
    return made


def of_form(form: str) -> dict[str, Any]:
    """What the document says of a request of this form, for a number of its trunk's or none."""
    made, trunk = described(PLATFORM), FORMS[form]
    requests_, answer = MODELS[form]
    operation, schemas = made["paths"][PLATFORM]["post"], made["components"]["schemas"]
    operation["parameters"][0]["schema"] = {"enum": [trunk]}
    body = [{"$ref": f"#/components/schemas/{model}"} for model in requests_]
    operation["requestBody"]["content"]["application/json"]["schema"] = {"anyOf": body}
    said = {"$ref": f"#/components/schemas/{answer}"}
    operation["responses"]["200"]["content"]["application/json"]["schema"] = said
    numbers = {"enum": [LINES[trunk].number, "+31699999999", None]}
    schemas["CalledNumber"]["properties"]["number"] = schemas["RetellCall"]["properties"]["to_number"] = numbers
    return made


def real(form: str) -> list[dict[str, Any]]:
    """What a platform of this form asks: each tool, right and wrong, and what else is answered."""
    trunk = FORMS[form]
    number = LINES[trunk].number
    calls = [("list_destinations", {}), *(("check_availability", {"destination": one}) for one in ("anna", "nobody"))]
    bodies: list[dict[str, Any]]
    match form:
        case "hms":
            called = [{"id": name, "function": {"name": name, "arguments": given}} for name, given in calls]
            message = {"type": "tool-calls", "phone_number": {"number": number}, "tool_call_list": called}
            bodies = [{"message": message}, {"message": {**message, "type": "assistant-request"}}]
        case "vapi":
            called = [{"id": name, "name": name, "parameters": given} for name, given in calls]
            message = {"type": "tool-calls", "phoneNumber": {"number": number}, "toolCallList": called}
            kind = {**message, "type": "transfer-destination-request"}
            bodies = [
                {"message": {**kind, "artifact": {"messages": [{"toolCalls": [call]}]}} if call else message}
                for call in (None, *called)
            ]
        case _:
            bodies = [{"name": name, "call": {"to_number": number}, "args": given} for name, given in calls]
    asked = [{"path_parameters": {"trunk": trunk}, "body": body} for body in bodies]
    asked.append({**asked[0], "path_parameters": {"trunk": "nobody"}})
    return [{**one, "media_type": "application/json"} for one in asked]


def messages() -> list[dict[str, Any]]:
    """What clients of MCP send, by either protocol."""
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    call = {"name": "check_availability", "arguments": {"destination": "closed"}}
    asked: list[dict[str, Any]] = []
    for method in (*METHODS, "resources/list"):
        params: dict[str, Any] = call if method == "tools/call" else {}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method, "Mcp-Name": str(call["name"])}
        modern = {**body, "params": {**params, "_meta": meta}}
        asked += [{"body": body}, {"body": modern, "headers": headers}, {"body": modern}]
    asked.append({"body": {"jsonrpc": "2.0", "method": "notifications/initialized"}})
    return [{**one, "media_type": "application/json"} for one in asked]


async def exercised(what: Any, base: str, proof: dict[str, Any], first: list[dict[str, Any]]) -> set[int]:
    """Ask what a document of one path allows, and what it does not: the statuses that came."""
    exercise = partial(exercise_described, examples=EXAMPLES, without=WITHOUT, first=first)
    [seen] = (await asyncio.to_thread(exercise, what, base, proof)).values()
    return seen


@pytest.mark.keeps("19.20", "19.44")
async def test_the_running_gateway_answers_platforms_as_its_document_says(own_net: Net) -> None:
    files, base = asked_by_all(own_net)
    assert {path for _, path in OPERATIONS} == {PLATFORM, MCP}
    async with Gateway(files) as gateway:
        for form, trunk in FORMS.items():
            seen = await exercised(of_form(form), base, PROOFS[form], real(form))
            assert seen >= {200, 400, 404}, form
            assert not [status for status in seen if status >= 500], form
            # Not all that was asked was nonsense.
            for result in ("listed", "available", "error"):
                counted = {"trunk": trunk, "result": result}
                assert await gateway.metric("transfer_gateway_platform_tool_calls_total", **counted), (form, result)
        assert (await gateway.get("/api/status"))["calls"] == 0


@pytest.mark.keeps("19.44")
async def test_the_running_gateway_answers_clients_of_mcp_as_its_document_says(own_net: Net) -> None:
    files, base = asked_by_all(own_net)
    proof = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
    async with Gateway(files) as gateway:
        seen = await exercised(described(MCP), base, proof, messages())
        assert seen >= {200, 202, 400, 404}
        assert not [status for status in seen if status >= 500]
        for method in METHODS:
            answered = {"method": method, "result": "answered"}
            assert await gateway.metric("transfer_gateway_mcp_requests_total", **answered), method
        # Who shows no token, or comes from a page in a browser, is told so as it says, too.
        body = '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
        for headers, status in (({}, 401), ({**proof["headers"], "Origin": "https://gw.example"}, 403)):
            answer = await asyncio.to_thread(requests.post, f"{base}{MCP}", data=body, headers=headers, timeout=10)
            assert (answer.status_code, set(answer.json()["error"])) == (status, {"code", "message"})
        assert (await gateway.get("/api/status"))["calls"] == 0
