# SPDX-License-Identifier: GPL-2.0-or-later
"""What `/api/live` says: the calls in a line each, and what they hang on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from gateway.core.call_line import Line
from gateway.core.json_form import queue_document, timestamp
from gateway.core.model import PbxState
from gateway.ports import Operations

Told: TypeAlias = dict[str, Any]

MOST_CALLS = 100
"""So many lines are shown, whoever is being transferred first: more, nobody reads."""
_OF_GATEWAY = ("instance", "state", "version", "started_at", "problems", "restart_needed")
_OF_QUEUE = (
    "pbx", "queue", "known", "unknown_because", "logged_in", "available", "busy", "paused", "callers", "max_callers",
)  # fmt: skip
_OF_DESTINATION = (
    "destination",
    "name",
    "reason",
    "open",
    "holiday",
    "opens_at",
    "agents_logged_in",
    "callers_waiting",
)


def call_line(line: Line) -> dict[str, Any]:
    """JSON-able."""
    return line._asdict()


async def surroundings(operations: Operations, now: datetime) -> tuple[Told, float]:
    """Everything but the calls, and the seconds of a processor that it took.

    Others have their turn in between: many numbers take longer than a call may wait.
    """
    begun = time.thread_time()
    told = _told(operations, now)
    took_s = time.thread_time() - begun
    numbers = []
    for number in operations.numbers():
        await asyncio.sleep(0)
        begun = time.thread_time()
        numbers.append(_number(operations, number))
        took_s += time.thread_time() - begun
    return {**told, "numbers": numbers}, took_s


def _told(operations: Operations, now: datetime) -> Told:
    status = operations.status()
    states = operations.pbx_states()
    ready, conditions = operations.ready()
    return {
        "gateway": {
            **{name: status.get(name) for name in _OF_GATEWAY},
            "ready": ready,
            "missing": [name for name, holds in conditions.items() if not holds],
        },
        "trunks": [{"trunk": name, **trunk} for name, trunk in status.get("trunks", {}).items()],
        "pbxs": [_pbx(state, status.get("pbx", {}).get(state.pbx, {})) for state in states],
        "broker": status.get("mqtt", {}),
        "queues": [_queue(state, queue, now) for state in states for queue in state.queues],
    }


def _pbx(state: PbxState, condition: Mapping[str, Any]) -> Told:
    return {
        "pbx": state.pbx,
        "source": state.source.value,
        "up": condition.get("up"),
        "because": condition.get("because"),
        "proven_at": state.proven_at and timestamp(state.proven_at),
    }


def _queue(state: PbxState, queue: str, now: datetime) -> Told:
    document = queue_document(state, queue, now)
    return {name: document[name] for name in _OF_QUEUE}


def _number(operations: Operations, number: str) -> Told:
    """How many destinations a number has, and which of them would be refused."""
    try:
        document = operations.availability(number, None)
    except LookupError:  # a reload has taken it out meanwhile
        return {"number": number, "called": None, "destinations": 0, "refused": []}
    destinations: Any = document["destinations"]
    refused = [{name: each[name] for name in _OF_DESTINATION} for each in destinations if not each["available"]]
    return {"number": number, "called": document["called"], "destinations": len(destinations), "refused": refused}
