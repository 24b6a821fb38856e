# SPDX-License-Identifier: GPL-2.0-or-later
"""Who handles what platforms ask and tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.core.platform_calls import PlatformCall
from gateway.ports import Operations
from gateway.ports.platform import PlatformObserver
from gateway.web.platforms.events import Handler, Handlers
from gateway.web.platforms.hms_events import AssistantRequests, ToolCalls
from gateway.web.platforms.reports import REPORT, STATUS, report_handlers
from gateway.web.platforms.retell import FUNCTION, Functions
from gateway.web.platforms.tools import Tools
from gateway.web.platforms.vapi import ToolCalls as VapiToolCalls
from gateway.web.platforms.vapi import TransferDestinations

DESTINATION = "transfer-destination-request"
TYPES = ("tool-calls", "assistant-request", STATUS, REPORT, DESTINATION, FUNCTION)
"""Those that are handled, for the metrics."""


def handlers(
    operations: Operations, observer: PlatformObserver, report: Callable[[PlatformCall], Awaitable[None]]
) -> Handlers:
    """By form and type; `report` is told of calls of platforms."""
    return {
        ("hms", "tool-calls"): Handler(ToolCalls(Tools(operations, observer))),
        # Nothing leaves the platform's own assistant in force, whatever goes wrong here.
        ("hms", "assistant-request"): Handler(AssistantRequests(operations), otherwise={}),
        **report_handlers(report),
        ("vapi", "tool-calls"): Handler(VapiToolCalls(Tools(operations, observer))),
        ("vapi", DESTINATION): Handler(
            TransferDestinations(Tools(operations, observer)), otherwise={"error": "The transfer is not possible now."}
        ),
        ("retell", FUNCTION): Handler(Functions(Tools(operations, observer))),
    }
