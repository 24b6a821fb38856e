# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever happens in whatever order, the store says what a few sets say, and keeps what is needed and no more."""

import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.report import cursors, store
from gateway.report.cursors import Refuse, Resend, Standing, Taken
from gateway.report.store import Put, Store, TransferChange

SINKS = ("mqtt", "other")
WAITING, REFUSED, HISTORY = 8, 3, 2  # the limits, made small
TRANSFERS = ("a", "b", "c", "d", "e", "f", None)
STATES = ("running", "completed", "other")
PICKED = st.lists(st.integers(0, 12), min_size=1, max_size=8)
sinks = st.sampled_from(SINKS)


def event(transfer: str | None, state: str) -> Put:
    change = None
    if transfer is not None:
        change = TransferChange(transfer, transfer, ended=state != "running", completed=state == "completed")
    return Put("event", "t", "{}", 1.0, change)


class StoreMachine(RuleBasedStateMachine):
    """Two sinks, a few transfers, and the same in sets."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = [
            mock.patch.object(cursors, "MAX_REFUSED", REFUSED),
            mock.patch.object(store, "HISTORY_OF_EACH", HISTORY),
        ]
        for patch in self.patches:
            patch.start()
        self.directory = Path(tempfile.mkdtemp())
        self.store = self.opened()
        self.seq = 0
        self.waiting: dict[str, set[int]] = {sink: set() for sink in SINKS}
        self.refused: dict[str, dict[int, bool]] = {sink: {} for sink in SINKS}
        self.newest: dict[str, tuple[int, str]] = {}  # by transfer: its newest event, and how it stands

    def opened(self) -> Store:
        made = Store(self.directory, SINKS, max_events=WAITING)
        made.open()
        return made

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)
        for patch in self.patches:
            patch.stop()

    @rule(told=st.lists(st.tuples(st.sampled_from(TRANSFERS), st.sampled_from(STATES)), min_size=1, max_size=6))
    def put(self, told: list[tuple[str | None, str]]) -> None:
        self.store.apply([event(transfer, state) for transfer, state in told])
        for transfer, state in told:
            _, before = self.newest.get(transfer or "", (0, "running"))
            if transfer and before != "running" and state != "running":
                continue  # a transfer has one end
            self.seq += 1
            if transfer and before == "running":
                self.newest[transfer] = self.seq, state
            for sink in SINKS:
                self.waiting[sink].add(self.seq)
        for kind in ("completed", "other"):
            ended = sorted((seq, name) for name, (seq, state) in self.newest.items() if state == kind)
            for _, name in ended[:-HISTORY]:
                del self.newest[name]
        for sink in SINKS:
            self.drop_oldest(sink)

    def drop_oldest(self, sink: str) -> None:
        for seq in sorted(self.waiting[sink])[:-WAITING]:
            self.waiting[sink].remove(seq)

    @rule(sink=sinks, picked=PICKED)
    def take(self, sink: str, picked: list[int]) -> None:
        chosen = [self.pick(each) for each in picked]
        self.store.apply([Taken(sink, seq) for seq in chosen])
        self.waiting[sink] -= set(chosen)

    @rule(sink=sinks, picked=PICKED, hangs_up=st.booleans())
    def refuse(self, sink: str, picked: list[int], hangs_up: bool) -> None:
        chosen = [self.pick(each) for each in picked]
        self.store.apply([Refuse(sink, seq, 1.0, "no", hangs_up) for seq in chosen])
        self.refused[sink] |= dict.fromkeys(self.waiting[sink] & set(chosen), hangs_up)
        self.waiting[sink] -= set(chosen)
        for seq in sorted(self.refused[sink])[:-REFUSED]:
            del self.refused[sink][seq]

    @rule()
    def take_all(self) -> None:
        for sink in SINKS:
            self.store.apply([Taken(sink, seq) for seq in sorted(self.waiting[sink], reverse=True)])
            self.waiting[sink].clear()

    def pick(self, number: int) -> int:
        """One of the newest events, whether it waits or not, or none at all."""
        return max(0, self.seq - number)

    @rule(sink=sinks, everything=st.booleans())
    def resend(self, sink: str, everything: bool) -> None:
        self.store.apply([Resend(sink, everything)])
        again = {seq for seq, hangs_up in self.refused[sink].items() if everything or not hangs_up}
        self.waiting[sink] |= again
        for seq in again:
            del self.refused[sink][seq]
        self.drop_oldest(sink)

    @precondition(lambda self: self.seq)
    @rule()
    def start_anew(self) -> None:
        self.store.close()
        self.store = self.opened()

    @invariant()
    def it_says_what_waits(self) -> None:
        for sink in SINKS:
            waiting, refused = sorted(self.waiting[sink]), self.refused[sink]
            assert [event.seq for event in self.store.fetch(sink, 0, 100)] == waiting
            middle = waiting[len(waiting) // 2] if waiting else 0
            assert [event.seq for event in self.store.fetch(sink, middle, 2)] == [s for s in waiting if s > middle][:2]
            assert self.store.standing[sink] == Standing(len(waiting), len(refused), "no" if refused else "")

    @invariant()
    def it_remembers_each_transfer_as_it_stands(self) -> None:
        known = {one.change.transfer: one.change.state for one in self.store.history()}
        assert known == {name: state for name, (_, state) in self.newest.items()}

    @invariant()
    def it_keeps_what_is_needed(self) -> None:
        db: Any = self.store._file.db
        stored = {seq for (seq,) in db.execute("SELECT seq FROM journal")}
        waiting = set.union(*self.waiting.values())
        needed = waiting | {seq for seq, _ in self.newest.values()}
        needed |= {seq for refused in self.refused.values() for seq in refused}
        assert needed <= stored
        # What all have taken stays only as long as something before it waits.
        assert all(min(waiting, default=self.seq) < seq for seq in stored - needed)


StoreMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
test_the_store_says_what_a_few_sets_say = pytest.mark.keeps("16.96")(pytest.mark.thorough(StoreMachine.TestCase))
