# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole calls, several at once, in which anything may happen at any moment: no caller is dropped, each transfer ends.

Every REFER is answered once, and gets one final NOTIFY if it was accepted; every timer fires or is cancelled; no leg is
left. Reloads, a PBX that falls silent, and the end of the gateway come in between.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs

from gateway.config import load
from gateway.core.model import AnsweredBy, LegId, PbxState
from gateway.core.outcome import Outcome
from gateway.core.state_sources import StateSource
from gateway.ports import TooLateError
from tests.bench import ASSIGNED, PBX, SALES, SUPPORT, TRUNK, Bench
from tests.bench.bench import Source
from tests.config_directory import ASKING, CALLING_BACK, TALKING, write, write_whisper
from tests.config_directory import PBX as PROFILE
from tests.config_directory import TRUNK as PLATFORM
from tests.engine import bugs

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import Config


TARGETS = (SALES, SUPPORT, "sip:+31699999999@gw", "sip:190@gw")
ENDINGS = st.sampled_from([200, 302, 404, 408, 480, 486, 487, 500, 503, 603])
LONG_S = 1000
ENOUGH = 4
"""Calls before the gateway drains: after that nothing new happens."""

EARLY = {"platform": PLATFORM + 'final_notify = "on-ring"\nat_deadline = "continue"\n', "asterisk": PROFILE}
"""The transferor is told of the end before there is one: what comes later is not told again."""

with tempfile.TemporaryDirectory() as _directory:
    CONFIG = load(write(Path(_directory)))
    OTHER = load(write(Path(_directory), profiles=EARLY))
    write_whisper(Path(_directory))
    ASKS = load(write(Path(_directory), ASKING))
    TALKS = load(write(Path(_directory), TALKING))
    HOLDS = load(write(Path(_directory), TALKING.replace('queue = "sales"', 'queue = "sales"\nhold_place_s = 60')))
    CALLS_BACK = load(write(Path(_directory), CALLING_BACK))


CONFIGS = st.sampled_from([CONFIG, OTHER, ASKS, TALKS, HOLDS, CALLS_BACK])


class WholeCalls(RuleBasedStateMachine):
    """The engine, and everybody who calls, answers, hangs up or asks for something."""

    def __init__(self) -> None:
        super().__init__()
        self._logs = capture_logs()
        self._logs.__enter__()
        self.bench = Bench(CONFIG)
        self.numbers = 0
        self.stopped = False  # the gateway has waited long enough for the calls to end, and ends them

    def teardown(self) -> None:
        """In the end everything has an end."""
        try:
            for running in self.bench.engine.transfers:
                if running.machine.calls_back and running.machine.can_be_cancelled:
                    self.bench.engine.cancel_transfer(running.id)
            self.bench.pass_time(LONG_S)
            while (silent := self.bench.dialled) is not None:  # PJSIP gives up on a peer that never answers
                self.bench.fails(silent, 408)
                self.bench.pass_time(LONG_S)
            self.bench.check()
            for handle in self.bench.handles:
                assert len(handle.answered) == 1, f"a REFER was answered with {handle.answered}"
                accepted = handle.answered[0] < 300
                wanted = (0, 1) if handle.deaf else (1,) if accepted else (0,)
                assert len(handle.final) in wanted, f"final NOTIFYs: {handle.final}"
                assert handle.ended == 1, "a subscription was left"
            self.bench.finish()
            for record in self.bench.ends():
                assert record.outcome is not None
                assert record.outcome is not Outcome.FAILED or record.fault is None
        finally:
            self._logs.__exit__(None, None, None)
            structlog.reset_defaults()

    def _leg(self, draw: int, state: str) -> LegId | None:
        found = [leg for leg, its in self.bench.sip.live.items() if its == state]
        return found[draw % len(found)] if found else None

    def there(self, state: str) -> bool:
        """Whether there is a leg in this state."""
        return state in self.bench.sip.live.values()

    def _name(self) -> str:
        self.numbers += 1
        return f"in-{self.numbers}"

    @initialize(names=st.booleans(), config=CONFIGS)
    def a_pbx(self, names: bool, config: Config) -> None:
        self.bench.engine.reconfigure(config)
        if names:
            state = PbxState("asterisk", StateSource.AMI, self.bench.clock.now().wall)
            self.bench.engine.sources = {"asterisk": Source(state)}

    @precondition(lambda self: not self.bench.engine.draining)
    @rule()
    def the_pbx_calls(self) -> None:
        self.bench.calls_in(self._name(), PBX, ASSIGNED)

    @precondition(lambda self: not self.bench.engine.draining)
    @rule()
    def a_caller_talks_to_the_assistant(self) -> None:
        self.bench.bridged(self._name())

    @precondition(lambda self: not self.bench.engine.draining)
    @rule(asked=st.sampled_from(TARGETS))
    def the_trunk_calls(self, asked: str) -> None:
        self.bench.calls_in(self._name(), TRUNK, asked)

    @precondition(lambda self: self.there("dialled"))
    @rule(which=st.integers(0, 9), code=st.sampled_from([180, 181, 183]))
    def a_dialled_leg_rings(self, which: int, code: int) -> None:
        self.bench.rings(self._leg(which, "dialled"), code)

    @precondition(lambda self: self.there("dialled"))
    @rule(which=st.integers(0, 9))
    def a_dialled_leg_has_early_media(self, which: int) -> None:
        self.bench.early_media(self._leg(which, "dialled"))

    @precondition(lambda self: self.there("dialled"))
    @rule(which=st.integers(0, 9))
    def a_dialled_leg_answers(self, which: int) -> None:
        self.bench.answers(self._leg(which, "dialled"))

    @precondition(lambda self: self.there("dialled"))
    @rule(which=st.integers(0, 9), code=ENDINGS)
    def a_dialled_leg_fails(self, which: int, code: int) -> None:
        self.bench.fails(self._leg(which, "dialled"), 487 if code == 200 else code)

    @rule(which=st.integers(0, 9), state=st.sampled_from(["offered", "up"]))
    def somebody_hangs_up(self, which: int, state: str) -> None:
        self.bench.fails(self._leg(which, state), 200 if state == "up" else 487)

    @precondition(lambda self: self.there("up"))
    @rule(which=st.integers(0, 9), asked=st.sampled_from(TARGETS))
    def somebody_refers(self, which: int, asked: str) -> None:
        if (leg := self._leg(which, "up")) is not None:
            self.bench.refer(leg, asked)

    @precondition(lambda self: self.there("up"))
    @rule(one=st.integers(0, 9), other=st.integers(0, 9))
    def somebody_refers_to_a_consultation(self, one: int, other: int) -> None:
        leg, joins = self._leg(one, "up"), self._leg(other, "up")
        if leg is not None and joins is not None:
            self.bench.refer(leg, SALES, joins=joins)

    @precondition(lambda self: self.there("up"))
    @rule(which=st.integers(0, 9))
    def a_leg_comes_in_the_place_of_another(self, which: int) -> None:
        replaced = self._leg(which, "up")
        if replaced is not None:
            self.bench.calls_in(self._name(), PBX, ASSIGNED, replaces=replaced)

    @precondition(lambda self: self.bench.engine.calls)
    @rule(which=st.integers(0, 9), asked=st.sampled_from(["sales", "support", "nobody"]))
    def an_operator_transfers(self, which: int, asked: str) -> None:
        calls = [call.id for call in self.bench.engine.calls]
        if calls:
            self.bench.engine.transfer_call(calls[which % len(calls)], asked)

    @precondition(lambda self: self.numbers)
    @rule(which=st.integers(0, 9), asked=st.sampled_from(["sales", "support", "nobody"]))
    def somebody_is_to_be_called_back(self, which: int, asked: str) -> None:
        calls = [call.id for call in self.bench.engine.calls]
        with contextlib.suppress(LookupError):  # nobody has called in the last hour
            self.bench.call_back(calls[which % len(calls)] if calls else "+31201112222", asked)

    @precondition(lambda self: self.bench.engine.calls)
    @rule(which=st.integers(0, 9))
    def an_operator_hangs_up(self, which: int) -> None:
        calls = [call.id for call in self.bench.engine.calls]
        if calls:
            self.bench.engine.hang_up_call(calls[which % len(calls)])
            self.bench.sip.cut.clear()  # that is what was asked for
            assert self.bench.engine.calls.get(calls[which % len(calls)]) is None

    @precondition(lambda self: self.bench.engine.transfers)
    @rule(which=st.integers(0, 9))
    def an_operator_cancels(self, which: int) -> None:
        running = [one.id for one in self.bench.engine.transfers]
        if running:
            try:
                self.bench.engine.cancel_transfer(running[which % len(running)])
            except TooLateError:
                return

    @precondition(lambda self: self.bench.engine.transfers)
    @rule(which=st.integers(0, 9))
    def a_person_takes_a_call(self, which: int) -> None:
        running = self.bench.engine.transfers
        if running:
            target = running[which % len(running)].machine.target
            self.bench.engine.agent_connected("asterisk", f"{target}@test", "Anna", self.bench.clock.now().wall)

    @precondition(lambda self: self.bench.engine.transfers)
    @rule(which=st.integers(0, 9), by=st.sampled_from([None, *AnsweredBy]))
    def something_takes_a_call(self, which: int, by: AnsweredBy | None) -> None:
        running = self.bench.engine.transfers
        if running:
            target = running[which % len(running)].machine.target
            now = self.bench.clock.now().wall
            self.bench.engine.call_answered("asterisk", f"{target}@test", by, "PJSIP/6001", now)

    @rule()
    def the_pbx_falls_silent(self) -> None:
        state = PbxState("asterisk", StateSource.AMI, None)
        self.bench.engine.sources = {"asterisk": Source(state)}
        self.bench.engine.pbx_changed(state)

    @precondition(lambda self: self.bench.engine.transfers)
    @rule(which=st.integers(0, 9))
    def a_transferor_takes_no_more_notifys(self, which: int) -> None:
        running = [one for one in self.bench.engine.transfers if one.machine.transferor]
        if running and (leg := running[which % len(running)].machine.transferor):
            self.bench.takes_no_more_notifys(leg)

    @precondition(lambda self: self.bench.sip.whispered_to)
    @rule(which=st.integers(0, 9), key=st.sampled_from("1127"))
    def who_is_asked_presses_a_key(self, which: int, key: str) -> None:
        asked = sorted(self.bench.sip.whispered_to & self.bench.sip.live.keys())
        if asked:
            self.bench.presses(asked[which % len(asked)], key)

    @rule(config=CONFIGS)
    def somebody_reloads(self, config: Config) -> None:
        self.bench.engine.reconfigure(config)

    @rule(seconds=st.sampled_from([0.01, 0.5, 1.5, 10, 30, 301]))
    def time_passes(self, seconds: float) -> None:
        self.bench.pass_time(seconds)

    @precondition(lambda self: self.numbers > ENOUGH and not self.bench.engine.draining)
    @rule()
    def the_gateway_drains(self) -> None:
        self.bench.engine.drain(5, self._stop)

    def _stop(self) -> None:
        self.stopped = True

    @invariant()
    def nobody_is_cut_off(self) -> None:
        if not self.stopped:
            assert not self.bench.sip.cut, "the gateway hung up in the middle of a conversation"

    @invariant()
    def nobody_hears_who_has_not_taken_the_call(self) -> None:
        assert not self.bench.put_through_unasked

    @invariant()
    def nobody_is_dropped_while_a_transfer_holds_them(self) -> None:
        assert not self.bench.sip.dropped, "the gateway hung up on a caller whose transfer was under way"

    @invariant()
    def nothing_is_told_or_done_for_an_error_of_our_own(self) -> None:
        assert not [said for said in self.bench.said if "gateway-error" in said]

    @invariant()
    def the_calls_are_counted_as_they_are(self) -> None:
        calls = self.bench.engine.calls
        assert calls.per_peer() == Counter(call.begun_by for call in calls if call.begun_by)
        talking = [call.destination for call in calls if call.destination]
        trying = [one.machine.destination for _, one in calls.running if one.holds_transferee]
        assert calls.per_destination() == Counter([*talking, *(one.id for one in trying if one)])

    @invariant()
    def each_transfer_ends_once(self) -> None:
        ended = [record.transfer for record in self.bench.ends()]
        assert len(ended) == len(set(ended))


@pytest.mark.keeps("16.62")
@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_nobody_is_dropped_and_each_transfer_ends_once() -> None:
    run_state_machine_as_test(
        WholeCalls, settings=settings(max_examples=3 * settings().max_examples, stateful_step_count=40)
    )


# --- and it would be noticed if it were not so


@pytest.mark.thorough
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("where", "wrong"), bugs.EACH)
def test_the_run_over_whole_calls_finds(
    monkeypatch: pytest.MonkeyPatch, where: str, wrong: Callable[..., None]
) -> None:
    monkeypatch.setattr(where, wrong)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            WholeCalls,
            settings=settings(
                max_examples=3000,  # whatever the profile: it ends with the first that shows the bug
                stateful_step_count=40,
                phases=[Phase.generate],  # the smallest example is of no use here
            ),
        )
