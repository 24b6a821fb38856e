# SPDX-License-Identifier: GPL-2.0-or-later
"""How far the caller of each call has come, as whoever looks at the calls is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.call_line import Line, lines
from gateway.core.model import AnsweredBy
from tests.bench import Bench
from tests.bench.bench import PBX, Source
from tests.config_directory import write
from tests.core.gates import pbx, queue

if TYPE_CHECKING:
    from pathlib import Path

ASSIGNED = "sip:+31201234567@gw"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """With a PBX that tells who answers, whose queue has somebody; when the test is over nothing may be left in it."""
    bench = Bench(load(write(tmp_path)))
    bench.engine.sources = {"asterisk": Source(pbx(queue(), proven_at=bench.clock.now().wall))}
    yield bench
    bench.finish()


def only(bench: Bench) -> Line:
    [found] = lines(list(bench.engine.calls), 10)
    return found


def stage(bench: Bench) -> tuple[str, str | None, str | None]:
    found = only(bench)
    return found.stage, found.destination, found.transfer_state


def test_from_the_assistant_to_the_queue_to_a_person(bench: Bench) -> None:
    bench.calls_in("in-1", PBX, ASSIGNED)
    assistant = bench.dialled
    assert assistant is not None
    assert stage(bench) == ("calling", None, None)
    assert (only(bench).number, only(bench).begun_by, only(bench).transfer) == ("main-line", "asterisk", None)
    bench.answers(assistant)
    assert stage(bench) == ("assistant", None, None)
    assert only(bench).stage_at is not None
    bench.refer(assistant)
    assert stage(bench) == ("asked", "sales", "dialling")
    assert (only(bench).destination_name, only(bench).transfer) == ("sales", bench.engine.transfers[0].id)
    bench.rings(bench.dialled)
    assert stage(bench) == ("asked", "sales", "ringing")
    target = bench.dialled
    bench.answers(target)
    assert stage(bench) == ("waiting", "sales", "connected")
    bench.engine.call_answered("asterisk", f"{target}@test", AnsweredBy.AGENT, "PJSIP/6001", bench.clock.now().wall)
    assert stage(bench) == ("person", "sales", None)
    assert only(bench).answered_by == "agent"


def test_those_who_are_transferred_come_first_then_the_newest(bench: Bench) -> None:
    assistants = [bench.bridged(f"in-{place}")[1] for place in (1, 2, 3)]
    first, second, third = sorted(bench.engine.calls, key=lambda call: call.began.steady)
    bench.refer(assistants[0])
    assert [one.call for one in lines(list(bench.engine.calls), 2)] == [first.id, third.id]
    assert {one.call for one in lines(list(bench.engine.calls), 3)} == {first.id, second.id, third.id}


@pytest.mark.slow
@pytest.mark.keeps("23.13")
def test_a_look_at_500_calls_costs_next_to_nothing(tmp_path: Path) -> None:
    """Two looks a second may take 20 ms; the best of some is what it takes where nobody else is in the way."""
    bench = Bench(load(write(tmp_path)))
    for place in range(500):
        _, assistant = bench.bridged(f"in-{place}")
        if place % 10 == 0:
            bench.refer(assistant)
    assert (len(bench.engine.calls), len(bench.engine.transfers)) == (500, 50)

    def look() -> float:
        begun = time.thread_time()
        found = lines(list(bench.engine.calls), 100)
        assert len(json.dumps([line._asdict() for line in found])) > 20_000
        return time.thread_time() - begun

    assert min(look() for _ in range(20)) < 0.01
