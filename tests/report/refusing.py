# SPDX-License-Identifier: GPL-2.0-or-later
"""What a broker will not have, and what is told of it."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.record import Milestone
from gateway.report.reporter import EventReporter
from gateway.report.sinks.mqtt import delivery, sink
from gateway.report.store_file import FILE_NAME
from tests.report import samples
from tests.support.mqtt_broker import Published, ScriptedBroker

LARGE = 40_000
OK = 0


def retry_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what the broker did not take tried again within a tenth of a second."""
    monkeypatch.setattr(sink, "FIRST_RETRY_S", 0.1)
    monkeypatch.setattr(sink, "LAST_RETRY_S", 0.1)
    monkeypatch.setattr(delivery, "AGAIN_S", (0.01, 0.02, 0.04, 0.08))


def report_large(reporter: EventReporter, transfer: str = "large") -> None:
    """Report an outcome of a size that some brokers don't take."""
    reporter.transfer(Milestone.ENDED, replace(samples.refused(transfer), trail=("x" * LARGE,)))


def errors(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["log_level"] == "error"]


def set_aside(directory: Path) -> list[tuple[str, str]]:
    """What the store says of refused events: the event's id and why."""
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        return list(db.execute("SELECT id, why FROM refused ORDER BY seq"))


def is_marked(message: Published, mark: bytes = b'"subject":"large"') -> bool:
    return mark in message.payload


def told(broker: ScriptedBroker, mark: bytes) -> int:
    return sum(mark in message.payload for message in broker.taken)


def distinct(broker: ScriptedBroker) -> int:
    return len({message.payload for message in broker.taken if b'"transfer.ended.v1"' in message.payload})


async def no_reply(_payload: bytes, _topic: str | None, _correlation: bytes | None) -> None:
    """Carries out no command."""
