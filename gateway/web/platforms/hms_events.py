# SPDX-License-Identifier: GPL-2.0-or-later
"""What HMS Sovereign asks of us before a call and during it: `tool-calls`, `assistant-request` (its guides)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.ports import Operations
from gateway.web.platforms.events import JsonObject, PlatformEvent
from gateway.web.platforms.tools import Asked, Tools, named_calls


class ToolCalls:
    """Answers `tool-calls` in the form that is clear for several calls: a result for each `tool_call_id`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def __call__(self, event: PlatformEvent) -> JsonObject:
        """A result for each call; an error where it is not known to which call that would belong."""
        calls = named_calls(event.message, "tool_call_list")
        if isinstance(calls, str):
            return {"error": calls}
        asked = self._tools.asked(event.trunk, event.number, event.called)
        return {"results": [{"tool_call_id": which, "result": _result(asked, call)} for which, call in calls]}


def _result(asked: Asked, call: Mapping[str, object]) -> JsonObject:
    function = call.get("function")
    name = function.get("name") if isinstance(function, Mapping) else None
    arguments = function.get("arguments") if isinstance(function, Mapping) else None
    # A tool that takes nothing may be called with nothing.
    return asked.call(name if isinstance(name, str) else "", {} if arguments is None else arguments)


class AssistantRequests:
    """Answers `assistant-request` with the assistant of the number called; with nothing where it has none of ours.

    Nothing is the answer that leaves the platform's own in force.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def __call__(self, event: PlatformEvent) -> JsonObject | None:
        """A transient assistant, or what the file says of a saved one."""
        assistant = self._operations.assistant(event.number.id) if event.number is not None else None
        if assistant is None or {"assistant", "assistant_id"} & assistant.keys():
            return assistant
        return {"assistant": assistant}
