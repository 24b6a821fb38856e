# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when a target does not take the call: who is tried next, and who takes the caller back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.core.model import AnsweredBy, Entry
from gateway.core.outcome import Outcome, Reason, reason_for_failure
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import (
    WHO_S,
    Dial,
    HangUp,
    Identify,
    Report,
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
    BEGIN,
    CALLER,
    CALLER_GONE,
    CANCELLED,
    END,
    GONE,
    IN_30_S,
    NAMES_HUMANS,
    ON_HUMAN,
    ON_RING,
    OVER,
    PARTING,
    SALES,
    SUPPORT,
    VOICEMAIL,
    WHO_TIMEOUT,
    Playbook,
    answers,
    cannot_switch,
    fails,
    human,
    is_switched,
    leg,
    refusal,
    rings,
    rings_out,
    to,
    told,
)

# Failure


@pytest.mark.parametrize("ringing", [[], [rings(1)]])
def test_the_next_that_passes_its_gate_is_dialled_after_a_failure(ringing: list[Event]) -> None:
    book = Playbook(to(SALES)).after(*ringing)
    book.play(fails(1, then=to(SUPPORT)), *OVER, Dial(leg(2), SUPPORT), StartTimer(Timer.RING, 15))
    assert book.state is State.DIALLING
    assert book.attempts == [("sales", Reason.BUSY, 486), ("support", None, None)]
    assert book.record.destination == "support"


@pytest.mark.parametrize("ringing", [[], [rings(1)]])
def test_the_next_is_dialled_after_the_ring_time(ringing: list[Event]) -> None:
    book = Playbook(to(SALES)).after(*ringing)
    book.play(
        rings_out(then=to(SUPPORT)),
        HangUp(leg(1), Reason.NO_ANSWER, 480),
        *OVER,
        Dial(leg(2), SUPPORT),
        StartTimer(Timer.RING, 15),
    )
    assert book.attempts == [("sales", Reason.NO_ANSWER, 480), ("support", None, None)]


def test_ringing_is_told_and_reported_once_for_all_targets() -> None:
    book = Playbook(to(SALES)).after(rings(1), fails(1, then=to(SUPPORT)))
    book.play(rings(2))
    assert book.state is State.RINGING
    assert book.record.ringing_at == BEGIN + timedelta(seconds=1)


@pytest.mark.parametrize("ringing", [[], [rings(1)]])
@pytest.mark.parametrize(
    ("event", "hang_up", "reason"),
    [
        (fails(1), (), Reason.BUSY),
        (fails(1, Reason.DECLINED, 603), (), Reason.DECLINED),
        (rings_out(), (HangUp(leg(1), Reason.NO_ANSWER, 480),), Reason.NO_ANSWER),
    ],
)
def test_the_transferor_gets_the_caller_back_when_none_is_left(
    ringing: list[Event], event: Event, hang_up: tuple[HangUp, ...], reason: Reason
) -> None:
    book = Playbook(to(SALES), fallback=VOICEMAIL).after(*ringing)
    book.play(event, *hang_up, *OVER, *told(reason), Return(CALLER, ASSISTANT), *END)
    assert book.state is State.ENDED
    assert (book.record.outcome, book.record.reason) == (Outcome.FAILED, reason)
    assert book.record.sip_code == reason.sip_code
    assert book.record.returned_to_transferor


def test_the_final_notify_carries_the_code_of_the_last_attempt() -> None:
    book = Playbook(to(SALES)).after(fails(1, Reason.DECLINED, 603, then=to(SUPPORT)))
    book.play(fails(2, Reason.UNREACHABLE, 404), *OVER, *told(Reason.UNREACHABLE, 404), Return(CALLER, ASSISTANT), *END)
    assert book.attempts == [("sales", Reason.DECLINED, 603), ("support", Reason.UNREACHABLE, 404)]
    assert book.record.sip_code == 480


def test_a_profile_may_want_the_code_of_the_reason() -> None:
    by_reason = Manner(own_codes=False)
    Playbook(to(SALES), manner=by_reason).after().play(
        fails(1, Reason.UNREACHABLE, 404), *OVER, *told(Reason.UNREACHABLE), Return(CALLER, ASSISTANT), *END
    )
    Playbook(to(SALES), manner=by_reason, entry=Entry.INVITE).after().play(
        fails(1, Reason.PBX_ERROR, 488), *OVER, HangUp(CALLER, Reason.PBX_ERROR, 502), *END
    )


@pytest.mark.keeps("16.54")
@pytest.mark.parametrize(
    ("code", "told_code"), [(404, 404), (488, 488), (604, 604), (302, 502), (407, 502), (422, 502)]
)
def test_an_invite_is_answered_with_the_code_of_the_last_attempt_unless_it_concerns_that_leg_alone(
    code: int, told_code: int
) -> None:
    reason = reason_for_failure(code)
    book = Playbook(to(SALES), entry=Entry.INVITE).after()
    book.play(fails(1, reason, code), *OVER, HangUp(CALLER, reason, told_code), *END)


def test_the_fallback_takes_a_caller_whose_transferor_hung_up_after_the_202() -> None:
    book = Playbook(to(SUPPORT), fallback=VOICEMAIL, manner=Manner(deadline=IN_30_S)).after()
    book.play(
        GONE,
        StopTimer(Timer.DEADLINE),
        StopTimer(Timer.RELEASE),
        fails(1),
        *OVER,
        Dial(leg(2), VOICEMAIL),
        StartTimer(Timer.RING, 10),
        answers(2),
        StopTimer(Timer.RING),
        Switch(CALLER, leg(2)),
        is_switched(2),
        *told(Reason.ANSWERED),
        Report(Milestone.CONNECTED),
        *END,
    )
    assert book.record.destination == "voicemail"
    assert book.record.trail[-1] == "fallback voicemail: nobody is left to take the caller back"


def test_the_caller_is_hung_up_when_the_fallback_fails_too_and_nobody_is_left() -> None:
    book = Playbook(to(SUPPORT), fallback=VOICEMAIL).after(GONE, fails(1))
    book.play(
        fails(2, Reason.PBX_ERROR, 500),
        *OVER,
        *told(Reason.PBX_ERROR, 500),
        HangUp(CALLER, Reason.PBX_ERROR, 500),
        *END,
    )
    assert book.record.outcome is Outcome.FAILED
    assert not book.record.returned_to_transferor


def test_the_caller_is_hung_up_when_there_is_no_fallback_and_nobody_is_left() -> None:
    Playbook(to(SUPPORT)).after(GONE).play(fails(1), *OVER, *told(Reason.BUSY), HangUp(CALLER, Reason.BUSY, 486), *END)


def test_a_transferor_that_was_told_success_too_early_gets_the_caller_only_after_the_fallback() -> None:
    book = Playbook(to(SUPPORT), fallback=VOICEMAIL, manner=ON_RING).after(rings(1))
    book.play(fails(1), *OVER, Dial(leg(2), VOICEMAIL), StartTimer(Timer.RING, 10))
    book.play(fails(2), *OVER, Return(CALLER, ASSISTANT), *END)
    assert book.record.outcome is Outcome.FAILED


# Joining the legs


def test_legs_that_cannot_be_joined_give_the_caller_back() -> None:
    book = Playbook(to(SUPPORT)).after(answers(1))
    book.play(
        cannot_switch(1),
        HangUp(leg(1), Reason.PBX_ERROR, 502),
        *OVER,
        *told(Reason.PBX_ERROR),
        Return(CALLER, ASSISTANT),
        *END,
    )
    assert book.record.reason is Reason.PBX_ERROR


def test_a_caller_who_could_not_be_joined_hears_the_next_one_ring() -> None:
    Playbook(to(SALES)).after(answers(1)).play(
        cannot_switch(1, then=to(SUPPORT)),
        HangUp(leg(1), Reason.PBX_ERROR, 502),
        *OVER,
        Wait(CALLER, ASSISTANT),
        Dial(leg(2), SUPPORT),
        StartTimer(Timer.RING, 15),
    )


def test_a_target_that_hangs_up_while_the_legs_are_joined() -> None:
    Playbook(to(SALES)).after(answers(1)).play(
        fails(1, Reason.PBX_ERROR, 502), *OVER, *told(Reason.PBX_ERROR), Return(CALLER, ASSISTANT), *END
    )


def test_a_caller_who_hangs_up_while_the_legs_are_joined() -> None:
    book = Playbook(to(SALES)).after(answers(1))
    book.play(CALLER_GONE, HangUp(leg(1), Reason.CALLER_HUNG_UP, 487), *told(Reason.CALLER_HUNG_UP), *PARTING)
    assert book.record.outcome is Outcome.ABANDONED


# Answered, but by nobody yet


def test_a_queue_that_hangs_up_before_a_person_took_the_call_gives_the_caller_back() -> None:
    book = Playbook(to(SALES), manner=ON_HUMAN).after(answers(1), is_switched(1))
    book.play(fails(1, Reason.NO_ANSWER, 480), *OVER, *told(Reason.NO_ANSWER), Return(CALLER, ASSISTANT), *END)
    assert book.record.outcome is Outcome.FAILED
    assert book.attempts == [("sales", Reason.NO_ANSWER, 480)]


def test_a_queue_that_hangs_up_after_success_was_told_leads_to_the_next_and_then_the_fallback() -> None:
    book = Playbook(to(SALES), manner=NAMES_HUMANS, fallback=VOICEMAIL).after(answers(1), is_switched(1))
    book.play(
        fails(1, Reason.NO_ANSWER, 480, then=to(SUPPORT)),
        *OVER,
        Wait(CALLER, ASSISTANT),
        Dial(leg(2), SUPPORT),
        StartTimer(Timer.RING, 15),
        rings(2),
        fails(2),
        *OVER,
        Dial(leg(3), VOICEMAIL),
        StartTimer(Timer.RING, 10),
        answers(3),
        StopTimer(Timer.RING),
        Identify(leg(3)),
        StartTimer(Timer.WHO, WHO_S),
        WHO_TIMEOUT,
        Switch(CALLER, leg(3)),
        StopTimer(Timer.WHO),
        is_switched(3),
        *PARTING,
    )
    assert book.record.outcome is Outcome.COMPLETED
    assert book.record.destination == "voicemail"


def test_the_time_of_a_human_is_that_of_the_target_that_took_the_call() -> None:
    book = Playbook(to(SALES), manner=NAMES_HUMANS).after(human(1), fails(1, then=to(SUPPORT)))
    assert book.record.human_at is None
    book.after(answers(2), human(2, AnsweredBy.EXTENSION), is_switched(2))
    assert book.record.human_at == BEGIN + timedelta(seconds=4)
    assert book.record.answered_by is AnsweredBy.EXTENSION


@pytest.mark.parametrize("manner", [NAMES_HUMANS, ON_HUMAN])
def test_a_caller_who_leaves_the_queue_before_a_person_came(manner: Manner) -> None:
    book = Playbook(to(SALES), manner=manner).after(answers(1), is_switched(1))
    notify = told(Reason.CALLER_HUNG_UP) if manner is ON_HUMAN else ()
    book.play(CALLER_GONE, HangUp(leg(1), Reason.CALLER_HUNG_UP, 487), *notify, *PARTING)
    assert book.record.outcome is Outcome.ABANDONED


def test_a_transferor_that_hangs_up_while_the_caller_waits_for_a_person() -> None:
    book = Playbook(to(SALES), manner=ON_HUMAN, fallback=VOICEMAIL).after(answers(1), is_switched(1), GONE)
    assert book.state is State.CONNECTED
    book.play(human(1), *told(Reason.ANSWERED), *END)


def test_a_failure_can_be_spoken() -> None:
    book = Playbook(to(SALES)).after(fails(1, then=to(SUPPORT)), rings(2), rings_out())
    assert (book.record.outcome, book.record.sentence) == (Outcome.FAILED, "Nobody answers at support.")
    assert Playbook(to(SALES)).after(CALLER_GONE).record.sentence is None
    assert Playbook(to(SALES)).after(answers(1), is_switched(1)).record.sentence is None


def test_a_refusal_is_spoken_in_the_words_of_the_gate() -> None:
    closed = replace(refusal(Reason.OUTSIDE_HOURS), sentence="Verkoop is gesloten tot 09:00 uur.")
    assert Playbook(closed).record.sentence == "Verkoop is gesloten tot 09:00 uur."
    pending = refusal(Reason.TRANSFER_PENDING, None)
    assert Playbook(pending).record.sentence == "A transfer is already under way."


# Cancelled by command


@pytest.mark.parametrize("ringing", [[], [rings(1)]])
def test_a_cancelled_transfer_gives_the_caller_back(ringing: list[Event]) -> None:
    book = Playbook(to(SALES)).after(*ringing)
    book.play(
        CANCELLED,
        HangUp(leg(1), Reason.CANCELLED, 487),
        *OVER,
        *told(Reason.CANCELLED),
        Return(CALLER, ASSISTANT),
        *END,
    )
    assert (book.record.outcome, book.record.reason) == (Outcome.FAILED, Reason.CANCELLED)
    assert book.attempts == [("sales", Reason.CANCELLED, 487)]
    assert book.record.trail[-1] == "cancelled: by command"
    assert book.record.returned_to_transferor


def test_a_cancelled_caller_whom_nobody_takes_back_is_brought_to_the_fallback() -> None:
    book = Playbook(to(SALES), fallback=VOICEMAIL).after(GONE)
    book.play(
        CANCELLED, HangUp(leg(1), Reason.CANCELLED, 487), *OVER, Dial(leg(2), VOICEMAIL), StartTimer(Timer.RING, 10)
    )
    book.play(CANCELLED)  # they have nowhere else to go
    assert book.state is State.DIALLING


@pytest.mark.parametrize(
    "book",
    [
        Playbook(to(SALES)).after(GONE),
        Playbook(to(SALES)).after(answers(1)),
        Playbook(to(SALES), manner=NAMES_HUMANS).after(answers(1), is_switched(1)),
        Playbook(to(SALES)).after(answers(1), is_switched(1)),
    ],
    ids=["nobody takes them back", "switching", "connected", "releasing"],
)
def test_it_is_too_late_to_cancel(book: Playbook) -> None:
    book.play(CANCELLED)
    assert book.record.outcome in (None, Outcome.COMPLETED)
