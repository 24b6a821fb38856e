# SPDX-License-Identifier: GPL-2.0-or-later
"""Vapi's form (docs.vapi.ai: Server events, Server authentication, Dynamic call transfers; its OpenAPI document).

Each request shows the secret of a custom credential: `Authorization: Bearer …`, or `X-Vapi-Secret` of older ones. It
names no time, so that nothing speaks against a repetition; nothing that is answered here changes anything.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence

from gateway.core.assistant import CHECK_AVAILABILITY
from gateway.core.model import AssignedNumber
from gateway.ports.platform import PlatformResult
from gateway.web.json_body import NoJsonError, parsed
from gateway.web.platforms.events import JsonObject, PlatformEvent, PlatformProblem, Proof, Told
from gateway.web.platforms.hms import message_told
from gateway.web.platforms.tools import Asked, Tools, named_calls

SECRET = "X-Vapi-Secret"  # noqa: S105 -- the name of a header
MAX_ARGUMENTS = 4096
LAST = 20  # messages of the conversation that are looked through


class Vapi:
    """A `Form`."""

    def prove(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float) -> Proof:
        """See Form."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else headers.get(SECRET, "")
        shown = given.encode("utf-8", "surrogateescape")
        # Each in constant time, and all of them.
        right = [hmac.compare_digest(shown, secret) for secret in secrets]
        if not any(right):
            message = f"this needs 'Authorization: Bearer <secret>', or {SECRET}, with a secret of secret_files"
            raise PlatformProblem(401, "signature-wrong", message, PlatformResult.NOT_PROVED)
        return Proof(now, None)

    def read(self, document: JsonObject) -> Told:
        """See Form."""
        return message_told(document, "phoneNumber")


class ToolCalls:
    """Answers `tool-calls`: a result for each `toolCallId`, as a text, which is what Vapi hands to its model."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def __call__(self, event: PlatformEvent) -> JsonObject:
        """See PlatformEvent."""
        calls = named_calls(event.message, "toolCallList")
        if isinstance(calls, str):
            return {"error": calls}
        asked = self._tools.asked(event.trunk, event.number, event.called)
        results = [(which, asked.call(*_function(call))) for which, call in calls]
        return {"results": [{"toolCallId": which, "result": _in_a_line(result)} for which, result in results]}


class TransferDestinations:
    """Answers `transfer-destination-request`: where the caller is to go, or why not, in words for them.

    The request names no destination. Taken is what the newest call of a tool in the conversation says is the
    `destination`; without one, the number's only destination. Which else would be a guess, and is not made.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def __call__(self, event: PlatformEvent) -> JsonObject:
        """See PlatformEvent."""
        asked, number = self._tools.asked(event.trunk, event.number, event.called), event.number
        wanted = _wanted(event.message) or (_only(number) if number is not None else None)
        if number is None or wanted is None:
            # As the tool tells it, with all that could be meant.
            return _refused(asked, {})
        found = asked.call(CHECK_AVAILABILITY, {"destination": wanted})
        if not found.get("available") or found.get("number") is None:
            return {"error": str(found.get("sentence") or found.get("error") or "There is no number to transfer to.")}
        destination = number.destinations[str(found["destination"])]
        said = {"message": destination.message} if destination.message else {}
        return {"destination": {"type": "number", "number": found["number"], **said}}


def _refused(asked: Asked, arguments: JsonObject) -> JsonObject:
    found = asked.call(CHECK_AVAILABILITY, arguments)
    offered = found.get("destinations")
    names = ", ".join(str(one["number"]) for one in offered) if isinstance(offered, list) else ""
    return {"error": f"{found['error']}: {names}" if names else str(found["error"])}


def _only(number: AssignedNumber) -> str | None:
    offered = [each.number for each in number.destinations.values() if each.number]
    return offered[0] if len(offered) == 1 else None


def _wanted(message: JsonObject) -> str | None:
    """What the model named, in its newest call of a tool."""
    artifact = message.get("artifact")
    messages = artifact.get("messages") if isinstance(artifact, Mapping) else None
    for said in reversed(messages[-LAST:] if isinstance(messages, list) else []):
        for arguments in _calls(said):
            wanted = arguments.get("destination")
            if isinstance(wanted, str) and wanted.strip():
                return wanted
    return None


def _calls(said: object) -> Iterator[JsonObject]:
    calls = said.get("toolCalls") if isinstance(said, Mapping) else None
    for call in reversed(calls if isinstance(calls, list) else []):
        if isinstance(call, Mapping):
            arguments = _function(call)[1]
            if isinstance(arguments, Mapping):
                yield arguments


def _function(call: Mapping[str, object]) -> tuple[str, object]:
    """Name and arguments of a call, of which Vapi has two spellings, and the arguments as an object or as its JSON."""
    function = call.get("function")
    fields = function if isinstance(function, Mapping) else call
    name = fields.get("name")
    arguments = fields.get("arguments", fields.get("parameters"))
    if isinstance(arguments, str) and len(arguments) <= MAX_ARGUMENTS:
        try:
            arguments = parsed(arguments.encode())
        except NoJsonError:
            arguments = ""  # no object
    return name if isinstance(name, str) else "", {} if arguments is None else arguments


def _in_a_line(result: JsonObject) -> str:
    return json.dumps(result, ensure_ascii=False)
