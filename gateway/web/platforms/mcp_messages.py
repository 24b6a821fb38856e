# SPDX-License-Identifier: GPL-2.0-or-later
"""The Model Context Protocol, as far as a server of tools needs it: a JSON-RPC message in, HTTP's status and body out.

Two eras of it are spoken at one address, as the specification has it (2026-07-28, Versioning and Compatibility):
requests that say their version in `_meta` (2026-07-28), and those of clients that begin with `initialize` (2025-11-25,
2025-06-18). Neither has a session: each request is answered by itself. Batches were taken out of the protocol in
2025-06-18, and there is nothing to stream.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = Mapping[str, object]

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18")
VERSIONS = (MODERN, *LEGACY)
VERSION, METHOD, NAME = "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"
METHODS = ("server/discover", "initialize", "ping", "tools/list", "tools/call")
"""That are answered."""
MAX_ID = 200
CACHED_MS = 300_000  # how long a client may keep the list of tools

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
_META = "io.modelcontextprotocol/"


class Answer(NamedTuple):
    """What a request is answered: `body` None for nothing."""

    status: int
    body: Json | None
    method: str | None = None  # of METHODS
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, as clients are told of it."""

    name: str
    title: str
    description: str
    schema: Json

    @property
    def definition(self) -> dict[str, object]:
        """As `tools/list` has it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.schema,
            "annotations": {"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
        }


class _RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: int, message: str, data: Json | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.data = status, code, data


@dataclass(frozen=True, slots=True)
class Server:
    """Answers messages. `call` has the result of a tool by its name and arguments, {"error": …} for a mistake."""

    version: str
    instructions: str
    tools: Sequence[Tool]
    call: Callable[[str, Json], Json]

    def answer(self, message: object, headers: Mapping[str, str]) -> Answer:
        """The answer to a message, which is any JSON."""
        if isinstance(message, list):
            return _error(400, None, INVALID_REQUEST, "batches are not taken: send each message by itself")
        if not isinstance(message, Mapping) or message.get("jsonrpc") != "2.0":
            return _error(400, None, INVALID_REQUEST, 'the body must be a JSON-RPC message: {"jsonrpc": "2.0", …}')
        method, which = message.get("method"), message.get("id")
        if method is None and ("result" in message or "error" in message):
            return Answer(202, None)  # to a question that nobody here has asked
        if not isinstance(method, str):
            return _error(400, None, INVALID_REQUEST, "method: must be a text")
        if "id" not in message:
            return Answer(202, None)
        if not _is_id(which):
            return _error(400, None, INVALID_REQUEST, f"id: must be a number or a text of {MAX_ID} characters")
        params = message.get("params", {})
        known = method if method in METHODS else None
        if not isinstance(params, Mapping):
            return _error(400, which, INVALID_PARAMS, "params: must be an object", method=known)
        try:
            result = self._result(method, params, headers)
        except _RefusedError as error:
            return _error(error.status, which, error.code, str(error), error.data, known)
        return Answer(200, {"jsonrpc": "2.0", "id": which, "result": result}, known, bool(result.get("isError")))

    def _result(self, method: str, params: Json, headers: Mapping[str, str]) -> Json:
        meta = params.get("_meta")
        said = meta.get(f"{_META}protocolVersion") if isinstance(meta, Mapping) else None
        if said is None and headers.get(VERSION) != MODERN:
            return self._legacy(method, params, headers.get(VERSION))
        _check(method, params, meta if isinstance(meta, Mapping) else {}, headers)
        match method:
            case "server/discover":
                told = {"supportedVersions": list(VERSIONS), "capabilities": {"tools": {}}}
                return self._modern({**told, "instructions": self.instructions}, cached=True)
            case "tools/list":
                return self._modern(self._listed, cached=True)
            case "tools/call":
                return self._modern(self._called(params))
        raise _RefusedError(404, NO_METHOD, f"there is no method {method[:60]}")

    def _modern(self, result: Json, *, cached: bool = False) -> Json:
        kept = {"ttlMs": CACHED_MS, "cacheScope": "private"} if cached else {}
        return {"resultType": "complete", **result, **kept, "_meta": {f"{_META}serverInfo": self._name}}

    def _legacy(self, method: str, params: Json, version: str | None) -> Json:
        if method == "initialize":
            asked = params.get("protocolVersion")
            return {
                "protocolVersion": asked if asked in LEGACY else LEGACY[0],
                "capabilities": {"tools": {}},
                "serverInfo": self._name,
                "instructions": self.instructions,
            }
        if version is not None and version not in LEGACY:
            raise _unsupported(version)
        match method:
            case "ping":
                return {}
            case "tools/list":
                return self._listed
            case "tools/call":
                return self._called(params)
        raise _RefusedError(200, NO_METHOD, f"there is no method {method[:60]}")

    @property
    def _name(self) -> Json:
        return {"name": "transfer-gateway", "title": "Transfer gateway", "version": self.version}

    @property
    def _listed(self) -> Json:
        return {"tools": [tool.definition for tool in self.tools]}

    def _called(self, params: Json) -> dict[str, Any]:
        name, arguments = params.get("name"), params.get("arguments")
        tool = next((tool for tool in self.tools if tool.name == name), None)
        if tool is None:
            raise _RefusedError(200, INVALID_PARAMS, f"there is no tool {str(name)[:60]}")
        if arguments is not None and not isinstance(arguments, Mapping):
            raise _RefusedError(200, INVALID_PARAMS, "arguments: must be an object")
        result = self.call(tool.name, arguments or {})
        return {
            "content": [{"type": "text", "text": _text(result)}],
            "structuredContent": result,
            "isError": "error" in result,
        }


def _check(method: str, params: Json, meta: Json, headers: Mapping[str, str]) -> None:
    """What a request of the modern era must have. Raises _RefusedError."""
    said, header = meta.get(f"{_META}protocolVersion"), headers.get(VERSION)
    if not isinstance(said, str) or not isinstance(meta.get(f"{_META}clientCapabilities"), Mapping):
        wanted = f"{_META}protocolVersion and {_META}clientCapabilities"
        raise _RefusedError(400, INVALID_PARAMS, f"_meta: must have {wanted}")
    if header != said:
        raise _mismatch(VERSION, header, said)
    if said != MODERN:
        raise _unsupported(said)
    if headers.get(METHOD) != method:
        raise _mismatch(METHOD, headers.get(METHOD), method)
    name = params.get("name")
    if method == "tools/call" and _plain(headers.get(NAME)) != name:
        raise _mismatch(NAME, headers.get(NAME), str(name))


def _mismatch(header: str, value: str | None, body: str) -> _RefusedError:
    has = "is missing" if value is None else f"is '{value[:60]}'"
    return _RefusedError(400, HEADER_MISMATCH, f"Header mismatch: {header} {has}, the body says '{body[:60]}'")


def _unsupported(version: str) -> _RefusedError:
    data = {"supported": list(VERSIONS), "requested": version[:60]}
    return _RefusedError(400, UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def _plain(value: str | None) -> str | None:
    """A header's value, which may be in Base64 (Streamable HTTP, Value Encoding)."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[len("=?base64?") : -len("?=")], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _is_id(which: object) -> bool:
    if isinstance(which, str):
        return len(which) <= MAX_ID
    return isinstance(which, int) and not isinstance(which, bool) and abs(which) < 1 << 63


def _error(
    status: int, which: object, code: int, message: str, data: Json | None = None, method: str | None = None
) -> Answer:
    error = {"code": code, "message": message, **({"data": data} if data else {})}
    named = {} if which is None else {"id": which}
    return Answer(status, {"jsonrpc": "2.0", **named, "error": error}, method, failed=True)


def unreadable() -> Answer:
    """The body is no JSON."""
    return _error(400, None, PARSE_ERROR, "the body must be JSON")


def _text(result: Json) -> str:
    return json.dumps(result, ensure_ascii=False)
