# SPDX-License-Identifier: GPL-2.0-or-later
"""Which calls are written down for the next process, and what becomes of those that an earlier one has left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.kept_call import LEAP, LEAP_A_SECOND, MOST, KeptCall, KeptDialog, RecoveryOrder
from gateway.core.outcome import CallEnd
from gateway.ports import NotSent, NotSentError
from tests.bench import SALES, SUPPORT, Bench
from tests.bench.bench import ASSIGNED, PBX
from tests.bench.sip import FakeSip
from tests.config_directory import write

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config import Config
    from gateway.core.model import LegId

pytestmark = pytest.mark.keeps("22.19")

DIALOG = KeptDialog(
    call_id="a@test", local_tag="ours", remote_tag="theirs", local="<sip:gw@gw.example>",
    remote="<sip:eve@far.example>", local_cseq=7, remote_cseq=3, target="sip:eve@192.0.2.7", codec="PCMA",
    origin_id=5, origin_version=2,
)  # fmt: skip


class Notes:
    """A CallStore: what it was told, and what it holds."""

    def __init__(self) -> None:
        self.rows: dict[str, KeptCall] = {}
        self.writes = 0

    def keep_call(self, kept: KeptCall) -> None:
        """See ports.CallStore."""
        self.rows[kept.call] = kept
        self.writes += 1

    def strike_out_call(self, call: str) -> None:
        """See ports.CallStore."""
        del self.rows[call]
        self.writes += 1


class Process:
    """A bench whose calls are written down; `left` is what the one before it has left."""

    def __init__(self, config: Config, notes: Notes) -> None:
        self.notes = notes
        self.bench = Bench(config)
        self.bench.engine.attach(self.bench.sip, notes)

    def know(self, *legs: LegId) -> None:
        """Have these legs a dialog that can be taken up."""
        for leg in legs:
            self.bench.sip.kept_dialogs[leg] = replace(DIALOG, call_id=f"{leg}@test")

    def talk(self) -> tuple[LegId, LegId]:
        """A caller talks to the assistant."""
        caller = self.bench.calls_in("in-1", PBX, ASSIGNED)
        assistant = self.bench.dialled
        assert assistant is not None
        self.know(caller, assistant)
        self.bench.answers(assistant)
        return caller, assistant

    def put_through(self) -> tuple[LegId, LegId, LegId]:
        """A caller was put through to sales: theirs, the assistant's, which is over, and that of sales."""
        caller, assistant = self.talk()
        self.bench.refer(assistant, SALES)
        assert not self.notes.rows
        target = self.bench.dialled
        assert target is not None
        self.know(target)
        self.bench.answers(target)
        self.bench.fails(assistant, 200)
        self.bench.pass_time(10)
        return caller, assistant, target


@pytest.fixture
def config(tmp_path: Path) -> Config:
    directory = write(tmp_path)
    main = directory / "gateway.toml"
    main.write_text(main.read_text().replace("[sip]\n", "[sip]\nrecover_calls = true\n", 1))
    found = load(directory)
    assert found.sip.recover_calls
    return found


@pytest.fixture
def first(config: Config) -> Process:
    """The process that is going to end."""
    return Process(config, Notes())


def taking_up(first: Process, config: Config) -> Process:
    """The process after that, which is taking up what was left."""
    second = Process(config, first.notes)
    second.bench.clock.advance(1.0)
    second.bench.engine.take_up(list(first.notes.rows.values()))
    return second


def test_a_call_is_kept_while_it_is_up(first: Process) -> None:
    caller, _ = first.talk()
    (kept,) = first.notes.rows.values()
    assert [leg.peer for leg in kept.legs] == ["asterisk", "platform"]
    assert (kept.number, kept.caller, kept.begun_by) == ("main-line", "+31201112222", "asterisk")
    first.bench.fails(caller, 200)
    assert not first.notes.rows


def test_a_transfer_strikes_it_out_until_it_is_over(first: Process) -> None:
    caller, _, target = first.put_through()
    (kept,) = first.notes.rows.values()
    assert kept.destination == "sales"
    assert {leg.dialog.call_id for leg in kept.legs} == {f"{caller}@test", f"{target}@test"}


@pytest.mark.keeps("22.65")
def test_who_comes_back_from_a_further_transfer_is_kept_as_put_through_by_the_first(
    first: Process, config: Config
) -> None:
    _, _, target = first.put_through()
    first.bench.refer(target, SUPPORT)
    while (rings := first.bench.dialled) is not None:
        first.bench.fails(rings)
        first.bench.pass_time()
    completed, failed = first.bench.ends()
    (kept,) = first.notes.rows.values()
    assert (kept.transfer, kept.destination) == (completed.transfer, "sales")
    second = taking_up(first, config)
    for order in second.bench.sip.recovered:
        second.know(order.leg)
        second.bench.answers(order.leg)
    second.bench.fails(second.bench.sip.recovered[0].leg, 200)
    second.bench.pass_time(10)
    ended = second.bench.witness.calls[-1]
    assert (ended.transfer, ended.destination) == (completed.transfer, "sales") != (failed.transfer, "sales")


def test_it_is_written_anew_only_where_a_leg_leads_elsewhere(first: Process) -> None:
    caller, _ = first.talk()
    first.bench.sip.kept_dialogs[caller] = replace(DIALOG, call_id=f"{caller}@test", local_cseq=99, origin_version=8)
    first.bench.engine.leg_renewed(caller)
    assert first.notes.writes == 1
    first.bench.sip.kept_dialogs[caller] = replace(DIALOG, call_id=f"{caller}@test", target="sip:eve@192.0.2.8")
    first.bench.engine.leg_renewed(caller)
    assert first.notes.writes == 2
    assert next(iter(first.notes.rows.values())).legs[0].dialog.target == "sip:eve@192.0.2.8"


def test_one_that_cannot_be_taken_up_is_not_kept(first: Process) -> None:
    _, assistant = first.bench.bridged()
    assert assistant in first.bench.sip.live
    assert not first.notes.rows


def test_a_failure_of_the_store_concerns_no_call(first: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_kept: KeptCall) -> None:
        raise OSError("full")

    monkeypatch.setattr(first.notes, "keep_call", fails)
    caller, assistant = first.talk()
    assert {caller, assistant} <= first.bench.sip.live.keys()
    assert (first.bench.sip.pairs[caller], first.bench.engine.call_records() != []) == (assistant, True)


def test_both_answer_and_talk_again(first: Process, config: Config) -> None:
    first.talk()
    second = taking_up(first, config)
    one, other = (order.leg for order in second.bench.sip.recovered)
    assert [order.peer.name for order in second.bench.sip.recovered] == ["asterisk", "platform"]
    second.know(one, other)
    second.bench.rings(one)  # which is none that anybody waits for
    second.bench.answers(one)
    assert not second.bench.sip.pairs
    assert second.bench.refer(other).answered == [480]
    second.bench.answers(other)
    assert second.bench.sip.pairs[one] == other
    (before,), (after,) = first.bench.engine.call_records(), second.bench.engine.call_records()
    assert (after.call, after.caller, after.started_at) == (before.call, before.caller, before.started_at)
    assert after.connected_at == before.connected_at
    (kept,) = second.notes.rows.values()
    assert {leg.dialog.call_id for leg in kept.legs} == {f"{one}@test", f"{other}@test"}
    assert second.bench.refer(other, SALES).answered == [202]


def test_what_was_put_through_ends_with_one_that_has_hung_up(first: Process, config: Config) -> None:
    first.put_through()
    second = taking_up(first, config)
    one, other = (order.leg for order in second.bench.sip.recovered)
    second.bench.answers(one)
    second.bench.fails(other, 200)
    second.bench.pass_time()
    assert second.bench.sip.hung_up == [one]
    (ended,) = {record.call: record for record in second.bench.witness.calls}.values()
    assert (ended.reason, ended.destination, ended.hung_up_by) == (CallEnd.HUNG_UP, "sales", "pbx")
    assert ended.talk_s is not None
    assert not second.notes.rows
    assert not second.bench.engine.call_records()


def test_a_leg_that_cannot_even_be_tried_takes_the_other_one_along(first: Process, config: Config) -> None:
    first.talk()
    second = Process(config, first.notes)
    second.bench.sip.no_way = NotSentError(NotSent.NO_PEER, "gone")
    second.bench.engine.take_up(list(first.notes.rows.values()))
    second.bench.pass_time()
    assert not second.bench.engine.call_records()
    assert not second.notes.rows
    assert not second.bench.sip.recovered


@pytest.mark.keeps("22.67")
@pytest.mark.parametrize("place", [0, 1])
def test_a_leg_that_cannot_be_tried_leaves_nobody_alone_with_the_gateway(
    first: Process, config: Config, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    first.talk()
    second = Process(config, first.notes)
    tried: list[LegId] = []

    def recover(order: RecoveryOrder) -> None:
        tried.append(order.leg)
        if len(tried) == place + 1:
            raise NotSentError(NotSent.REFUSED, "its connection is refused")
        FakeSip.recover(second.bench.sip, order)

    monkeypatch.setattr(second.bench.sip, "recover", recover)
    second.bench.engine.take_up(list(first.notes.rows.values()))
    assert second.bench.sip.hung_up == [tried[1 - place]]
    second.bench.pass_time()
    assert not second.bench.engine.call_records()
    assert not second.notes.rows
    second.bench.finish()


def test_a_command_ends_it_meanwhile(first: Process, config: Config) -> None:
    first.talk()
    second = taking_up(first, config)
    (record,) = second.bench.engine.call_records()
    assert second.bench.engine.hang_up_call(record.call).reason is CallEnd.BY_COMMAND
    second.bench.pass_time()
    assert set(second.bench.sip.hung_up) == {order.leg for order in second.bench.sip.recovered}
    assert not second.notes.rows


def test_what_the_configuration_does_not_have_any_more_is_over(first: Process, config: Config) -> None:
    first.talk()
    (kept,) = first.notes.rows.values()
    second = Process(config, first.notes)
    second.bench.engine.take_up([replace(kept, number="other", destination="sales")])
    assert not second.bench.engine.call_records()
    assert not second.notes.rows
    ended = second.bench.witness.calls[-1]
    assert (ended.call, ended.reason, ended.trunk, ended.pbx) == (
        kept.call, CallEnd.GATEWAY_STOPPED, "platform", "asterisk",
    )  # fmt: skip


def test_what_three_have_begun_in_vain_is_left_alone_by_the_fourth(first: Process, config: Config) -> None:
    first.talk()
    (kept,) = first.notes.rows.values()
    third, fourth = (Process(config, Notes()) for _ in range(2))
    third.bench.engine.take_up([replace(kept, attempts=3)])
    assert len(third.bench.sip.recovered) == 2
    fourth.notes.rows[kept.call] = kept
    fourth.bench.engine.take_up([replace(kept, attempts=4)])
    assert not fourth.bench.sip.recovered
    assert not fourth.notes.rows
    assert [one.reason for one in fourth.bench.witness.calls] == [CallEnd.GATEWAY_STOPPED]


def test_numbers_leap_ahead_of_any_that_was_used() -> None:
    later = DIALOG.later(2.5)
    assert later.local_cseq == DIALOG.local_cseq + LEAP + 2.5 * LEAP_A_SECOND
    assert later.origin_version == DIALOG.origin_version + LEAP + 2.5 * LEAP_A_SECOND
    assert later.remote_cseq == DIALOG.remote_cseq
    assert DIALOG.later(-timedelta(days=1).total_seconds()).local_cseq == DIALOG.local_cseq + LEAP
    assert DIALOG.later(timedelta(days=10_000).total_seconds()).local_cseq == MOST
