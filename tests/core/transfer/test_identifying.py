# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when an extension answers: who that was is asked before the caller and the sender are told."""

from dataclasses import replace

import pytest

from gateway.core.model import AnsweredBy, Destination, Entry, FinalNotify
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import (
    HUMAN_S,
    RELEASE_S,
    SWITCH_S,
    WHO_S,
    Dial,
    HangUp,
    Identify,
    Press,
    Report,
    Respond,
    Return,
    StartTimer,
    StopTimer,
    Switch,
    Timer,
    Wait,
)
from gateway.core.transfer.events import Event
from tests.support.playbook import (
    ASSISTANT,
    CALLER,
    CALLER_GONE,
    CANCELLED,
    DEADLINE,
    END,
    GONE,
    IN_30_S,
    KEEPING,
    NAMES_HUMANS,
    NAMING,
    ON_HUMAN,
    OVER,
    PARTING,
    RETURNING,
    SALES,
    SUPPORT,
    VOICEMAIL,
    WHO_TIMEOUT,
    Playbook,
    answers,
    fails,
    human,
    is_switched,
    is_told,
    leg,
    rings,
    to,
    told,
)

ASKED = (StopTimer(Timer.RING), Identify(leg(1)), StartTimer(Timer.WHO, WHO_S))
PUT_THROUGH = (Switch(CALLER, leg(1)), StopTimer(Timer.WHO))
NOT_THERE = (HangUp(leg(1), Reason.VOICEMAIL, 480), *OVER)
IS_VOICEMAIL = is_told(1, AnsweredBy.VOICEMAIL, "VoiceMail")


def answered(manner: Manner = NAMES_HUMANS) -> Playbook:
    """An extension whose PBX has answered."""
    return Playbook(to(SUPPORT), manner=manner).after(answers(1))


def test_a_person_is_whom_the_pbx_names() -> None:
    book = Playbook(to(SUPPORT), manner=NAMES_HUMANS).after()
    book.play(
        answers(1),
        *ASKED,
        human(1, AnsweredBy.EXTENSION, "PJSIP/6001"),
        *PUT_THROUGH,
        is_switched(1),
        *told(Reason.ANSWERED),
        Report(Milestone.CONNECTED),
        *PARTING,
    )
    record = book.record
    assert (record.outcome, record.answered_by, record.agent) == (Outcome.COMPLETED, AnsweredBy.EXTENSION, "PJSIP/6001")
    assert record.answered_at is not None
    assert record.human_at is not None
    assert record.human_at >= record.answered_at


def test_whom_the_pbx_has_named_before_its_answer_is_not_asked_for() -> None:
    Playbook(to(SUPPORT), manner=NAMES_HUMANS).after(human(1, AnsweredBy.EXTENSION)).play(
        answers(1), StopTimer(Timer.RING), Switch(CALLER, leg(1))
    )


@pytest.mark.parametrize("early", [human(1, AnsweredBy.EXTENSION, "PJSIP/6001"), is_told(1, AnsweredBy.OUTSIDE)])
def test_who_picked_up_long_before_the_answer_may_have_refused_the_call(early: Event) -> None:
    """Where a key is to be pressed, voicemail has the caller otherwise: the PBX is asked again."""
    book = Playbook(to(SUPPORT), manner=NAMES_HUMANS).after(early, rings(1)).play(answers(1), *ASKED)
    assert (book.record.human_at, book.record.answered_by, book.record.agent) == (None, None, None)
    book.after(IS_VOICEMAIL)
    assert book.record.reason is Reason.VOICEMAIL


def test_an_agent_may_have_been_named_long_before() -> None:
    Playbook(to(SUPPORT), manner=NAMES_HUMANS).after(human(1), rings(1), rings(1)).play(
        answers(1), StopTimer(Timer.RING), Switch(CALLER, leg(1))
    )


def test_a_pbx_that_names_nobody_is_not_asked_and_no_person_is_guessed() -> None:
    book = Playbook(to(SUPPORT)).after().play(answers(1), StopTimer(Timer.RING), Switch(CALLER, leg(1)))
    book.after(is_switched(1))
    assert (book.record.outcome, book.record.human_at, book.record.answered_by) == (Outcome.COMPLETED, None, None)


@pytest.mark.parametrize("by", [AnsweredBy.APPLICATION, AnsweredBy.OUTSIDE])
@pytest.mark.parametrize("when", FinalNotify)
def test_what_is_no_person_that_the_pbx_knows_completes_the_transfer_without_one(
    by: AnsweredBy, when: FinalNotify
) -> None:
    book = answered(Manner(names_humans=NAMING, final_notify=when))
    book.play(is_told(1, by, "Playback"), *PUT_THROUGH)
    book.after(is_switched(1))
    record = book.record
    assert (record.outcome, record.reason, record.human_at) == (Outcome.COMPLETED, Reason.ANSWERED, None)
    assert record.answered_by is by
    assert record.trail[-1].startswith("answered: by")


def test_silence_about_who_it_was_is_no_person_either() -> None:
    book = answered().play(WHO_TIMEOUT, *PUT_THROUGH).after(is_switched(1))
    assert (book.record.outcome, book.record.human_at, book.record.answered_by) == (Outcome.COMPLETED, None, None)


def test_a_person_named_while_the_legs_are_joined_counts() -> None:
    book = answered().after(WHO_TIMEOUT, human(1, AnsweredBy.EXTENSION), is_switched(1))
    assert book.record.human_at is not None


@pytest.mark.parametrize("then", [human(1, AnsweredBy.EXTENSION), is_told(1, AnsweredBy.OUTSIDE)])
def test_a_pbx_that_still_looks_for_somebody_is_waited_for_as_a_queue_is(then: Event) -> None:
    book = answered().play(is_told(1, None, "FollowMe"), *PUT_THROUGH)
    book.play(
        is_switched(1),
        *told(Reason.ANSWERED),
        StartTimer(Timer.RELEASE, RELEASE_S),
        Report(Milestone.CONNECTED),
        StartTimer(Timer.HUMAN, HUMAN_S),
    )
    assert book.state is State.CONNECTED
    book.after(then)
    assert (book.record.outcome, book.record.human_at is None) == (Outcome.COMPLETED, "Identified" in str(then))


# Voicemail


def test_voicemail_is_no_success_and_the_next_is_dialled() -> None:
    book = answered().play(
        is_told(1, AnsweredBy.VOICEMAIL, "VoiceMail", then=to(SALES)),
        *NOT_THERE,
        StopTimer(Timer.WHO),
        Dial(leg(2), SALES),
        StartTimer(Timer.RING, 20),
    )
    assert book.attempts == [("support", Reason.VOICEMAIL, 480), ("sales", None, None)]
    assert book.record.answered_by is None


def test_with_nobody_next_the_caller_goes_back() -> None:
    book = answered().play(IS_VOICEMAIL, *NOT_THERE, *told(Reason.VOICEMAIL), Return(CALLER, ASSISTANT), *END[:-1],
                           END[-1], StopTimer(Timer.WHO))  # fmt: skip
    record = book.record
    assert (record.outcome, record.reason, record.sip_code) == (Outcome.FAILED, Reason.VOICEMAIL, 480)
    assert record.human_at is None
    assert record.returned_to_transferor
    assert record.answered_by is AnsweredBy.VOICEMAIL


def test_a_destination_may_have_the_caller_back_whoever_is_next() -> None:
    book = Playbook(to(RETURNING), manner=NAMES_HUMANS).after(answers(1))
    book.after(is_told(1, AnsweredBy.VOICEMAIL, then=to(SALES)))
    assert (book.record.reason, book.record.returned_to_transferor) == (Reason.VOICEMAIL, True)
    assert book.attempts == [("returning", Reason.VOICEMAIL, 480)]


def test_a_destination_may_leave_the_caller_there() -> None:
    book = Playbook(to(KEEPING), manner=NAMES_HUMANS).after(answers(1))
    book.play(is_told(1, AnsweredBy.VOICEMAIL, then=to(SALES)), *PUT_THROUGH).after(is_switched(1))
    record = book.record
    assert (record.outcome, record.reason) == (Outcome.COMPLETED, Reason.ANSWERED)
    assert (record.human_at, record.answered_by) == (None, AnsweredBy.VOICEMAIL)


def test_a_fresh_invite_is_not_answered_by_voicemail() -> None:
    book = Playbook(to(SUPPORT), entry=Entry.INVITE, manner=NAMES_HUMANS).after()
    book.play(answers(1), *ASKED, IS_VOICEMAIL, *NOT_THERE, HangUp(CALLER, Reason.VOICEMAIL, 480), *END,
              StopTimer(Timer.WHO))  # fmt: skip
    book = Playbook(to(SUPPORT), entry=Entry.INVITE, manner=NAMES_HUMANS).after(answers(1))
    book.play(human(1), Respond(CALLER, 200), *PUT_THROUGH)


def test_a_caller_whom_nobody_takes_back_goes_to_the_fallback() -> None:
    book = Playbook(to(SUPPORT), manner=NAMES_HUMANS, fallback=VOICEMAIL).after(GONE, answers(1))
    book.play(IS_VOICEMAIL, *NOT_THERE, StopTimer(Timer.WHO), Dial(leg(2), VOICEMAIL), StartTimer(Timer.RING, 10))


@pytest.mark.parametrize("fallback", [None, SUPPORT])
def test_a_caller_with_nowhere_else_to_go_is_left_there_and_not_hung_up(fallback: Destination | None) -> None:
    book = Playbook(to(SUPPORT), manner=NAMES_HUMANS, fallback=fallback).after(GONE, answers(1))
    book.play(IS_VOICEMAIL, *PUT_THROUGH).after(is_switched(1))
    record = book.record
    assert (record.outcome, record.human_at, record.answered_by) == (Outcome.COMPLETED, None, AnsweredBy.VOICEMAIL)
    assert "left there" in record.trail[-1]


def test_a_queue_that_gives_its_callers_to_voicemail() -> None:
    book = Playbook(to(SALES), manner=ON_HUMAN).after(answers(1), is_switched(1))
    book.play(IS_VOICEMAIL, *NOT_THERE, *told(Reason.VOICEMAIL), Return(CALLER, ASSISTANT), *END)
    book = Playbook(to(SALES), manner=ON_HUMAN).after(answers(1), is_switched(1))
    book.play(
        is_told(1, AnsweredBy.VOICEMAIL, then=to(SUPPORT)),
        *NOT_THERE,
        Wait(CALLER, ASSISTANT),
        Dial(leg(2), SUPPORT),
        StartTimer(Timer.RING, 15),
    )


@pytest.mark.parametrize("by", [None, AnsweredBy.APPLICATION])
def test_the_music_of_a_queue_is_no_answer(by: AnsweredBy | None) -> None:
    book = Playbook(to(SALES), manner=ON_HUMAN).after(answers(1), is_switched(1)).play(is_told(1, by, "Queue"))
    assert (book.state, book.record.answered_by) == (State.CONNECTED, None)


# Keys for the target


CONFERENCE = replace(SUPPORT, digits="ww12#")
PRESSED = (Switch(CALLER, leg(1)), Press(leg(1), "ww12#"))


def test_keys_are_pressed_for_a_target_once_it_is_put_through() -> None:
    Playbook(to(CONFERENCE)).after().play(answers(1), StopTimer(Timer.RING), *PRESSED)
    Playbook(to(CONFERENCE), manner=NAMES_HUMANS).after(answers(1)).play(
        human(1, AnsweredBy.EXTENSION), *PRESSED, StopTimer(Timer.WHO)
    )


def test_no_keys_are_pressed_for_voicemail() -> None:
    Playbook(to(CONFERENCE), manner=NAMES_HUMANS).after(answers(1)).play(
        IS_VOICEMAIL, *NOT_THERE, *told(Reason.VOICEMAIL), Return(CALLER, ASSISTANT), *END, StopTimer(Timer.WHO)
    )


def test_a_target_that_wants_keys_is_not_left_to_the_pbx() -> None:
    assert Playbook(to(CONFERENCE), manner=Manner(hand_down=True)).state is State.DIALLING


# What else happens meanwhile


@pytest.mark.parametrize(
    ("event", "outcome", "reason"),
    [
        (CALLER_GONE, Outcome.ABANDONED, Reason.CALLER_HUNG_UP),
        (fails(1, Reason.NO_ANSWER, 480), Outcome.FAILED, Reason.NO_ANSWER),
    ],
)
def test_who_hangs_up_before_it_is_known_who_answered(event: Event, outcome: Outcome, reason: Reason) -> None:
    book = answered().after(event)
    assert (book.record.outcome, book.record.reason, book.record.human_at) == (outcome, reason, None)


def test_nothing_is_cancelled_any_more_and_a_deadline_waits() -> None:
    book = answered(Manner(names_humans=NAMING, deadline=IN_30_S)).play(CANCELLED)
    book.play(DEADLINE, StartTimer(Timer.DEADLINE, SWITCH_S))
    assert book.state is State.ANSWERED


def test_who_picked_up_and_was_not_put_through_is_no_outcome() -> None:
    book = Playbook(to(SUPPORT), manner=NAMES_HUMANS).after(human(1, AnsweredBy.EXTENSION, "PJSIP/6001"), fails(1))
    record = book.record
    assert (record.reason, record.human_at, record.answered_by, record.agent) == (Reason.BUSY, None, None, None)


def test_a_line_out_that_the_pbx_names_before_its_answer() -> None:
    book = Playbook(to(SUPPORT), manner=NAMES_HUMANS).after(is_told(1, AnsweredBy.OUTSIDE))
    book.play(answers(1), StopTimer(Timer.RING), Switch(CALLER, leg(1))).after(is_switched(1))
    assert (book.record.answered_by, book.record.human_at) == (AnsweredBy.OUTSIDE, None)


def test_a_caller_whom_the_pbx_has_moved_to_a_line_out() -> None:
    book = Playbook(to(SUPPORT), manner=Manner(hand_down=True, names_humans=NAMING)).after(answers(1))
    assert book.state is State.HANDED
    book.after(is_told(1, AnsweredBy.OUTSIDE))
    assert (book.record.outcome, book.record.human_at) == (Outcome.COMPLETED, None)
