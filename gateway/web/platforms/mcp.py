# SPDX-License-Identifier: GPL-2.0-or-later
"""An MCP server over streamable HTTP, on the listener for platforms: tools that ask, and change nothing.

Who asks shows a bearer token, which says for which numbers. The messages are in `mcp_messages.py`.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from gateway.core.assistant import CHECK_AVAILABILITY, LIST_DESTINATIONS
from gateway.web.guard import Problem, Sometimes, json_response
from gateway.web.json_body import NoJsonError, has_too_many_parts, is_deeper_than, parsed
from gateway.web.platforms.mcp_messages import Answer, Json, Server, Tool, unreadable
from gateway.web.platforms.tools import Tools

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import AssignedNumber
    from gateway.ports import Operations

EXPLAIN = "explain"
MAX_BODY = 64 * 1024
BODY_S = 5.0
MAX_TARGET = 512
INSTRUCTIONS = (
    "Ask before you promise a transfer: check_availability says whether a transfer would be accepted now. Where it "
    "would not, tell the caller `sentence`, and offer another way. Nothing here transfers anybody."
)
_NUMBER: Json = {
    "type": "string",
    "description": "The assigned number that the caller has called, or its id. May be left out where there is one.",
}
_DESTINATION: Json = {"type": "string", "description": "The number, id, alias or name of a destination."}
_TARGET: Json = {"type": "string", "description": "What the assistant would ask for: a number, SIP URI, alias or id."}


def _takes(*required: str, **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


TOOLS = (
    Tool(
        CHECK_AVAILABILITY,
        "Check availability",
        "Find out whether somebody can take the caller at a destination now, and if not, why not, in words for them.",
        _takes("destination", destination=_DESTINATION, number=_NUMBER),
    ),
    Tool(
        LIST_DESTINATIONS,
        "List destinations",
        "List everywhere the callers of a number can be transferred to, and whether somebody can take them there now.",
        _takes(number=_NUMBER),
    ),
    Tool(
        EXPLAIN,
        "Explain",
        "Explain where a transfer would go, and why: each check of the gate, and what it found.",
        _takes("target", target=_TARGET, number=_NUMBER),
    ),
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Token:
    name: str
    secret: bytes
    numbers: frozenset[str] | None  # ids; None: all


class McpServer:
    """See the module. `count` is told of each request: its method, and what came of it."""

    def __init__(self, operations: Operations, tools: Tools, version: str, count: Callable[[str, str], object]) -> None:
        self._operations = operations
        self._tools = tools
        self._version = version
        self._count = count
        self._refused = Sometimes()
        self._tokens: Sequence[_Token] = ()

    def configure(self, config: Config) -> None:
        """Take other tokens and numbers, at once."""
        self._numbers = config.numbers
        self._tokens = [
            _Token(
                one.name,
                one.secret.get_secret_value().strip().encode(),
                None if one.numbers is None else frozenset(one.numbers),
            )
            for one in (config.platform.mcp_tokens if config.platform is not None else ())
        ]

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """A POST, answered and counted."""
        method, result = "other", "refused"
        try:
            token = self._token(request)
            answer = await self._answer(request, token)
            method, result = answer.method or "other", "error" if answer.failed else "answered"
            if answer.body is None:
                return web.Response(status=answer.status)
            return json_response(dict(answer.body), status=answer.status)
        except Problem as problem:
            result = "not-proved" if problem.status == 401 else "refused"
            if (others := self._refused.others()) is not None:
                log.warning("mcp-request-refused", remote=request.remote, code=problem.code, others_since=others)
            raise
        finally:
            self._count(method, result)

    def _token(self, request: web.Request) -> _Token:
        """Whose request it is. Raises Problem."""
        if not self._tokens:
            raise Problem(404, "not-found", "there is nothing at this address")
        if "Origin" in request.headers:
            # Streamable HTTP, Security: a page in a browser may have its own name lead here.
            raise Problem(403, "wrong-origin", "this is not for pages in a browser")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        shown = given.strip().encode("utf-8", "surrogateescape")
        # Each in constant time, and all of them.
        fitting = [token for token in self._tokens if hmac.compare_digest(shown, token.secret)]
        if scheme.lower() != "bearer" or not fitting:
            challenge = {"WWW-Authenticate": 'Bearer realm="transfer-gateway"'}
            message = "this needs the header 'Authorization: Bearer <token>' with a token of [[platform.mcp_tokens]]"
            raise Problem(401, "wrong-token", message, headers=challenge)
        return fitting[0]

    async def _answer(self, request: web.Request, token: _Token) -> Answer:
        try:
            async with asyncio.timeout(BODY_S):
                body = await request.read()
        except TimeoutError:
            raise Problem(408, "too-slow", f"the body has not come within {BODY_S:g} s") from None
        if len(body) > MAX_BODY:
            raise Problem(413, "too-large", f"the body has more than {MAX_BODY} bytes")
        if has_too_many_parts(body):
            raise Problem(413, "too-large", "the body has too many parts")
        try:
            message = parsed(body)
        except NoJsonError:
            return unreadable()
        if is_deeper_than(message):
            raise Problem(400, "bad-request", "the body is too deep")
        server = Server(self._version, INSTRUCTIONS, TOOLS, lambda name, given: self._call(token, name, given))
        return server.answer(message, request.headers)

    def _call(self, token: _Token, tool: str, arguments: Json) -> Json:
        known = next(each for each in TOOLS if each.name == tool).schema
        problem = _problem(arguments, known)
        if problem is not None:
            return {"error": problem}
        number, problem = self._number(token, arguments.get("number"))
        if number is None:
            return {"error": problem, "numbers": [{"id": one.id, "number": one.number} for one in self._of(token)]}
        if tool == EXPLAIN:
            return dict(self._operations.explain(str(arguments["target"]), number.id, None))
        return self._tools.asked(number.trunk, number, number.number).call(tool, arguments)

    def _of(self, token: _Token) -> list[AssignedNumber]:
        return [one for one in self._numbers if token.numbers is None or one.id in token.numbers]

    def _number(self, token: _Token, named: object) -> tuple[AssignedNumber | None, str]:
        """The number that is asked about, or why there is none."""
        numbers = self._of(token)
        if named is None:
            return (numbers[0], "") if len(numbers) == 1 else (None, "number: is missing; give one of these")
        found = next((one for one in numbers if named in (one.id, one.number)), None)
        return found, "number: is none that this token may ask about; give one of these"


def _problem(arguments: Mapping[str, object], schema: Json) -> str | None:
    """What is wrong with the arguments of a tool, all of which are texts."""
    properties, required = schema["properties"], schema["required"]
    assert isinstance(properties, Mapping)  # noqa: S101 -- written above
    assert isinstance(required, list)  # noqa: S101 -- written above
    for name, value in arguments.items():
        if name not in properties:
            return f"{name[:60]}: is not taken; there are {', '.join(properties)}"
        if not isinstance(value, str) or not 0 < len(value.strip()) <= MAX_TARGET:
            return f"{name}: must be a text of up to {MAX_TARGET} characters"
    missing = next((name for name in required if name not in arguments), None)
    return f"{missing}: is missing" if missing else None
