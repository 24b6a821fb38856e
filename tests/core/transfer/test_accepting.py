# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when who answers hears a whisper, and takes the call by a key, before they are joined."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.core.model import AnsweredBy, Destination, Entry, FinalNotify, OnVoicemail
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import (
    WHO_S,
    Dial,
    HangUp,
    Identify,
    Report,
    Respond,
    Return,
    StartTimer,
    StopTimer,
    Switch,
    Timer,
    Whisper,
)
from gateway.core.transfer.events import Event
from tests.support.playbook import (
    ACCEPTING,
    ASSISTANT,
    CALLER,
    CALLER_GONE,
    CANCELLED,
    DEADLINE,
    END,
    FAULT,
    GONE,
    IN_30_S,
    NAMES_HUMANS,
    NAMING,
    ON_HUMAN,
    OVER,
    PARTING,
    QUEUED,
    STOP,
    SUPPORT,
    VOICEMAIL,
    WHISPER,
    WHISPERED,
    WHO_TIMEOUT,
    Playbook,
    answers,
    does_not_accept,
    fails,
    human,
    is_switched,
    is_told,
    leg,
    presses,
    rings,
    rings_out,
    to,
    told,
)

ASKED = (Whisper(leg(1), (WHISPER,), tones="12"), StartTimer(Timer.ACCEPT, 12))
PUT_THROUGH = (Switch(CALLER, leg(1)), StopTimer(Timer.ACCEPT))
SECOND = (Dial(leg(2), SUPPORT), StartTimer(Timer.RING, 15))


def asked(manner: Manner | None = None, fallback: Destination | None = None) -> Playbook:
    """Who has answered is asked to take the call."""
    return Playbook(to(ACCEPTING), manner=manner, fallback=fallback).after(answers(1))


def test_a_whisper_is_heard_before_the_caller_is_put_through() -> None:
    book = Playbook(to(WHISPERED)).after()
    book.play(
        answers(1),
        StopTimer(Timer.RING),
        Whisper(leg(1), (WHISPER,)),
        StartTimer(Timer.ACCEPT, 2),
        presses(1),  # which nobody has asked for
        does_not_accept(),
        *PUT_THROUGH,
        is_switched(1),
        *told(Reason.ANSWERED),
        Report(Milestone.CONNECTED),
        *PARTING,
    )
    record = book.record
    assert (record.outcome, record.human_at, record.accepted_at) == (Outcome.COMPLETED, None, None)
    assert record.answered_at == record.whispered_at


def test_a_key_takes_the_call_and_proves_a_person() -> None:
    book = Playbook(to(ACCEPTING)).after()
    book.play(
        answers(1),
        StopTimer(Timer.RING),
        *ASKED,
        presses(1),
        *PUT_THROUGH,
        is_switched(1),
        *told(Reason.ANSWERED),
        Report(Milestone.CONNECTED),
        *PARTING,
    )
    record = book.record
    assert record.answered_at == record.whispered_at
    assert record.accepted_at == record.human_at
    assert record.answered_at is not None
    assert record.accepted_at == record.answered_at + timedelta(seconds=1)
    assert record.answered_by is None  # which the PBX alone says


@pytest.mark.parametrize(
    ("event", "reason", "line"),
    [
        (presses(1, "2", then=to(SUPPORT)), Reason.DECLINED, "accept: declined by key"),
        (presses(1, "7", then=to(SUPPORT)), Reason.DECLINED, "accept: another key was pressed"),
        (does_not_accept(then=to(SUPPORT)), Reason.NO_ANSWER, "accept: no key within 10 s"),
    ],
)
def test_who_does_not_take_the_call_is_let_go_and_the_next_is_tried(event: Event, reason: Reason, line: str) -> None:
    book = asked()
    book.play(event, HangUp(leg(1), reason, reason.sip_code), *OVER, StopTimer(Timer.ACCEPT), *SECOND)
    assert book.attempts == [("accepting", reason, reason.sip_code), ("support", None, None)]
    assert line in book.record.trail
    assert (book.record.whispered_at, book.record.human_at) == (None, None)


def test_who_hangs_up_has_declined() -> None:
    book = asked()
    book.play(
        fails(1, Reason.NO_ANSWER, 480, then=to(SUPPORT)), *OVER, StopTimer(Timer.ACCEPT), *SECOND
    )  # as a BYE after the answer is told
    assert book.attempts[0] == ("accepting", Reason.DECLINED, 603)


def test_a_leg_that_is_lost_has_not() -> None:
    book = asked().after(fails(1, Reason.PBX_ERROR, 408))
    assert book.attempts[0] == ("accepting", Reason.PBX_ERROR, 408)


def test_nobody_takes_the_call_and_the_caller_is_given_back() -> None:
    book = asked()
    book.play(
        does_not_accept(),
        HangUp(leg(1), Reason.NO_ANSWER, 480),
        *OVER,
        *told(Reason.NO_ANSWER),
        Return(CALLER, ASSISTANT),
        *END,
        StopTimer(Timer.ACCEPT),
    )
    assert (book.record.outcome, book.record.reason) == (Outcome.FAILED, Reason.NO_ANSWER)
    assert book.record.returned_to_transferor
    assert book.record.whispered_at is not None


def test_an_invite_is_answered_once_the_call_is_taken() -> None:
    book = Playbook(to(ACCEPTING), entry=Entry.INVITE).after(answers(1))
    book.play(presses(1), Respond(CALLER, 200), *PUT_THROUGH)


@pytest.mark.parametrize(
    ("event", "state", "reason"),
    [
        (CALLER_GONE, State.RELEASING, Reason.CALLER_HUNG_UP),
        (CANCELLED, State.ENDED, Reason.CANCELLED),
        (STOP, State.ENDED, Reason.GATEWAY_STOPPED),
        (FAULT, State.ENDED, Reason.GATEWAY_ERROR),
        (DEADLINE, State.ENDED, Reason.NO_ANSWER),
    ],
)
def test_whatever_ends_the_transfer_meanwhile_hangs_up_who_was_asked(
    event: Event, state: State, reason: Reason
) -> None:
    book = asked(Manner(deadline=IN_30_S))
    book.after(event)
    assert (book.state, book.record.reason) == (state, reason)
    assert book.attempts == [("accepting", reason, reason.sip_code)]


def test_the_deadline_may_pass_and_the_asking_go_on() -> None:
    book = asked(Manner(deadline=IN_30_S, cancel_at_deadline=False))
    book.play(DEADLINE, *told(Reason.NO_ANSWER), presses(1), *PUT_THROUGH)


def test_without_a_transferor_who_declines_sends_the_caller_to_the_fallback() -> None:
    book = asked(fallback=VOICEMAIL).after(GONE)
    book.play(
        presses(1, "2"),
        HangUp(leg(1), Reason.DECLINED, 603),
        *OVER,
        StopTimer(Timer.ACCEPT),
        Dial(leg(2), VOICEMAIL),
        StartTimer(Timer.RING, 10),
    )


# --- what the PBX says of who has answered


def test_the_pbx_is_asked_first_and_then_who_answered() -> None:
    book = Playbook(to(ACCEPTING), manner=NAMES_HUMANS).after()
    book.play(
        answers(1),
        StopTimer(Timer.RING),
        Identify(leg(1)),
        StartTimer(Timer.WHO, WHO_S),
        human(1, AnsweredBy.EXTENSION, "PJSIP/6001"),
        *ASKED,
        StopTimer(Timer.WHO),
        presses(1),
        *PUT_THROUGH,
    )
    assert book.record.human_at is not None
    assert book.record.accepted_at is not None
    assert book.record.human_at < book.record.accepted_at


def test_a_pbx_that_does_not_know_keeps_nobody_from_being_asked() -> None:
    book = Playbook(to(ACCEPTING), manner=NAMES_HUMANS).after(answers(1))
    book.play(WHO_TIMEOUT, *ASKED, StopTimer(Timer.WHO))


def test_the_pbx_may_say_so_late() -> None:
    book = Playbook(to(ACCEPTING), manner=NAMES_HUMANS).after(answers(1), WHO_TIMEOUT)
    book.play(human(1, AnsweredBy.EXTENSION), is_told(1, AnsweredBy.OUTSIDE), presses(1), *PUT_THROUGH)
    assert book.record.answered_by is AnsweredBy.EXTENSION


@pytest.mark.parametrize("late", [True, False])
def test_voicemail_is_asked_nothing(late: bool) -> None:
    book = Playbook(to(ACCEPTING), manner=NAMES_HUMANS).after(answers(1), *((WHO_TIMEOUT,) if late else ()))
    book.after(is_told(1, AnsweredBy.VOICEMAIL, then=to(SUPPORT)))
    assert book.attempts == [("accepting", Reason.VOICEMAIL, 480), ("support", None, None)]


@pytest.mark.parametrize("late", [True, False])
def test_voicemail_that_may_keep_the_caller_is_asked_nothing_either(late: bool) -> None:
    keeping = replace(ACCEPTING, voicemail=OnVoicemail.KEEP)
    book = Playbook(to(keeping), manner=NAMES_HUMANS).after(answers(1), *((WHO_TIMEOUT,) if late else ()))
    stopped = Timer.ACCEPT if late else Timer.WHO
    book.play(is_told(1, AnsweredBy.VOICEMAIL), Switch(CALLER, leg(1)), StopTimer(stopped))


def test_a_line_out_can_be_asked_and_a_key_proves_a_person_there() -> None:
    book = Playbook(to(ACCEPTING), manner=NAMES_HUMANS).after(answers(1), is_told(1, AnsweredBy.OUTSIDE))
    assert book.state is State.WHISPERING
    book.after(presses(1), is_switched(1))
    assert (book.state, book.record.answered_by) == (State.RELEASING, AnsweredBy.OUTSIDE)
    assert book.record.human_at == book.record.accepted_at


def test_the_agent_of_a_queue_is_asked_and_not_its_music() -> None:
    book = Playbook(to(QUEUED), manner=NAMES_HUMANS).after(rings(1))
    book.play(
        answers(1),
        StopTimer(Timer.RING),
        Identify(leg(1)),
        StopTimer(Timer.WHO),
        StartTimer(Timer.RING, 20),
        is_told(1, None, "Queue"),
        is_told(1, AnsweredBy.APPLICATION, "Playback"),
        human(1),
        StopTimer(Timer.RING),
        *ASKED,
        StopTimer(Timer.WHO),
    )


def test_a_queue_whose_agent_was_named_before_is_asked_at_once() -> None:
    book = Playbook(to(QUEUED), manner=NAMES_HUMANS).after(human(1))
    book.play(answers(1), StopTimer(Timer.RING), *ASKED)


def test_a_queue_in_which_nobody_takes_the_call_has_rung_in_vain() -> None:
    book = Playbook(to(QUEUED), manner=NAMES_HUMANS).after(answers(1))
    book.play(
        rings_out(then=to(SUPPORT)), HangUp(leg(1), Reason.NO_ANSWER, 480), *OVER, StopTimer(Timer.WHO), *SECOND,
    )  # fmt: skip


def test_behind_follow_me_a_person_is_waited_for_too() -> None:
    book = Playbook(to(ACCEPTING), manner=NAMES_HUMANS).after(answers(1))
    book.play(
        is_told(1, None, "FollowMe"),
        StopTimer(Timer.WHO),
        StartTimer(Timer.RING, 15),
        human(1, AnsweredBy.EXTENSION),
        StopTimer(Timer.RING),
        *ASKED,
        StopTimer(Timer.WHO),
    )


@pytest.mark.parametrize("event", [CANCELLED, DEADLINE])
def test_who_waits_behind_a_queue_can_still_be_called_back(event: Event) -> None:
    book = Playbook(to(QUEUED), manner=ON_HUMAN).after(answers(1), event)
    assert (book.state, book.record.returned_to_transferor) == (State.ENDED, True)


# --- when the sender is told


@pytest.mark.parametrize("when", [FinalNotify.ON_ANSWER, FinalNotify.ON_HUMAN, FinalNotify.ON_ACCEPT])
@pytest.mark.parametrize("names", [True, False])
def test_the_sender_is_told_of_success_once_the_call_is_taken(when: FinalNotify, names: bool) -> None:
    manner = Manner(final_notify=when, names_humans=NAMING if names else frozenset())
    book = Playbook(to(ACCEPTING), manner=manner).after(answers(1))
    if names:
        book.after(is_told(1, AnsweredBy.OUTSIDE))
    book.play(presses(1), *PUT_THROUGH)
    book.play(is_switched(1), *told(Reason.ANSWERED), Report(Milestone.CONNECTED), *PARTING)
