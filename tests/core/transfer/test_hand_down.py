# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when the PBX carries the transfer out: who is told what, and where the caller is in the end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.core.model import Agent, DeviceState, Entry, FinalNotify, PbxState, QueueState
from gateway.core.outcome import Outcome, Reason, reason_for_cause
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import (
    HUMAN_S,
    LISTEN_S,
    RELEASE_S,
    AnswerRequest,
    Dial,
    HandDown,
    HangUp,
    Listen,
    Notify,
    Report,
    StartTimer,
    StopTimer,
    Timer,
    Wait,
)
from gateway.core.transfer.hand_down import is_certain
from tests.support.playbook import (
    ASSISTANT,
    BEGIN,
    CALLER,
    CALLER_GONE,
    DEADLINE,
    GONE,
    IN_30_S,
    NAMING,
    OVER,
    PARTING,
    SALES,
    STOP,
    SUPPORT,
    VOICEMAIL,
    Playbook,
    answers,
    fails,
    hears,
    human,
    leg,
    loses_caller,
    rings,
    rings_out,
    to,
    told,
)

DOWN = Manner(hand_down=True, names_humans=NAMING)
LISTENING = (StopTimer(Timer.RING), Listen(CALLER), StartTimer(Timer.LISTEN, LISTEN_S))


def handed(manner: Manner = DOWN) -> Playbook:
    """A transfer to a queue that the PBX has been asked to carry out."""
    book = Playbook(to(SALES), manner=manner)
    assert book.state is State.HANDING
    return book


def test_the_pbx_s_word_is_passed_on_and_the_outcome_waits_for_a_person() -> None:
    book = handed().play(
        AnswerRequest(202, Reason.ACCEPTED),
        Notify(100, Reason.ACCEPTED),
        Report(Milestone.REQUESTED),
        Report(Milestone.ACCEPTED),
        Wait(CALLER, ASSISTANT),
        HandDown(leg(1), CALLER, SALES),
        StartTimer(Timer.RING, 20),
        rings(1),
        Notify(180, Reason.ACCEPTED),
        Report(Milestone.RINGING),
        answers(1),
        StopTimer(Timer.RING),
        StopTimer(Timer.LISTEN),
        HangUp(CALLER, Reason.ANSWERED, 200),
        *told(Reason.ANSWERED),
        StartTimer(Timer.RELEASE, RELEASE_S),
        Report(Milestone.CONNECTED),
        StartTimer(Timer.HUMAN, HUMAN_S),
        human(1),
        *PARTING,
    )
    assert book.attempts == [("sales", Reason.ANSWERED, 200)]
    assert (book.record.outcome, book.record.human_at) == (Outcome.COMPLETED, book.now)
    assert book.record.answered_at == BEGIN + timedelta(seconds=2)


def test_without_a_pbx_that_names_people_its_answer_is_the_outcome_and_no_person_is_named() -> None:
    book = handed(Manner(hand_down=True)).after(answers(1))
    assert (book.record.outcome, book.record.human_at) == (Outcome.COMPLETED, None)


def test_a_refusal_of_the_pbx_lets_the_next_be_dialled_by_the_gateway() -> None:
    handed().after().play(fails(1, then=to(SUPPORT)), *OVER, Dial(leg(2), SUPPORT), StartTimer(Timer.RING, 15))


def test_a_failure_is_followed_by_listening_for_the_caller() -> None:
    book = handed().after()
    book.play(fails(1, Reason.PBX_ERROR, 503, then=to(SUPPORT), moved=True), *LISTENING)
    book.play(hears(1, then=to(SUPPORT)), *OVER, Dial(leg(2), SUPPORT), StartTimer(Timer.RING, 15))


def test_a_caller_who_is_not_heard_is_not_returned() -> None:
    book = handed().after(fails(1, Reason.PBX_ERROR, 503, moved=True))
    book.play(
        hears(1, False, then=to(SUPPORT)),
        HangUp(CALLER, Reason.PBX_ERROR, 502),
        StopTimer(Timer.LISTEN),
        *told(Reason.PBX_ERROR, 503),
        *PARTING,
    )
    assert book.attempts == [("sales", Reason.PBX_ERROR, 503)]
    assert (book.record.outcome, book.record.returned_to_transferor) == (Outcome.FAILED, False)
    assert book.record.fault == "the PBX took the caller and dropped them: 503"


def test_a_late_answer_counts_while_the_caller_is_listened_for() -> None:
    book = handed().after(rings_out(), answers(1))
    assert (book.state, book.attempts) == (State.HANDED, [("sales", Reason.ANSWERED, 200)])


def test_a_caller_without_anybody_to_go_back_to_is_brought_to_the_fallback() -> None:
    book = Playbook(to(SALES), manner=DOWN, fallback=VOICEMAIL).after(GONE, rings_out())
    book.play(hears(1), *OVER, Dial(leg(2), VOICEMAIL), StartTimer(Timer.RING, 10))


@pytest.mark.parametrize(("reason", "outcome"), [(Reason.CALLER_HUNG_UP, "abandoned"), (Reason.BUSY, "failed")])
@pytest.mark.parametrize("gone", [False, True])
def test_a_caller_whom_the_pbx_lost_after_it_took_him(reason: Reason, outcome: str, gone: bool) -> None:
    book = handed().after(answers(1), *([GONE] if gone else []), loses_caller(1, reason))
    assert (book.record.outcome, book.record.reason) == (outcome, reason)
    assert (book.record.fault is None) == (reason is Reason.CALLER_HUNG_UP)
    assert book.state is (State.ENDED if gone else State.RELEASING)


def test_a_leg_that_ends_before_the_outcome_is_a_failure() -> None:
    book = handed().after(CALLER_GONE)
    assert (book.record.outcome, book.record.reason) == (Outcome.FAILED, Reason.PBX_ERROR)
    assert book.record.fault


def test_at_the_deadline_the_caller_is_listened_for_before_anything_is_said() -> None:
    book = handed(Manner(hand_down=True, names_humans=NAMING, deadline=IN_30_S)).after()
    book.play(DEADLINE, *LISTENING)


def test_a_gateway_that_stops_does_not_call_a_caller_at_the_pbx_interrupted() -> None:
    assert handed().after(answers(1), STOP).record.outcome is Outcome.COMPLETED
    assert handed().after(STOP).record.outcome is Outcome.INTERRUPTED


@pytest.mark.parametrize("final_notify", FinalNotify)
def test_whoever_waits_for_a_person_may_get_the_caller_back_and_is_bridged(final_notify: FinalNotify) -> None:
    book = Playbook(to(SALES), manner=Manner(hand_down=True, final_notify=final_notify))
    assert book.state is (State.DIALLING if final_notify.waits_for_person else State.HANDING)


def test_a_fresh_invite_is_never_handed_down() -> None:
    assert Playbook(to(SALES), entry=Entry.INVITE, manner=DOWN).state is State.DIALLING


# When it may be

FRESH = PbxState(
    "asterisk",
    proven_at=BEGIN,
    queues={"sales": QueueState("sales", logged_in=2, available=1, callers=0)},
    extensions={"6001": DeviceState.IDLE},
)


def test_a_free_agent_and_an_idle_phone_are_certain() -> None:
    assert is_certain(SALES, FRESH, BEGIN)
    assert is_certain(SUPPORT, FRESH, BEGIN)


@pytest.mark.parametrize(("available", "callers"), [(0, 0), (1, 1), (2, 1)])
def test_a_queue_without_a_free_agent_or_with_somebody_in_it_is_not(available: int, callers: int) -> None:
    state = PbxState("asterisk", proven_at=BEGIN, queues={"sales": QueueState("sales", 3, available, callers)})
    assert not is_certain(SALES, state, BEGIN)


@pytest.mark.parametrize("state", [state for state in DeviceState if state is not DeviceState.IDLE])
def test_a_phone_that_is_not_idle_is_not(state: DeviceState) -> None:
    assert not is_certain(SUPPORT, PbxState("asterisk", proven_at=BEGIN, extensions={"6001": state}), BEGIN)


def test_what_is_unknown_or_old_is_not() -> None:
    assert not is_certain(SALES, PbxState("asterisk", proven_at=BEGIN), BEGIN)
    assert not is_certain(SUPPORT, PbxState("asterisk", proven_at=BEGIN), BEGIN)
    assert not is_certain(SALES, FRESH, BEGIN + timedelta(seconds=11))


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (16, "caller-hung-up"),
        (17, "busy"),
        (19, "no-answer"),
        (20, "unreachable"),
        (21, "declined"),
        (28, "address-incomplete"),
        (65, "not-acceptable"),
        (38, "pbx-error"),
    ],
)
def test_a_q850_cause_has_a_reason(cause: int, reason: str) -> None:
    assert reason_for_cause(cause) == reason


def test_only_agents_who_would_be_called_make_it_certain() -> None:
    agents = (Agent(idle=True, penalty=5), Agent(idle=False))
    state = PbxState("asterisk", proven_at=BEGIN, queues={"sales": QueueState("sales", 2, 1, 0, busy=1, agents=agents)})
    assert is_certain(SALES, state, BEGIN)
    assert not is_certain(replace(SALES, max_penalty=4), state, BEGIN)


def test_one_free_phone_of_a_group_makes_it_certain() -> None:
    group = replace(SUPPORT, group=("6001", "6002"))
    for others, certain in ((DeviceState.IDLE, True), (DeviceState.IN_USE, False)):
        phones = {"6001": DeviceState.IN_USE, "6002": others}
        assert is_certain(group, PbxState("asterisk", proven_at=BEGIN, extensions=phones), BEGIN) is certain
