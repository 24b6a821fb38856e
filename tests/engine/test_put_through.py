# SPDX-License-Identifier: GPL-2.0-or-later
"""Who was put through to somebody and comes back there from a further transfer has a conversation still to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.outcome import CallEnd, Outcome
from tests.bench import SALES, SUPPORT, Bench
from tests.config_directory import write

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.model import LegId
    from gateway.core.record import CallRecord

pytestmark = pytest.mark.keeps("22.65")


class Onward:
    """A caller who was put through to sales, where somebody transfers them on to support."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.caller, assistant = bench.bridged()
        bench.refer(assistant, SALES)
        self.sales = self._dialled()
        bench.answers(self.sales)
        bench.fails(assistant, 200)
        bench.pass_time(10)
        bench.refer(self.sales, SUPPORT)
        self.support = self._dialled()

    def _dialled(self) -> LegId:
        leg = self.bench.dialled
        assert leg is not None
        return leg

    def given_back(self) -> None:
        """Nobody there takes the call, and nobody where it overflows to."""
        while (rings := self.bench.dialled) is not None:
            self.bench.fails(rings)
            self.bench.pass_time()
        assert self.bench.sip.pairs[self.caller] == self.sales

    def end(self) -> CallRecord:
        """What is told of the end: to whom it is an event, once, and to the metrics, once."""
        reported, observed = self.bench.witness.calls
        assert reported == observed
        return reported


@pytest.fixture
def onward(tmp_path: Path) -> Onward:
    return Onward(Bench(load(write(tmp_path))))


@pytest.mark.parametrize("who", ["caller", "sales"])
def test_who_comes_back_to_a_person_has_an_end_there(onward: Onward, who: str) -> None:
    onward.given_back()
    (call,) = onward.bench.engine.call_records()
    assert call.destination == "sales"
    onward.bench.fails(onward.caller if who == "caller" else onward.sales, 200)
    onward.bench.pass_time(10)
    completed, failed = onward.bench.ends()
    assert (completed.outcome, failed.outcome) == (Outcome.COMPLETED, Outcome.FAILED)
    end = onward.end()
    assert (end.transfer, end.destination, end.reason) == (completed.transfer, "sales", CallEnd.HUNG_UP)


def test_who_hangs_up_while_being_transferred_on_ends_the_conversation_before(onward: Onward) -> None:
    onward.bench.fails(onward.caller, 200)
    onward.bench.pass_time(10)
    completed, abandoned = onward.bench.ends()
    assert abandoned.outcome is Outcome.ABANDONED
    assert (onward.end().transfer, onward.end().destination) == (completed.transfer, "sales")


def test_who_is_transferred_on_ends_the_conversation_that_is_the_last(onward: Onward) -> None:
    onward.bench.answers(onward.support)
    onward.bench.pass_time(10)
    onward.bench.fails(onward.caller, 200)
    onward.bench.pass_time(10)
    _, onwards = onward.bench.ends()
    assert onwards.outcome is Outcome.COMPLETED
    assert (onward.end().transfer, onward.end().destination) == (onwards.transfer, "support")


def test_who_comes_back_to_the_assistant_has_none(tmp_path: Path) -> None:
    bench = Bench(load(write(tmp_path)))
    caller, assistant = bench.bridged()
    bench.refer(assistant, SALES)
    while (rings := bench.dialled) is not None:
        bench.fails(rings)
        bench.pass_time()
    assert bench.sip.pairs[caller] == assistant
    bench.fails(caller, 200)
    bench.pass_time(10)
    assert [one.destination for one in bench.witness.calls] == [None]  # to the metrics alone
