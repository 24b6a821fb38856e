# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when the caller goes on talking with the transferor until somebody has taken the call."""

from gateway.core.model import AnsweredBy
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import (
    AnswerRequest,
    Dial,
    Identify,
    Notify,
    Report,
    Return,
    StartTimer,
    StopTimer,
    Switch,
    Timer,
    Wait,
)
from tests.support.playbook import (
    ASSISTANT,
    CALLER,
    END,
    GONE,
    NAMES_HUMANS,
    OVER,
    PARTING,
    SUPPORT,
    TALKING,
    TALKING_IN_QUEUE,
    Playbook,
    answers,
    cannot_switch,
    fails,
    human,
    is_switched,
    is_told,
    leg,
    rings,
    to,
    told,
)


def test_nobody_waits_until_the_switch() -> None:
    Playbook(to(TALKING)).play(
        AnswerRequest(202, Reason.ACCEPTED),
        Notify(100, Reason.ACCEPTED),
        Report(Milestone.REQUESTED),
        Report(Milestone.ACCEPTED),
        Dial(leg(1), TALKING),
        StartTimer(Timer.RING, 15),
        answers(1),
        StopTimer(Timer.RING),
        Switch(CALLER, leg(1)),
        is_switched(1),
        *told(Reason.ANSWERED),
        Report(Milestone.CONNECTED),
        *PARTING,
    )


def test_a_failure_leaves_the_caller_where_they_are() -> None:
    book = Playbook(to(TALKING)).after(rings(1))
    book.play(fails(1), *OVER, *told(Reason.BUSY), Return(CALLER, ASSISTANT), *END)
    assert book.record.returned_to_transferor


def test_the_caller_waits_as_others_do_once_the_transferor_is_gone() -> None:
    book = Playbook(to(TALKING)).after(rings(1))
    book.play(GONE, StopTimer(Timer.DEADLINE), StopTimer(Timer.RELEASE), Wait(CALLER, None))
    book.play(answers(1), StopTimer(Timer.RING), Switch(CALLER, leg(1)))


def test_a_destination_for_which_one_waits_takes_the_caller_from_the_transferor() -> None:
    book = Playbook(to(TALKING))
    book.after().play(
        fails(1, then=to(SUPPORT)),
        *OVER,
        Wait(CALLER, ASSISTANT),
        Dial(leg(2), SUPPORT),
        StartTimer(Timer.RING, 15),
    )
    assert not book.transfer.talks


def test_from_a_queue_that_answers_first_nobody_hears_music() -> None:
    book = Playbook(to(TALKING_IN_QUEUE), manner=NAMES_HUMANS).after()
    book.play(
        answers(1),
        StopTimer(Timer.RING),
        Identify(leg(1)),
        StopTimer(Timer.WHO),
        StartTimer(Timer.RING, 15),
        is_told(1, None, "Queue"),
        human(1),
        StopTimer(Timer.RING),
        Switch(CALLER, leg(1)),
        StopTimer(Timer.WHO),
    )
    assert book.record.answered_by is AnsweredBy.AGENT


def test_a_switch_that_fails_has_taken_the_caller_from_the_transferor() -> None:
    book = Playbook(to(TALKING)).after(answers(1), cannot_switch(1, then=to(TALKING)))
    assert (book.state, book.transfer.talks) == (State.DIALLING, False)


def test_the_pbx_does_not_take_the_caller_by_itself() -> None:
    assert Playbook(to(TALKING), manner=Manner(hand_down=True)).state is State.DIALLING
