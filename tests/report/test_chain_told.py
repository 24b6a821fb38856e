# SPDX-License-Identifier: GPL-2.0-or-later
"""The broker is told how far the chain of outcomes has come, for whoever notes it elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from gateway.core.record import Milestone
from gateway.report.history.chain import Head
from gateway.report.reporter import EventReporter
from gateway.report.schemas import json_schemas
from gateway.report.sinks import history as sink
from tests.report import samples
from tests.report.history.made_up import ended
from tests.report.listener import Listener, Received
from tests.report.reporting import BASE, Standing, address, reporting
from tests.support.broker import Broker

pytestmark = pytest.mark.broker
CLOCK = Standing(samples.after(100))  # by another one these transfers would be too old to be kept


def heads(received: list[Received]) -> list[Head]:
    return [Head(one.body["n"], one.body["hash"]) for one in received if one.topic == f"{BASE}/chain"]


def end(reporter: EventReporter, first: int, last: int) -> None:
    for n in range(first, last):
        reporter.transfer(Milestone.ENDED, ended(n))


def head_of(reporter: EventReporter) -> Head:
    size = reporter.history.state.size
    assert size is not None
    return size.head


@pytest.mark.keeps("16.193")
async def test_the_head_of_the_chain_is_retained_by_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "LOOK_EVERY_S", 0)
    async with Broker() as broker:
        async with Listener(broker) as listener, reporting(tmp_path, address(broker), clock=CLOCK) as (reporter, _):
            end(reporter, 0, 3)
            await listener.until(lambda received: [head.n for head in heads(received)][-1:] == [3])
            assert heads(listener.received)[-1] == head_of(reporter)
            told = heads(listener.received)
            end(reporter, 3, 4)
            await listener.until(lambda received: [head.n for head in heads(received)][-1:] == [4])
            # Each is told once, and what was told stays what the chain says of that line.
            assert heads(listener.received)[: len(told)] == told
            assert len(set(heads(listener.received))) == len(heads(listener.received))
        async with Listener(broker) as late:
            await late.until(lambda received: bool(heads(received)))
            (retained,) = [one for one in late.received if one.topic == f"{BASE}/chain"]
        assert retained.retained
        jsonschema.validate(retained.body, json_schemas()["chain"])
        assert json.dumps(retained.body).count("hash") == 1
        # After a restart it goes on from there.
        async with Listener(broker) as listener, reporting(tmp_path, address(broker), clock=CLOCK) as (reporter, _):
            end(reporter, 4, 5)
            await listener.until(lambda received: [head.n for head in heads(received)][-1:] == [5])


async def test_a_chain_without_a_line_is_not_told(tmp_path: Path) -> None:
    async with Broker() as broker, Listener(broker) as listener:
        async with reporting(tmp_path, address(broker)):
            await listener.says("/status", state="online")
        await listener.says("/status", state="offline")
        assert heads(listener.received) == []
