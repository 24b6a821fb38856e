# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when all goes well: what is asked, told and reported on the way to the target."""

from datetime import timedelta

import pytest

from gateway.core.model import Entry, FinalNotify
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import (
    HUMAN_S,
    RELEASE_S,
    AnswerRequest,
    Dial,
    HangUp,
    Identify,
    Notify,
    Report,
    StartTimer,
    StopTimer,
    Switch,
    Timer,
    Wait,
)
from gateway.core.transfer.events import Event
from tests.support.playbook import (
    ASSISTANT,
    BEGIN,
    CALLER,
    END,
    GONE,
    HUMAN_TIMEOUT,
    IN_30_S,
    NAMES_HUMANS,
    ON_HUMAN,
    ON_RING,
    PARTING,
    RELEASE_TIMEOUT,
    SALES,
    SUPPORT,
    VOICEMAIL,
    Playbook,
    answers,
    fails,
    human,
    is_switched,
    leg,
    refusal,
    rings,
    to,
    told,
)

# The request


def test_an_accepted_refer_is_answered_notified_and_dialled() -> None:
    book = Playbook(to(SUPPORT), manner=Manner(deadline=IN_30_S))
    book.play(
        AnswerRequest(202, Reason.ACCEPTED),
        Notify(100, Reason.ACCEPTED),
        Report(Milestone.REQUESTED),
        Report(Milestone.ACCEPTED),
        Wait(CALLER, ASSISTANT),
        Dial(leg(1), SUPPORT),
        StartTimer(Timer.RING, 15),
        StartTimer(Timer.DEADLINE, 30),
    )
    assert book.state is State.DIALLING
    assert book.record.decided_at == BEGIN
    assert book.record.final_notify is FinalNotify.ON_ANSWER
    assert book.record.trail == ("support: free",)
    assert book.record.outcome is None


def test_a_refused_refer_gets_the_code_and_the_time_to_try_again() -> None:
    book = Playbook(refusal(Reason.OUTSIDE_HOURS, retry_after_s=3600))
    book.play(
        AnswerRequest(480, Reason.OUTSIDE_HOURS, 3600),
        Report(Milestone.REQUESTED),
        *END,
    )
    assert book.state is State.ENDED
    assert (book.record.outcome, book.record.reason, book.record.sip_code) == (
        Outcome.REFUSED,
        Reason.OUTSIDE_HOURS,
        480,
    )
    assert book.record.destination == "support"
    assert book.record.ended_at == BEGIN
    assert not book.record.returned_to_transferor


def test_a_sender_that_takes_only_202_is_refused_in_the_notify() -> None:
    Playbook(refusal(Reason.QUEUE_FULL), manner=Manner(refuse_in_notify=True)).play(
        AnswerRequest(202, Reason.ACCEPTED),
        *told(Reason.QUEUE_FULL),
        Report(Milestone.REQUESTED),
        *END,
    )


def test_a_refusal_that_no_notify_can_tell_is_in_the_response() -> None:
    Playbook(refusal(Reason.QUEUE_FULL), manner=Manner(notify=False, refuse_in_notify=True)).play(
        AnswerRequest(486, Reason.QUEUE_FULL), Report(Milestone.REQUESTED), *END
    )


def test_a_refused_invite_gets_its_final_response() -> None:
    book = Playbook(refusal(Reason.AT_CAPACITY, None, retry_after_s=10), entry=Entry.INVITE)
    book.play(HangUp(CALLER, Reason.AT_CAPACITY, 503, 10), Report(Milestone.REQUESTED), *END)
    assert book.record.destination is None


def test_those_passed_over_are_among_the_attempts() -> None:
    book = Playbook(to(SUPPORT, after=(("sales", Reason.AGENTS_BUSY),)))
    assert book.attempts == [("sales", Reason.AGENTS_BUSY, 486), ("support", None, None)]
    book.after(fails(1, Reason.PBX_ERROR, 500, then=to(VOICEMAIL, after=(("sales", Reason.QUEUE_FULL),))))
    assert book.attempts == [
        ("sales", Reason.AGENTS_BUSY, 486),
        ("support", Reason.PBX_ERROR, 500),
        ("sales", Reason.QUEUE_FULL, 486),
        ("voicemail", None, None),
    ]
    assert book.record.trail == ("support: free", "voicemail: free")


# Success


def test_a_transfer_to_an_extension() -> None:
    book = Playbook(to(SUPPORT)).after()
    book.play(
        rings(1),
        Notify(180, Reason.ACCEPTED),
        Report(Milestone.RINGING),
        rings(1, 183),
        answers(1),
        StopTimer(Timer.RING),
        Switch(CALLER, leg(1)),
        is_switched(1),
        *told(Reason.ANSWERED),
        Report(Milestone.CONNECTED),
        *PARTING,
        RELEASE_TIMEOUT,
        HangUp(ASSISTANT, Reason.ANSWERED, 200),
        StopTimer(Timer.DEADLINE),
        StopTimer(Timer.RELEASE),
    )
    assert book.state is State.ENDED
    record = book.record
    assert (record.outcome, record.reason, record.sip_code) == (Outcome.COMPLETED, Reason.ANSWERED, 200)
    assert record.ringing_at == BEGIN + timedelta(seconds=1)
    assert (record.answered_at, record.human_at) == (BEGIN + timedelta(seconds=3), None)
    assert record.ended_at == BEGIN + timedelta(seconds=4)
    assert book.attempts == [("support", Reason.ANSWERED, 200)]


def test_a_transferor_that_hangs_up_after_the_final_notify_is_not_hung_up() -> None:
    book = Playbook(to(SUPPORT)).after(answers(1), is_switched(1))
    book.play(GONE, StopTimer(Timer.DEADLINE), StopTimer(Timer.RELEASE))
    assert book.state is State.ENDED


def test_nobody_is_left_to_release_when_the_transferor_hung_up_before() -> None:
    book = Playbook(to(SUPPORT)).after(GONE, answers(1))
    book.play(is_switched(1), *told(Reason.ANSWERED), Report(Milestone.CONNECTED), *END)
    assert book.state is State.ENDED


def test_an_answer_without_ringing() -> None:
    Playbook(to(SUPPORT)).after().play(answers(1), StopTimer(Timer.RING), Switch(CALLER, leg(1)))


def test_on_ring_tells_success_at_the_first_ringing_and_reports_the_truth() -> None:
    book = Playbook(to(SUPPORT), manner=ON_RING).after()
    book.play(rings(1), *told(Reason.ANSWERED), Report(Milestone.RINGING), rings(1))
    assert book.record.outcome is None
    book.after(answers(1)).play(is_switched(1), Report(Milestone.CONNECTED), *PARTING)


def test_on_ring_tells_success_at_the_answer_when_nothing_rang() -> None:
    Playbook(to(SUPPORT), manner=ON_RING).after(answers(1)).play(
        is_switched(1), *told(Reason.ANSWERED), Report(Milestone.CONNECTED), *PARTING
    )


def test_on_human_tells_success_when_a_person_takes_the_call() -> None:
    book = Playbook(to(SALES), manner=ON_HUMAN).after(answers(1))
    book.play(is_switched(1), Report(Milestone.CONNECTED), Identify(leg(1)), StartTimer(Timer.HUMAN, HUMAN_S))
    assert book.state is State.CONNECTED
    book.play(human(1), *told(Reason.ANSWERED), *PARTING)
    assert book.record.answered_at == BEGIN + timedelta(seconds=1)
    assert book.record.human_at == BEGIN + timedelta(seconds=3)


def test_on_answer_tells_success_at_once_and_reports_the_outcome_when_a_person_takes_the_call() -> None:
    book = Playbook(to(SALES), manner=NAMES_HUMANS).after(answers(1))
    book.play(
        is_switched(1),
        *told(Reason.ANSWERED),
        StartTimer(Timer.RELEASE, RELEASE_S),
        Report(Milestone.CONNECTED),
        Identify(leg(1)),
        StartTimer(Timer.HUMAN, HUMAN_S),
        RELEASE_TIMEOUT,
        HangUp(ASSISTANT, Reason.ANSWERED, 200),
        StopTimer(Timer.DEADLINE),
        StopTimer(Timer.RELEASE),
    )
    assert book.state is State.CONNECTED
    book.play(human(1), *END)
    assert book.record.outcome is Outcome.COMPLETED


def test_on_human_is_as_on_answer_for_an_extension() -> None:
    Playbook(to(SUPPORT), manner=ON_HUMAN).after(human(1), answers(1)).play(
        is_switched(1), *told(Reason.ANSWERED), Report(Milestone.CONNECTED), *PARTING
    )


@pytest.mark.parametrize("early", [[human(1), answers(1)], [answers(1), human(1)], [rings(1), human(1), answers(1)]])
def test_a_person_named_before_the_legs_are_joined(early: list[Event]) -> None:
    book = Playbook(to(SALES), manner=ON_HUMAN).after(*early)
    book.play(is_switched(1), *told(Reason.ANSWERED), Report(Milestone.CONNECTED), *PARTING)
    # Nobody talks to a person before the PBX has answered, however its news overtake each other.
    both = max(early.index(human(1)), early.index(answers(1)))
    assert book.record.human_at == BEGIN + timedelta(seconds=1 + both)


def test_a_queue_of_a_pbx_that_names_nobody_has_no_time_of_a_human() -> None:
    book = Playbook(to(SALES)).after(answers(1), is_switched(1))
    assert book.record.outcome is Outcome.COMPLETED
    assert book.record.answered_at is not None
    assert book.record.human_at is None


def test_a_pbx_that_cannot_name_the_person_any_more() -> None:
    book = Playbook(to(SALES), manner=ON_HUMAN).after(answers(1), is_switched(1))
    book.play(HUMAN_TIMEOUT, *told(Reason.ANSWERED), *PARTING)
    assert book.record.outcome is Outcome.COMPLETED
    assert book.record.human_at is None


# The playbook itself


def test_a_conversation_that_goes_otherwise_fails_with_a_diff() -> None:
    with pytest.raises(AssertionError, match=r"(?s)\n-<< StopTimer\(timer=human\).*\n\+<< StopTimer\(timer=ring\)"):
        Playbook(to(SUPPORT)).after().play(answers(1), StopTimer(Timer.HUMAN), Switch(CALLER, leg(1)))
    with pytest.raises(AssertionError, match=r"\n\+<< Dial\(target=.*/1, destination=support\)"):
        Playbook(to(SUPPORT)).play(rings(1))
