# SPDX-License-Identifier: GPL-2.0-or-later
"""What is true of every transfer, whatever happens in whatever order, and however late it is told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gateway.core.model import AnsweredBy, Decision, Destination, Entry, FinalNotify, LegId
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import TransferRecord
from gateway.core.transfer import Manner, State, start, step
from gateway.core.transfer.commands import Timer
from gateway.core.transfer.events import (
    AcceptTimeout,
    Announced,
    CallerLost,
    Cancelled,
    Deadline,
    Event,
    Fault,
    HumanAnswered,
    HumanTimeout,
    Identified,
    Listened,
    NotifyFailed,
    PlaceLeft,
    PlaceTimeout,
    ReleaseTimeout,
    RingTimeout,
    Stop,
    Switched,
    SwitchFailed,
    TargetAnswered,
    TargetEvent,
    TargetFailed,
    TargetPressed,
    TargetProgress,
    TransfereeGone,
    TransferorGone,
    WhoTimeout,
)
from gateway.core.transfer.hand_down import STATES
from gateway.core.transfer.state import Place
from tests.support.playbook import (
    ACCEPTING,
    ASSISTANT,
    BEGIN,
    CALLER,
    GREETED,
    HOLDING,
    IN_30_S,
    KEEPING,
    KEPT_PLACES,
    NAMING,
    NONE_LEFT,
    QUEUED,
    RETURNING,
    SALES,
    SUPPORT,
    TALKING,
    TALKING_IN_QUEUE,
    TRANSFER,
    VOICEMAIL,
    WHISPERED,
    leg,
    refusal,
    to,
)
from tests.support.transfer_world import World

FAILURES = [one for one in Reason if one.outcome is Outcome.FAILED and one is not Reason.PLACE_KEPT]

OTHERS = (GREETED, RETURNING, KEEPING, WHISPERED, ACCEPTING, QUEUED, TALKING, TALKING_IN_QUEUE, HOLDING)

decisions = st.one_of(st.just(NONE_LEFT), st.sampled_from([SALES, SUPPORT, *OTHERS]).map(to))
first_decisions = st.sampled_from([*map(to, (SALES, SUPPORT, SALES, SUPPORT, *OTHERS)), refusal(Reason.HOLIDAY)])
manners = st.builds(
    Manner,
    notify=st.sampled_from([True, True, True, False]),
    final_notify=st.sampled_from(FinalNotify),
    refuse_in_notify=st.booleans(),
    deadline=st.sampled_from([None, IN_30_S]),
    cancel_at_deadline=st.booleans(),
    hand_down=st.booleans(),
    names_humans=st.sampled_from([frozenset(), NAMING]),
)
back = st.sampled_from([0, 0, 0, 0, 1, 2])
"""How many targets ago the one was dialled that an event comes from."""


class AnyTransfer(RuleBasedStateMachine):
    """One transfer, to which anything happens."""

    @initialize(
        entry=st.sampled_from([Entry.REFER, Entry.REFER, Entry.INVITE, Entry.COMMAND]),
        decision=first_decisions,
        manner=manners,
        fallback=st.sampled_from([None, VOICEMAIL]),
        total_ring=st.sampled_from([None, None, timedelta(seconds=4)]),
        place=st.sampled_from(KEPT_PLACES),
    )
    def begin(
        self,
        entry: Entry,
        decision: Decision,
        manner: Manner,
        fallback: Destination | None,
        total_ring: timedelta | None,
        place: Place,
    ) -> None:
        self.now = BEGIN
        self.sound = False
        self.world = World(entry, manner, fallback, decision.destination if decision.accepted else None)
        taken_up = decision.destination is HOLDING and entry is not Entry.INVITE
        if taken_up:
            self.world.targets[place.leg] = "live"
        self.transfer, commands = start(
            TransferRecord(transfer=TRANSFER, entry=entry, requested_target="+31201230001", requested_at=BEGIN),
            decision,
            transferee=CALLER,
            transferor=ASSISTANT if self.world.transferor_there else None,
            manner=manner,
            fallback=fallback,
            total_ring=total_ring,
            place=place if taken_up else None,
            at=BEGIN,
        )
        self.world.carry_out(commands, self.transfer)
        self.sound = True

    # What can happen

    @rule(back=back, code=st.sampled_from([180, 183]))
    def target_rings(self, back: int, code: int) -> None:
        self.send(TargetProgress(self.now, self.target(back), code))

    @rule(back=back)
    def target_answers(self, back: int) -> None:
        self.send(TargetAnswered(self.now, self.target(back)))

    @rule(back=back, reason=st.sampled_from(FAILURES), then=decisions, moved=st.booleans())
    def target_fails(self, back: int, reason: Reason, then: Decision, moved: bool) -> None:
        self.send(TargetFailed(self.now, self.target(back), reason, reason.sip_code, then, moved))

    @precondition(lambda self: self.transfer.state in STATES)
    @rule(reason=st.sampled_from([*FAILURES, Reason.CALLER_HUNG_UP]))
    def pbx_loses_caller(self, reason: Reason) -> None:
        self.send(CallerLost(self.now, self.target(0), reason))

    @rule(back=back)
    def legs_are_joined(self, back: int) -> None:
        self.send(Switched(self.now, self.target(back)))

    @rule(back=back, then=decisions)
    def legs_are_not_joined(self, back: int, then: Decision) -> None:
        self.send(SwitchFailed(self.now, self.target(back), then))

    @rule(back=back)
    def person_answers(self, back: int) -> None:
        self.send(HumanAnswered(self.now, self.target(back)))

    @rule(back=back, by=st.sampled_from([None, *AnsweredBy]), then=decisions)
    def something_else_answers(self, back: int, by: AnsweredBy | None, then: Decision) -> None:
        if by is None or not by.is_person:
            self.send(Identified(self.now, self.target(back), by, "Playback", then))

    @precondition(lambda self: self.transfer.destination is not None and self.transfer.destination.holds_back)
    @rule(back=back, key=st.sampled_from("112#"), then=decisions)
    def who_answered_presses_a_key(self, back: int, key: str, then: Decision) -> None:
        self.send(TargetPressed(self.now, self.target(back), key, then))

    @rule(event=st.sampled_from([TransferorGone, TransferorGone, NotifyFailed, TransfereeGone, Stop]))
    def something_goes_away(self, event: Callable[[datetime], Event]) -> None:
        self.send(event(self.now))

    @rule()
    def something_fails(self) -> None:
        self.send(Fault(self.now, "the dog ate it"))

    @precondition(lambda self: self.world.entry is Entry.INVITE)
    @rule()
    def the_caller_is_lost_through_us(self) -> None:
        self.send(TransfereeGone(self.now, "the dog ate it"))

    @precondition(lambda self: self.transfer.may_keep_place and Timer.DEADLINE in self.world.timers)
    @rule()
    def the_deadline_comes_first(self) -> None:
        self.fire(Timer.DEADLINE, NONE_LEFT)

    @precondition(lambda self: self.transfer.state is State.KEPT)
    @rule(taken_up=st.booleans())
    def another_transfer_begins(self, taken_up: bool) -> None:
        self.send(PlaceLeft(self.now, taken_up))

    @rule()
    def somebody_cancels(self) -> None:
        self.send(Cancelled(self.now))

    @rule()
    def all_goes_well(self) -> None:
        """A bit further on the way to the target, where few get by chance."""
        target = self.target(0)
        self.send(
            {
                State.DIALLING: TargetAnswered(self.now, target),
                State.RINGING: TargetAnswered(self.now, target),
                State.ANSWERED: HumanAnswered(self.now, target, AnsweredBy.EXTENSION),
                State.WHISPERING: TargetPressed(self.now, target, "1", NONE_LEFT),
                State.SWITCHING: Switched(self.now, target),
            }.get(self.transfer.state, HumanAnswered(self.now, target))
        )

    @precondition(lambda self: self.world.timers)
    @rule(data=st.data(), then=decisions)
    def timer_fires(self, data: st.DataObject, then: Decision) -> None:
        self.fire(data.draw(st.sampled_from(sorted(self.world.timers))), then)

    def teardown(self) -> None:
        """Without any help but its timers and the answer to its switch, a transfer comes to its end."""
        for _ in range(12):
            if self.sound and self.transfer.state is State.SWITCHING:
                self.send(Switched(self.now, self.transfer.target))
            elif self.sound and self.transfer.state is not State.ENDED:
                self.fire(next(iter(self.world.timers)), NONE_LEFT)
        if self.sound:
            self.world.check_end(self.transfer)

    def target(self, back: int) -> LegId:
        """The leg that was dialled so many targets ago."""
        return leg(max(0, self.transfer.dialled - back)) if back else self.transfer.target

    def fire(self, timer: Timer, then: Decision) -> None:
        """A timer that was started runs out."""
        del self.world.timers[timer]
        match timer:
            case Timer.RING:
                self.send(RingTimeout(self.now, then))
            case Timer.DEADLINE:
                self.send(Deadline(self.now))
            case Timer.HUMAN:
                self.send(HumanTimeout(self.now))
            case Timer.RELEASE:
                self.send(ReleaseTimeout(self.now))
            case Timer.ANNOUNCEMENT:
                self.send(Announced(self.now))
            case Timer.WHO:
                self.send(WhoTimeout(self.now))
            case Timer.PLACE:
                self.send(PlaceTimeout(self.now))
            case Timer.ACCEPT:
                self.send(AcceptTimeout(self.now, then))
            case Timer.LISTEN:
                self.send(Listened(self.now, self.target(0), self.world.caller == "held", then))

    def send(self, event: Event) -> None:
        """An event happens, and what it causes is done."""
        self.sound = False
        self.now += timedelta(seconds=1)
        event = replace(event, at=self.now)
        self.world.happen(event)
        before = self.transfer
        self.transfer, commands = step(before, event)
        if before.state is State.ENDED or (isinstance(event, TargetEvent) and event.target != before.target):
            assert (self.transfer, commands) == (before, ())
        self.world.carry_out(commands, self.transfer)
        self.sound = True


TestAnyTransfer = pytest.mark.thorough(AnyTransfer.TestCase)
TestAnyTransfer.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
