# SPDX-License-Identifier: GPL-2.0-or-later
"""How far the transfer machine hunts for somebody, and what it announces on the way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.core.model import Entry
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import (
    Announce,
    AnswerRequest,
    Dial,
    HangUp,
    Notify,
    Report,
    Respond,
    Return,
    StartTimer,
    StopTimer,
    Timer,
    Wait,
)
from gateway.core.transfer.events import Event, TargetFailed
from tests.support.playbook import (
    ANNOUNCED,
    ASSISTANT,
    CALLER,
    CALLER_GONE,
    DEADLINE,
    END,
    GONE,
    GREETED,
    GREETING,
    IN_30_S,
    OVER,
    PARTING,
    SALES,
    SILENT,
    STOP,
    SUPPORT,
    VOICEMAIL,
    Playbook,
    answers,
    fails,
    is_switched,
    leg,
    rings,
    rings_out,
    to,
    told,
)

BUSY_ONLY = replace(SALES, overflow_on=frozenset({Reason.BUSY}))
BACK = Return(CALLER, ASSISTANT)

# Which failures go on


@pytest.mark.parametrize(
    ("event", "hang_up", "reason"),
    [
        (fails(1, Reason.DECLINED, 603, then=to(SUPPORT)), (), Reason.DECLINED),
        (fails(1, Reason.PBX_ERROR, 500, then=to(SUPPORT)), (), Reason.PBX_ERROR),
        (rings_out(then=to(SUPPORT)), (HangUp(leg(1), Reason.NO_ANSWER, 480),), Reason.NO_ANSWER),
    ],
)
def test_a_failure_that_is_none_to_go_on_after_ends_the_hunt(
    event: Event, hang_up: tuple[HangUp, ...], reason: Reason
) -> None:
    book = Playbook(to(BUSY_ONLY)).after()
    code = event.sip_code if isinstance(event, TargetFailed) else reason.sip_code
    book.play(event, *hang_up, *OVER, *told(reason, code), BACK, *END)
    assert book.record.trail[-1] == f"overflow: none, sales does not go on after {reason}"
    assert book.attempts == [("sales", reason, book.record.attempts[0].sip_code)]


def test_a_failure_to_go_on_after_goes_on_and_the_next_has_a_rule_of_its_own() -> None:
    book = Playbook(to(BUSY_ONLY)).after()
    book.play(fails(1, then=to(SUPPORT)), *OVER, Dial(leg(2), SUPPORT), StartTimer(Timer.RING, 15))
    book.play(
        fails(2, Reason.DECLINED, 603, then=to(VOICEMAIL)), *OVER, Dial(leg(3), VOICEMAIL), StartTimer(Timer.RING, 10)
    )


def test_the_fallback_is_for_every_failure() -> None:
    book = Playbook(to(BUSY_ONLY), fallback=VOICEMAIL, manner=SILENT).after(GONE)
    book.play(
        fails(1, Reason.DECLINED, 603, then=to(SUPPORT)), *OVER, Dial(leg(2), VOICEMAIL), StartTimer(Timer.RING, 10)
    )


def test_a_fallback_that_was_dialled_on_the_way_is_not_dialled_again() -> None:
    same = replace(VOICEMAIL, id="evening", extension=VOICEMAIL.extension)
    book = Playbook(to(SALES), fallback=VOICEMAIL, manner=SILENT).after(GONE, fails(1, then=to(same)))
    book.play(fails(2), *OVER, HangUp(CALLER, Reason.BUSY, 486), *END)
    assert book.record.outcome is Outcome.FAILED


# How long it goes on


def test_the_targets_of_a_hunt_share_its_time() -> None:
    book = Playbook(to(SALES), total_ring=timedelta(seconds=30)).after(rings(1))
    book.after(*[rings(1)] * 18)  # 19 s have passed
    book.play(
        rings_out(then=to(SUPPORT)),
        HangUp(leg(1), Reason.NO_ANSWER, 480),
        *OVER,
        Dial(leg(2), SUPPORT),
        StartTimer(Timer.RING, 10),
    )


def test_nothing_more_is_dialled_when_the_time_of_the_hunt_is_over() -> None:
    book = Playbook(to(SALES), total_ring=timedelta(seconds=5)).after(*[rings(1)] * 4)
    book.play(
        rings_out(then=to(SUPPORT)),
        HangUp(leg(1), Reason.NO_ANSWER, 480),
        *OVER,
        *told(Reason.NO_ANSWER),
        BACK,
        *END,
    )
    assert book.record.trail[-1] == "overflow: none, the time for all targets together is over"


def test_the_first_target_rings_no_longer_than_the_hunt() -> None:
    book = Playbook(to(SALES), total_ring=timedelta(seconds=12), manner=SILENT)
    book.play(
        AnswerRequest(202, Reason.ACCEPTED),
        Report(Milestone.REQUESTED),
        Report(Milestone.ACCEPTED),
        Wait(CALLER, ASSISTANT),
        Dial(leg(1), SALES),
        StartTimer(Timer.RING, 12),
    )


def test_the_fallback_has_time_of_its_own() -> None:
    book = Playbook(to(SALES), fallback=VOICEMAIL, manner=SILENT, total_ring=timedelta(seconds=3)).after(GONE, rings(1))
    book.play(
        rings_out(then=to(SUPPORT)),
        HangUp(leg(1), Reason.NO_ANSWER, 480),
        *OVER,
        Dial(leg(2), VOICEMAIL),
        StartTimer(Timer.RING, 10),
    )


# Announcements before the dialling


def test_an_announcement_is_heard_before_anything_is_dialled() -> None:
    book = Playbook(to(GREETED), manner=Manner(deadline=IN_30_S))
    book.play(
        AnswerRequest(202, Reason.ACCEPTED),
        Notify(100, Reason.ACCEPTED),
        Report(Milestone.REQUESTED),
        Report(Milestone.ACCEPTED),
        Wait(CALLER, ASSISTANT),
        Announce(CALLER, GREETING),
        StartTimer(Timer.ANNOUNCEMENT, 3),
        StartTimer(Timer.DEADLINE, 30),
        ANNOUNCED,
        Dial(leg(1), GREETED),
        StartTimer(Timer.RING, 12),
    )
    assert book.state is State.DIALLING
    book.after(answers(1), is_switched(1))
    assert book.record.outcome is Outcome.COMPLETED


def test_a_fresh_invite_hears_its_announcement_too() -> None:
    book = Playbook(to(GREETED), entry=Entry.INVITE).after(ANNOUNCED)
    book.play(rings(1), Respond(CALLER, 180), Report(Milestone.RINGING))


def test_the_next_target_has_an_announcement_of_its_own() -> None:
    book = Playbook(to(SALES)).after()
    book.play(
        fails(1, then=to(GREETED)),
        *OVER,
        Announce(CALLER, GREETING),
        StartTimer(Timer.ANNOUNCEMENT, 3),
        ANNOUNCED,
        Dial(leg(2), GREETED),
        StartTimer(Timer.RING, 12),
    )


def test_a_caller_who_hangs_up_during_the_announcement_has_nobody_dialled() -> None:
    book = Playbook(to(GREETED)).after()
    book.play(CALLER_GONE, StopTimer(Timer.ANNOUNCEMENT), *told(Reason.CALLER_HUNG_UP), *PARTING)
    assert book.record.outcome is Outcome.ABANDONED


@pytest.mark.parametrize(
    ("event", "reason", "over"), [(STOP, Reason.GATEWAY_STOPPED, ()), (DEADLINE, Reason.NO_ANSWER, OVER)]
)
def test_an_announcement_is_cut_off_by_what_ends_the_transfer(
    event: Event, reason: Reason, over: tuple[StopTimer, ...]
) -> None:
    book = Playbook(to(GREETED), manner=Manner(deadline=IN_30_S)).after()
    book.play(event, StopTimer(Timer.ANNOUNCEMENT), *over, *told(reason), BACK, *END)


def test_a_destination_with_an_announcement_is_not_handed_down() -> None:
    book = Playbook(to(GREETED), manner=Manner(notify=False, hand_down=True)).after(ANNOUNCED)
    assert book.state is State.DIALLING
