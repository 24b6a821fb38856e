# SPDX-License-Identifier: GPL-2.0-or-later
"""Which calls a restart waits for, which it leaves to the next process, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from tests.bench import SALES
from tests.bench.bench import ASSIGNED, PBX
from tests.config_directory import write
from tests.engine.test_calls_kept import DIALOG, Notes, Process, taking_up

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config import Config
    from gateway.core.model import LegId

pytestmark = pytest.mark.keeps("22.50")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    directory = write(tmp_path)
    main = directory / "gateway.toml"
    main.write_text(main.read_text().replace("[sip]\n", "[sip]\nrecover_calls = true\n", 1))
    return load(directory)


@pytest.fixture
def first(config: Config) -> Process:
    """The process that is to be restarted."""
    return Process(config, Notes())


class Wait:
    """The wait of a process that is asked for a restart."""

    def __init__(self, process: Process, patience_s: float = 30.0) -> None:
        self.over = 0
        process.bench.engine.drain(patience_s, self._end, leaves_calls=True)

    def _end(self) -> None:
        self.over += 1


def test_who_talks_is_waited_for_by_nobody(first: Process) -> None:
    caller, assistant = first.talk()
    wait = Wait(first)
    assert wait.over == 1
    assert first.bench.engine.left == [caller, assistant]
    assert {caller, assistant} <= first.bench.sip.live.keys()
    assert first.bench.engine.admit(PBX) is not None


def test_nobody_at_all(first: Process) -> None:
    assert (Wait(first).over, first.bench.engine.left, first.bench.engine.leave()) == (1, [], 0)


def test_a_transfer_comes_to_its_end_first(first: Process) -> None:
    caller, assistant = first.talk()
    first.bench.refer(assistant, SALES)
    wait = Wait(first)
    target = first.bench.dialled
    assert target is not None
    first.bench.pass_time(5)
    assert wait.over == 0
    first.know(target)
    first.bench.answers(target)
    first.bench.fails(assistant, 200)
    first.bench.pass_time(2)
    assert wait.over == 1
    assert set(first.bench.engine.left) == {caller, target}
    (ended,) = first.bench.ends()
    assert ended.outcome == "completed"


def test_one_that_fails_leaves_the_caller_with_the_assistant(first: Process) -> None:
    caller, assistant = first.talk()
    first.bench.refer(assistant, SALES)
    wait = Wait(first)
    while not first.bench.ends():
        first.bench.fails(first.bench.dialled)
    first.bench.pass_time(2)
    assert wait.over == 1
    assert set(first.bench.engine.left) == {caller, assistant}


def test_none_begins_meanwhile(first: Process) -> None:
    _, assistant = first.talk()
    _, other = first.bench.bridged("in-2")
    wait = Wait(first)  # the second call cannot be taken up
    assert wait.over == 0
    assert first.bench.refer(assistant, SALES).answered == [503]
    first.bench.fails(other, 200)
    first.bench.pass_time(1)
    assert wait.over == 1


def test_who_is_moved_when_time_is_over_goes_back(first: Process) -> None:
    caller, assistant = first.talk()
    first.bench.refer(assistant, SALES)
    wait = Wait(first, patience_s=3)
    first.bench.pass_time(3)
    assert wait.over == 1
    assert [record.outcome for record in first.bench.ends()] == ["interrupted"]
    first.bench.pass_time(2)
    assert set(first.bench.engine.left) == {caller, assistant}
    assert first.bench.sip.pairs[caller] == assistant


def test_one_that_is_being_taken_up_is_waited_for(first: Process, config: Config) -> None:
    first.talk()
    second = taking_up(first, config)
    one, other = (order.leg for order in second.bench.sip.recovered)
    wait = Wait(second)
    second.know(one, other)
    second.bench.answers(one)
    assert wait.over == 0
    second.bench.answers(other)
    assert wait.over == 1
    assert set(second.bench.engine.left) == {one, other}


def test_one_that_is_still_being_taken_up_when_time_is_over_stays_as_it_was(first: Process, config: Config) -> None:
    first.talk()
    second = taking_up(first, config)
    rows, writes = dict(second.notes.rows), second.notes.writes
    wait = Wait(second, patience_s=1)
    second.bench.pass_time(1)
    assert wait.over == 1
    assert len(second.bench.engine.left) == 2
    assert second.bench.engine.leave() == 1
    assert (second.notes.rows, second.notes.writes) == (rows, writes)


def test_they_are_written_down_as_they_are_at_the_end(first: Process) -> None:
    caller, _ = first.talk()
    first.bench.sip.kept_dialogs[caller] = replace(DIALOG, call_id=f"{caller}@test", local_cseq=99)
    Wait(first)
    first.bench.pass_time(7)
    assert first.bench.engine.leave() == 1
    (kept,) = first.notes.rows.values()
    assert kept.legs[0].dialog.local_cseq == 99
    assert kept.kept_at == first.bench.clock.now().wall


def test_one_whose_dialog_is_gone_by_then_is_not_left(first: Process) -> None:
    caller, _ = first.talk()
    Wait(first)
    del first.bench.sip.kept_dialogs[caller]
    assert first.bench.engine.leave() == 0
    assert not first.notes.rows


def test_whoever_stops_it_meanwhile_has_it_wait_for_all(first: Process) -> None:
    caller, assistant = first.talk()
    first.bench.calls_in("in-2", PBX, ASSIGNED)
    second: LegId | None = first.bench.dialled
    wait = Wait(first)
    first.bench.engine.leave_none()
    assert not first.bench.engine.leaves_calls
    first.bench.fails(second)
    first.bench.pass_time(1)
    assert wait.over == 0
    first.bench.fails(caller, 200)
    first.bench.pass_time(1)
    assert wait.over == 1
    assert assistant not in first.bench.sip.live
