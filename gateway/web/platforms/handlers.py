# SPDX-License-Identifier: GPL-2.0-or-later
"""Who handles what platforms ask and tell."""

from __future__ import annotations

from gateway.ports import Operations
from gateway.ports.platform import PlatformObserver
from gateway.web.platforms.events import Handler, Handlers
from gateway.web.platforms.hms_events import AssistantRequests, ToolCalls
from gateway.web.platforms.tools import Tools

TYPES = ("tool-calls", "assistant-request")
"""Those that are handled, for the metrics."""


def handlers(operations: Operations, observer: PlatformObserver) -> Handlers:
    """By form and type."""
    return {
        ("hms", "tool-calls"): Handler(ToolCalls(Tools(operations, observer))),
        # Nothing leaves the platform's own assistant in force, whatever goes wrong here.
        ("hms", "assistant-request"): Handler(AssistantRequests(operations), otherwise={}),
    }
