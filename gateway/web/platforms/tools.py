# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools of an assistant that ask before it promises, whichever way its platform calls them.

What they say is decided by the gate of a REFER (`core.availability`). A mistake is told in words that a model can use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import structlog

from gateway.core.assistant import CHECK_AVAILABILITY, LIST_DESTINATIONS
from gateway.core.model import AssignedNumber
from gateway.ports import Operations, UnknownDestinationError
from gateway.ports.platform import PlatformObserver
from gateway.web.platforms.events import JsonObject

TOOLS = (CHECK_AVAILABILITY, LIST_DESTINATIONS)
MAX_CALLS = 25
"""Of tools, in one request."""
MAX_ID = 200
MAX_NAMED = 200  # characters of what a model calls a destination
SHOWN = 60
_TOLD = (
    *("destination", "name", "number", "available", "leads_to", "reason", "sentence", "open", "holiday", "opens_at"),
    *("closes_at", "agents_available", "callers_waiting", "expected_wait_s"),
)
_LISTED = ("destination", "name", "number", "description", "available", "sentence", "opens_at")

log = structlog.get_logger(__name__)


class _ToolError(Exception):
    """What a model has asked cannot be answered; `more` helps it to ask better. `reason` is for the log."""

    def __init__(self, reason: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.more = more


class Tools:
    """Answers for the numbers of trunks."""

    def __init__(self, operations: Operations, observer: PlatformObserver) -> None:
        self._operations = operations
        self._observer = observer

    def asked(self, trunk: str, number: AssignedNumber | None, called: str | None) -> Asked:
        """By a call for this number; `called` is what the platform names as the number called."""
        return Asked(self._operations, self._observer, trunk, number, called)


class Asked:
    """One request: all that is asked in it is answered about one moment, and no more is looked up than once."""

    def __init__(
        self,
        operations: Operations,
        observer: PlatformObserver,
        trunk: str,
        number: AssignedNumber | None,
        called: str | None,
    ) -> None:
        self._operations = operations
        self._observer = observer
        self._trunk = trunk
        self._number = number
        self._called = called
        self._whole: list[Mapping[str, Any]] | None = None

    def call(self, tool: str, arguments: object) -> JsonObject:
        """The result of a tool, or `{"error": "…"}`."""
        # What a model has said is not for the log: it may be what a caller has told it.
        try:
            result = self._call(tool, arguments)
            about = {"destination": result.get("destination"), "reason": result.get("reason")}
        except _ToolError as error:
            result, about = {"error": str(error), **error.more}, {"reason": error.reason}
        came = _in_a_word(tool, result)
        self._observer.tool_called(self._trunk, tool, came)
        known = tool if tool in TOOLS else "other"
        log.info(
            "tool-called", trunk=self._trunk, number=self._number.id if self._number else None, tool=known, result=came,
            **{name: value for name, value in about.items() if value is not None},
        )  # fmt: skip
        return result

    def _call(self, tool: str, arguments: object) -> dict[str, Any]:
        if tool not in TOOLS:
            raise _ToolError("unknown-tool", f"there is no tool {tool[:SHOWN]}; there are {' and '.join(TOOLS)}")
        number = self._number
        if number is None:
            named = "names no number that was called" if self._called is None else f"is for {self._called[:SHOWN]}"
            raise _ToolError("unknown-number", f"this call {named}, for which this gateway knows no destinations")
        if not isinstance(arguments, Mapping):
            raise _ToolError("bad-arguments", "arguments: must be an object")
        if tool == LIST_DESTINATIONS:
            return {"destinations": [_part(one, _LISTED) for one in self._all(number) if one["number"]]}
        asked = arguments.get("destination")
        if not isinstance(asked, str) or not asked.strip():
            problem = "destination: is missing; give the number of one of these"
            raise _ToolError("bad-arguments", problem, destinations=_names(number))
        return _part(self._one(number, asked), _TOLD)

    def _one(self, number: AssignedNumber, asked: str) -> Mapping[str, Any]:
        """The destination that a REFER to `asked` would name, or else the only one that callers know by this name."""
        if len(asked) <= MAX_NAMED:
            try:
                [found] = _destinations(self._operations.availability(number.id, asked))
            except UnknownDestinationError:
                name = asked.strip().casefold()
                named = [one for one in self._all(number) if one["name"].casefold() == name]
                if len(named) == 1:
                    return named[0]
            else:
                return found
        problem = f'there is no destination "{asked[:SHOWN]}"; give the number of one of these'
        raise _ToolError("unknown-destination", problem, destinations=_names(number))

    def _all(self, number: AssignedNumber) -> list[Mapping[str, Any]]:
        if self._whole is None:
            self._whole = _destinations(self._operations.availability(number.id, None))
        return self._whole


def named_calls(message: JsonObject, key: str) -> Sequence[tuple[str, JsonObject]] | str:
    """The calls of tools that a message lists under `key`, each with its id; or what is wrong with the list."""
    calls = message.get(key)
    if not isinstance(calls, list) or not 0 < len(calls) <= MAX_CALLS:
        return f"{key}: must be a list of 1 to {MAX_CALLS} calls"
    found = []
    for call in calls:
        which = call.get("id") if isinstance(call, dict) else None
        if not isinstance(which, str) or not 0 < len(which) <= MAX_ID:
            return f"{key}: each call must have an id"
        found.append((which, call))
    return found


def _names(number: AssignedNumber) -> list[dict[str, str | None]]:
    offered = [each for each in number.destinations.values() if each.number]
    return [{"destination": each.id, "name": each.spoken_name, "number": each.number} for each in offered]


def _destinations(document: Mapping[str, object]) -> list[Mapping[str, Any]]:
    return cast("list[Mapping[str, Any]]", document["destinations"])


def _part(document: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: document[name] for name in names}


def _in_a_word(tool: str, result: Mapping[str, object]) -> str:
    if "error" in result:
        return "error"
    if tool == LIST_DESTINATIONS:
        return "listed"
    return "available" if result["available"] else "unavailable"
