# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when there is no NOTIFY: Refer-Sub: false, a command, a fresh INVITE."""

import pytest

from gateway.core.model import Destination, Entry, FinalNotify
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner
from gateway.core.transfer.commands import (
    AnswerRequest,
    Dial,
    HangUp,
    Report,
    Respond,
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
    CALLER_GONE,
    END,
    IN_30_S,
    NAMING,
    OVER,
    PARTING,
    SALES,
    SILENT,
    STOP,
    SUPPORT,
    VOICEMAIL,
    Playbook,
    answers,
    cannot_switch,
    fails,
    is_switched,
    leg,
    rings,
    to,
)

# Requests without NOTIFY


def test_refer_sub_false_and_commands_are_told_by_nothing_but_the_response() -> None:
    for entry, manner in ((Entry.REFER, SILENT), (Entry.COMMAND, Manner(deadline=IN_30_S))):
        book = Playbook(to(SUPPORT), entry=entry, manner=manner)
        book.play(
            AnswerRequest(202, Reason.ACCEPTED),
            Report(Milestone.REQUESTED),
            Report(Milestone.ACCEPTED),
            Wait(CALLER, ASSISTANT),
            Dial(leg(1), SUPPORT),
            StartTimer(Timer.RING, 15),
            rings(1),
            Report(Milestone.RINGING),
            answers(1),
            StopTimer(Timer.RING),
            Switch(CALLER, leg(1)),
            is_switched(1),
            Report(Milestone.CONNECTED),
            *PARTING,
        )
        assert book.record.final_notify is None
        assert book.record.outcome is Outcome.COMPLETED


def test_a_failed_transfer_without_notify_gives_the_caller_back() -> None:
    Playbook(to(SUPPORT), manner=SILENT).after().play(fails(1), *OVER, Return(CALLER, ASSISTANT), *END)


@pytest.mark.parametrize("destination", [SUPPORT, SALES])
def test_a_transferor_that_nobody_told_of_success_gets_the_caller_back_before_the_fallback(
    destination: Destination,
) -> None:
    manner = Manner(notify=False, final_notify=FinalNotify.ON_RING, names_humans=NAMING)
    book = Playbook(to(destination), manner=manner, fallback=VOICEMAIL).after(rings(1))
    if destination is SALES:
        book.after(answers(1), is_switched(1))
    book.play(fails(1), *OVER, Return(CALLER, ASSISTANT), *END)


# A fresh INVITE


def test_an_invite_is_told_by_its_own_responses() -> None:
    book = Playbook(to(SUPPORT), entry=Entry.INVITE, manner=Manner(deadline=IN_30_S))
    book.play(
        Report(Milestone.REQUESTED),
        Report(Milestone.ACCEPTED),
        Dial(leg(1), SUPPORT),
        StartTimer(Timer.RING, 15),
        rings(1),
        Respond(CALLER, 180),
        Report(Milestone.RINGING),
        rings(1, 183),
        answers(1),
        StopTimer(Timer.RING),
        Respond(CALLER, 200),
        Switch(CALLER, leg(1)),
        is_switched(1),
        Report(Milestone.CONNECTED),
        *END,
    )
    assert book.record.final_notify is None
    assert book.record.outcome is Outcome.COMPLETED


def test_an_invite_is_not_told_that_it_rings_by_a_183_whose_media_tells() -> None:
    Playbook(to(SUPPORT), entry=Entry.INVITE).after().play(rings(1, 183), Report(Milestone.RINGING))


def test_a_failed_invite_gets_the_code_and_not_the_fallback() -> None:
    book = Playbook(to(SUPPORT), entry=Entry.INVITE, fallback=VOICEMAIL).after(rings(1))
    book.play(fails(1), *OVER, HangUp(CALLER, Reason.BUSY, 486), *END)


def test_an_invite_that_was_answered_is_not_answered_again() -> None:
    book = Playbook(to(SALES), entry=Entry.INVITE, fallback=VOICEMAIL).after(answers(1))
    book.play(
        cannot_switch(1, then=to(SUPPORT)),
        HangUp(leg(1), Reason.PBX_ERROR, 502),
        *OVER,
        Wait(CALLER, None),
        Dial(leg(2), SUPPORT),
        StartTimer(Timer.RING, 15),
        rings(2),
        Report(Milestone.RINGING),
        fails(2),
        *OVER,
        Dial(leg(3), VOICEMAIL),
        StartTimer(Timer.RING, 10),
        answers(3),
        StopTimer(Timer.RING),
        Switch(CALLER, leg(3)),
        is_switched(3),
        Report(Milestone.CONNECTED),
        *END,
    )


def test_a_caller_who_cancels_an_invite() -> None:
    book = Playbook(to(SUPPORT), entry=Entry.INVITE).after(rings(1))
    book.play(CALLER_GONE, HangUp(leg(1), Reason.CALLER_HUNG_UP, 487), *END)
    assert book.record.outcome is Outcome.ABANDONED


def test_a_stop_refuses_an_invite_that_still_rings() -> None:
    Playbook(to(SUPPORT), entry=Entry.INVITE, fallback=VOICEMAIL).after(rings(1)).play(
        STOP, HangUp(leg(1), Reason.GATEWAY_STOPPED, 503), HangUp(CALLER, Reason.GATEWAY_STOPPED, 503), *END
    )
