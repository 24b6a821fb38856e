# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when a party, the patience or the gateway itself goes away at any moment."""

from collections.abc import Callable

import pytest

from gateway.core.model import Entry, FinalNotify
from gateway.core.outcome import Outcome, Reason
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import SWITCH_S, HangUp, Return, StartTimer, StopTimer, Timer
from gateway.core.transfer.events import Event
from tests.support.playbook import (
    ASSISTANT,
    CALLER,
    CALLER_GONE,
    DEADLINE,
    END,
    GONE,
    HUMAN_TIMEOUT,
    IN_30_S,
    NAMING,
    NOTIFY_FAILED,
    ON_HUMAN,
    OVER,
    PARTING,
    RELEASE_TIMEOUT,
    SALES,
    STOP,
    SUPPORT,
    UNDECIDED,
    VOICEMAIL,
    Playbook,
    answers,
    cannot_switch,
    fails,
    human,
    in_state,
    is_switched,
    leg,
    refusal,
    rings,
    rings_out,
    to,
    told,
)

each_undecided = pytest.mark.parametrize("state", UNDECIDED)


@pytest.mark.parametrize("ringing", [[], [rings(1)]])
def test_a_caller_who_hangs_up_cancels_the_target(ringing: list[Event]) -> None:
    book = Playbook(to(SALES)).after(*ringing)
    book.play(
        CALLER_GONE,
        HangUp(leg(1), Reason.CALLER_HUNG_UP, 487),
        *told(Reason.CALLER_HUNG_UP),
        *PARTING,
        RELEASE_TIMEOUT,
        HangUp(ASSISTANT, Reason.CALLER_HUNG_UP, 487),
        StopTimer(Timer.DEADLINE),
        StopTimer(Timer.RELEASE),
    )
    assert (book.record.outcome, book.record.reason) == (Outcome.ABANDONED, Reason.CALLER_HUNG_UP)
    assert book.attempts == [("sales", Reason.CALLER_HUNG_UP, 487)]


def test_a_caller_who_hangs_up_when_the_transferor_is_gone() -> None:
    Playbook(to(SALES)).after(GONE).play(
        CALLER_GONE, HangUp(leg(1), Reason.CALLER_HUNG_UP, 487), *told(Reason.CALLER_HUNG_UP), *END
    )


@each_undecided
def test_a_failed_notify_ends_the_notifies_and_the_deadline_and_nothing_else(state: State) -> None:
    book = in_state(state)
    book.play(NOTIFY_FAILED, StopTimer(Timer.DEADLINE), NOTIFY_FAILED)
    assert book.state is state
    book.play(STOP, HangUp(leg(1), Reason.GATEWAY_STOPPED, 503), Return(CALLER, ASSISTANT), *END)


def test_a_notify_that_fails_after_the_end_was_told_changes_nothing() -> None:
    book = Playbook(to(SUPPORT)).after(answers(1), is_switched(1)).play(NOTIFY_FAILED)
    assert book.state is State.RELEASING


@each_undecided
def test_a_stop_gives_the_caller_back(state: State) -> None:
    book = in_state(state)
    book.play(
        STOP,
        HangUp(leg(1), Reason.GATEWAY_STOPPED, 503),
        *told(Reason.GATEWAY_STOPPED),
        Return(CALLER, ASSISTANT),
        *END,
    )
    assert (book.record.outcome, book.record.sip_code) == (Outcome.INTERRUPTED, 503)


@each_undecided
def test_a_stop_hangs_the_caller_up_when_nobody_can_take_it_back(state: State) -> None:
    in_state(state).after(GONE).play(
        STOP,
        HangUp(leg(1), Reason.GATEWAY_STOPPED, 503),
        *told(Reason.GATEWAY_STOPPED),
        HangUp(CALLER, Reason.GATEWAY_STOPPED, 503),
        *END,
    )


def test_a_stop_after_the_outcome_only_releases_the_transferor() -> None:
    book = Playbook(to(SUPPORT)).after(answers(1), is_switched(1))
    book.play(STOP, HangUp(ASSISTANT, Reason.ANSWERED, 200), StopTimer(Timer.DEADLINE), StopTimer(Timer.RELEASE))
    assert book.state is State.ENDED
    assert book.record.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("state", [State.DIALLING, State.RINGING, State.CONNECTED])
def test_the_deadline_brings_the_caller_back_before_the_transferor_gives_up(state: State) -> None:
    book = in_state(state)
    book.play(
        DEADLINE,
        HangUp(leg(1), Reason.NO_ANSWER, 480),
        *OVER,
        *told(Reason.NO_ANSWER),
        Return(CALLER, ASSISTANT),
        *END,
    )
    assert (book.record.outcome, book.record.reason) == (Outcome.FAILED, Reason.NO_ANSWER)
    assert book.record.trail[-1] == "deadline: the transferor waits no longer"


def test_a_deadline_waits_for_legs_that_are_being_joined() -> None:
    in_state(State.SWITCHING).play(DEADLINE, StartTimer(Timer.DEADLINE, SWITCH_S))


@pytest.mark.parametrize("state", [State.DIALLING, State.RINGING, State.CONNECTED])
def test_a_deadline_at_which_the_dialling_goes_on(state: State) -> None:
    manner = Manner(deadline=IN_30_S, cancel_at_deadline=False, names_humans=NAMING, final_notify=FinalNotify.ON_HUMAN)
    book = in_state(state, manner).play(DEADLINE, *told(Reason.NO_ANSWER), DEADLINE)
    assert book.state is state
    if state is not State.CONNECTED:
        book.after(answers(1), is_switched(1))
    book.play(human(1), *PARTING)
    assert book.record.outcome is Outcome.COMPLETED


def test_a_caller_of_whom_failure_was_told_goes_back_and_not_to_the_fallback() -> None:
    manner = Manner(deadline=IN_30_S, cancel_at_deadline=False)
    book = Playbook(to(SUPPORT), manner=manner, fallback=VOICEMAIL).after(DEADLINE)
    book.play(fails(1), *OVER, Return(CALLER, ASSISTANT), *END)


@each_undecided
@pytest.mark.parametrize("before", [GONE, NOTIFY_FAILED])
def test_a_deadline_is_nothing_to_a_transferor_that_does_not_wait(state: State, before: Event) -> None:
    book = in_state(state).after(before).play(DEADLINE)
    assert book.state is state


def test_a_deadline_after_the_end_was_told_is_nothing() -> None:
    book = Playbook(to(SALES), manner=Manner(names_humans=NAMING, deadline=IN_30_S)).after(answers(1), is_switched(1))
    book.play(DEADLINE)
    assert book.state is State.CONNECTED


@each_undecided
def test_what_comes_late_from_an_earlier_target_is_nothing(state: State) -> None:
    moved = {type(event): event for event in (rings(2), answers(2), is_switched(2))}
    book = Playbook(to(SUPPORT), manner=ON_HUMAN).after(fails(1, then=to(SALES)))
    book.after(*(moved[type(event)] for event in UNDECIDED[state]))
    assert book.state is state
    book.play(rings(1), answers(1), human(1), is_switched(1), cannot_switch(1), fails(1))
    assert book.state is state
    assert book.record.human_at is None


EVERY_EVENT: list[Event] = [
    rings(1),
    answers(1),
    fails(1),
    rings_out(),
    is_switched(1),
    cannot_switch(1),
    human(1),
    HUMAN_TIMEOUT,
    CALLER_GONE,
    GONE,
    NOTIFY_FAILED,
    DEADLINE,
    RELEASE_TIMEOUT,
    STOP,
]


@pytest.mark.parametrize(
    "book",
    [
        lambda: Playbook(refusal(Reason.HOLIDAY)).after(),
        lambda: Playbook(to(SUPPORT)).after(fails(1)),
        lambda: Playbook(to(SUPPORT)).after(answers(1), is_switched(1), GONE),
        lambda: Playbook(to(SUPPORT), entry=Entry.INVITE).after(CALLER_GONE),
    ],
    ids=["refused", "failed", "completed", "abandoned"],
)
def test_nothing_happens_after_the_end(book: Callable[[], Playbook]) -> None:
    ended = book()
    assert ended.state is State.ENDED
    before = ended.transfer
    ended.play(*EVERY_EVENT)
    assert ended.transfer == before
