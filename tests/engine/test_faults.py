# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever fails in one step of a transfer, the rest of it is carried out: each ends once, and nobody is left alone."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from structlog.testing import capture_logs

from gateway.config import load
from gateway.core import gate, transfer
from gateway.core.model import PbxState
from gateway.core.outcome import Outcome, Reason
from gateway.core.state_sources import StateSource
from tests.bench import SALES, SUPPORT, TRUNK, Bench, InjectedError
from tests.bench.bench import Source
from tests.config_directory import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import Config

LONG_S = 1000
HOUR = timedelta(hours=1)


def completed(bench: Bench) -> None:
    _, assistant = bench.bridged()
    bench.refer(assistant)
    bench.pass_time()
    bench.rings(bench.dialled)
    bench.answers(bench.dialled)


def completed_and_released(bench: Bench) -> None:
    completed(bench)
    bench.pass_time()
    bench.fails(next((leg for leg in bench.sip.live if leg.startswith("out-")), None), 200)


def overflowed(bench: Bench) -> None:
    _, assistant = bench.bridged()
    bench.refer(assistant)
    bench.pass_time()
    bench.rings(bench.dialled)
    bench.fails(bench.dialled, 486)
    bench.pass_time()
    bench.answers(bench.dialled)


def returned(bench: Bench) -> None:
    _, assistant = bench.bridged()
    bench.refer(assistant, SUPPORT)
    for _ in range(2):
        bench.pass_time()
        bench.fails(bench.dialled, 500)


def rung_out(bench: Bench) -> None:
    _, assistant = bench.bridged()
    bench.refer(assistant)
    bench.rings(bench.dialled)


def abandoned(bench: Bench) -> None:
    caller, assistant = bench.bridged()
    bench.refer(assistant)
    bench.rings(bench.dialled)
    bench.fails(caller, 200)


def stranded(bench: Bench) -> None:
    _, assistant = bench.bridged()
    bench.refer(assistant, SUPPORT)
    bench.fails(assistant, 200)
    bench.pass_time()
    bench.fails(bench.dialled, 486)
    bench.pass_time()
    bench.answers(bench.dialled)


def invited(bench: Bench) -> None:
    bench.calls_in("in-1", TRUNK, SALES)
    bench.pass_time()
    bench.rings(bench.dialled)
    bench.answers(bench.dialled)


def invited_in_vain(bench: Bench) -> None:
    bench.calls_in("in-1", TRUNK, SUPPORT)
    for _ in range(2):
        bench.pass_time()
        bench.rings(bench.dialled, 183)
        bench.fails(bench.dialled, 404)


def refused(bench: Bench) -> None:
    _, assistant = bench.bridged()
    bench.refer(assistant, "sip:+31699999999@gw")


def cancelled(bench: Bench) -> None:
    _, assistant = bench.bridged()
    bench.refer(assistant)
    bench.rings(bench.dialled)
    for running in bench.engine.transfers:
        bench.engine.cancel_transfer(running.id)


STORIES: list[Callable[[Bench], None]] = [
    completed, completed_and_released, overflowed, returned, rung_out, abandoned, stranded, invited, invited_in_vain,
    refused, cancelled,
]  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The small configuration that is right."""
    return load(write(tmp_path_factory.mktemp("configuration")))


def play(config: Config, story: Callable[[Bench], None], fails: int) -> Bench:
    """A story, in which the `fails`-th thing that the engine asks for fails; and what has to hold after any."""
    bench = Bench(config, fails)
    with capture_logs():  # tracebacks cost more than all the rest
        story(bench)
        bench.pass_time(LONG_S)
        bench.check()
        bench.finish()
    return bench


@pytest.mark.slow
@pytest.mark.keeps("16.61")
@pytest.mark.parametrize("story", STORIES)
def test_a_single_failure_ends_neither_the_rest_of_a_step_nor_leaves_anybody_alone(
    config: Config, story: Callable[[Bench], None]
) -> None:
    asked = play(config, story, 0).chance.asked
    assert asked > 5
    for fails in range(1, asked + 1):
        bench = play(config, story, fails)
        assert bench.chance.what, f"{fails} of {asked} was never asked"


@pytest.mark.keeps("16.63")
def test_a_fault_is_told_with_the_outcome(config: Config) -> None:
    faults = set()
    for fails in range(1, play(config, invited, 0).chance.asked + 1):
        bench = play(config, invited, fails)
        if bench.chance.what == "respond 200":
            (record,) = bench.ends()
            assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.GATEWAY_ERROR)
            assert record.fault
            faults.add(record.fault)
    assert faults == {"respond failed: InjectedError"}


@pytest.mark.keeps("16.69")
def test_a_request_that_cannot_be_accepted_moves_nobody(config: Config) -> None:
    def story(bench: Bench) -> None:
        caller, assistant = bench.bridged()
        dialled = len(bench.sip.orders)
        handle = bench.refer(assistant, accepts=False)
        bench.pass_time()
        assert bench.sip.pairs == {caller: assistant, assistant: caller}
        assert len(bench.sip.orders) == dialled
        assert handle.notified in ([], [500])  # it has nobody to go to
        (record,) = bench.ends()
        assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.GATEWAY_ERROR)
        assert [str(milestone) for milestone, _ in bench.witness.told] == ["requested", "ended"]
        bench.refer(assistant)
        bench.pass_time()
        assert len(bench.sip.orders) == dialled + 1

    play(config, story, 0)


@pytest.mark.keeps("16.61")
def test_a_gate_that_fails_in_mid_hunt_ends_the_hunt(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise InjectedError

    monkeypatch.setattr(gate, "next_after", fail)
    bench = play(config, returned, 0)
    (record,) = bench.ends()
    assert (record.outcome, record.reason, record.returned_to_transferor) == (Outcome.FAILED, Reason.PBX_ERROR, True)
    assert "overflow: none, the gate failed: InjectedError" in record.trail


@pytest.mark.keeps("16.61")
def test_a_machine_that_fails_is_ended_from_outside(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise InjectedError

    monkeypatch.setattr(transfer, "step", fail)
    bench = play(config, invited, 0)
    (record,) = bench.ends()
    assert (record.reason, record.fault) == (Reason.GATEWAY_ERROR, "TargetProgress failed: InjectedError")
    assert record.ended_at


@pytest.mark.keeps("16.186")
def test_whatever_ends_a_transfer_ends_its_subscription(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(config)
    _, assistant = bench.bridged()
    handle = bench.refer(assistant)
    bench.pass_time()
    assert (handle.answered, handle.ended) == ([202], 0)

    def fail(*_args: object) -> None:
        raise InjectedError

    monkeypatch.setattr(transfer, "step", fail)
    assert bench.dialled
    bench.rings(bench.dialled)
    assert (handle.final, handle.ended) == ([], 1)


@pytest.mark.thorough
@pytest.mark.keeps("16.52")
@settings(deadline=None)
@given(
    events=st.lists(st.sampled_from([180, 183, "media", 200, 302, 404, 408, 487, 488, 603]), max_size=8),
    by_peer=st.booleans(),
)
def test_no_event_of_a_targets_leg_before_the_switch_ends_the_callers(
    config: Config, events: list[int | str], by_peer: bool
) -> None:
    def story(bench: Bench) -> None:
        caller, assistant = bench.bridged()
        bench.refer(assistant)
        bench.pass_time()
        for event in events:
            target = bench.dialled
            if target is None:
                break
            match event:
                case "media":
                    bench.engine.leg_early_media(target)
                case int() if event < 200:
                    bench.rings(target, event)
                case int():
                    bench.sip.end(target, event, by_peer)
            bench.pass_time()
            assert {caller, assistant} <= bench.sip.live.keys()
            assert not {caller, assistant} & set(bench.sip.hung_up)

    play(config, story, 0)


# --- the clock


@pytest.mark.keeps("16.64")
def test_a_clock_that_is_set_back_shortens_nothing(config: Config) -> None:
    def story(bench: Bench) -> None:
        caller, assistant = bench.bridged()
        bench.pass_time(60)
        bench.clock.set_by = -HOUR
        bench.refer(assistant)
        bench.pass_time(5)
        bench.rings(bench.dialled)
        bench.pass_time(5)
        bench.clock.set_by = -2 * HOUR
        bench.answers(bench.dialled)
        bench.pass_time(30)
        bench.clock.set_by = -3 * HOUR
        bench.fails(caller, 200)
        bench.pass_time()
        assert not bench.sip.live  # the other side was hung up

    bench = play(config, story, 0)
    (record,) = bench.ends()
    times = [record.requested_at, record.decided_at, record.ringing_at, record.answered_at, record.ended_at]
    assert None not in times
    assert times == sorted(time for time in times if time)
    assert record.ended_at
    assert (record.ended_at - record.requested_at).total_seconds() == pytest.approx(10, abs=0.1)
    call, *_ = bench.witness.calls
    assert call.talk_s == pytest.approx(30, abs=0.1)
    assert call.connected_at
    assert call.ended_at
    assert call.started_at < call.connected_at < call.ended_at


@pytest.mark.keeps("16.64")
def test_a_person_who_answers_by_another_clock_answers_between_the_answer_and_now(config: Config) -> None:
    for off in (-HOUR, HOUR):
        record = play(config, partial(named_by_the_pbx, off=off), 0).ends()[0]
        assert record.answered_at
        assert record.human_at
        assert record.ended_at
        assert record.answered_at <= record.human_at <= record.ended_at


def named_by_the_pbx(bench: Bench, *, off: timedelta) -> None:
    bench.engine.sources = {"asterisk": Source(PbxState("asterisk", StateSource.AMI, bench.clock.now().wall))}
    _, assistant = bench.bridged()
    bench.refer(assistant)
    bench.pass_time()
    target = bench.dialled
    bench.answers(target)
    bench.pass_time(3)
    bench.engine.agent_connected("asterisk", f"{target}@test", "Anna", bench.clock.now().wall + off)


# --- what is told of a hunt


@pytest.mark.keeps("16.53")
def test_a_destination_that_was_passed_over_is_told_of_once(config: Config) -> None:
    def story(bench: Bench) -> None:
        bench.clock.set_by = 11 * HOUR  # sales has closed
        _, assistant = bench.bridged()
        bench.refer(assistant)
        for _ in range(2):
            bench.pass_time()
            bench.fails(bench.dialled, 486)
        bench.pass_time()

    (record,) = play(config, story, 0).ends()
    assert [(one.destination, one.reason) for one in record.attempts] == [
        ("sales", Reason.OUTSIDE_HOURS),
        ("support", Reason.BUSY),
        ("voicemail", Reason.BUSY),
    ]
    assert len([line for line in record.trail if line.startswith("hours: office")]) == 1
    assert len([line for line in record.trail if "sales is refused" in line]) == 1
