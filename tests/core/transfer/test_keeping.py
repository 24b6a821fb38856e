# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when a caller's place in a queue is kept past the sender's deadline, and taken up again."""

from dataclasses import replace

import pytest

from gateway.core.model import AnsweredBy, Entry
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State
from gateway.core.transfer.commands import (
    AGENT_WAITS_S,
    AnswerRequest,
    Command,
    HangUp,
    Hold,
    Identify,
    Notify,
    Report,
    Return,
    StartTimer,
    StopTimer,
    Switch,
    Timer,
    Whisper,
)
from gateway.core.transfer.events import Deadline, Event, PlaceLeft, PlaceTimeout, TargetFailed, TargetPressed
from tests.support.playbook import (
    ASSISTANT,
    BEGIN,
    CALLER,
    CALLER_GONE,
    CANCELLED,
    DEADLINE,
    FAULT,
    GONE,
    HOLDING,
    IN_30_S,
    KEPT_PLACES,
    NAMING,
    NONE_LEFT,
    STOP,
    WHISPER,
    Playbook,
    answers,
    fails,
    human,
    is_told,
    leg,
    presses,
    rings,
    to,
)

ASKED = Manner(deadline=IN_30_S, names_humans=NAMING)
PLACE_TIMEOUT = PlaceTimeout(BEGIN)
TAKEN_UP, LEFT = PlaceLeft(BEGIN, taken_up=True), PlaceLeft(BEGIN, taken_up=False)
STOPS: tuple[Command, ...] = tuple(StopTimer(timer) for timer in Timer)
LETS_GO: tuple[Command, ...] = (HangUp(leg(1), Reason.NO_ANSWER, 480), *STOPS)
EARLIER = KEPT_PLACES[0].leg


def waiting(*events: Event, manner: Manner = ASKED) -> Playbook:
    """A transfer whose leg waits in a queue that has answered, and of which those events are known."""
    return Playbook(to(HOLDING), manner=manner).after(rings(1), answers(1), *events)


def keeping(*events: Event, manner: Manner = ASKED) -> Playbook:
    """One whose sender waits no longer, and to which those events have happened since."""
    return waiting(DEADLINE, manner=manner).after(*events)


def test_the_sender_is_told_to_ask_again_and_nobody_is_moved() -> None:
    book = waiting()
    book.play(
        DEADLINE,
        Notify(480, Reason.PLACE_KEPT, final=True, retry_after_s=30),
        StopTimer(Timer.DEADLINE),
        Return(CALLER, ASSISTANT),
        *STOPS,
        StartTimer(Timer.PLACE, 60),
        Report(Milestone.ENDED),
        StopTimer(Timer.WHO),
    )
    record = book.record
    assert book.state is State.KEPT
    assert (record.outcome, record.reason, record.sip_code) == (Outcome.FAILED, Reason.PLACE_KEPT, 480)
    assert record.returned_to_transferor
    assert book.attempts == [("holding", Reason.PLACE_KEPT, 480)]
    assert record.trail[-1] == "deadline: the place in the queue is kept for 60 s"
    assert record.sentence == "Nobody at holding is free yet; the place in the queue is kept for now."


@pytest.mark.parametrize(
    ("wait_s", "retry_after_s", "time"), [(0.0, 1, "a minute"), (45.2, 46, "a minute"), (119.0, 30, "2 minutes")]
)
def test_when_somebody_will_be_free(wait_s: float, retry_after_s: int, time: str) -> None:
    book = Playbook(to(HOLDING), manner=ASKED).after(rings(1))
    book.play(
        Deadline(BEGIN, wait_s),
        Notify(480, Reason.PLACE_KEPT, final=True, retry_after_s=retry_after_s),
        StopTimer(Timer.DEADLINE),
        Return(CALLER, ASSISTANT),
        *STOPS,
        StartTimer(Timer.PLACE, 60),
        Report(Milestone.ENDED),
    )
    assert book.record.sentence == (
        f"Somebody at holding will be free in about {time}; the place in the queue is kept for now."
    )


@pytest.mark.parametrize("cancels", [True, False])
def test_a_place_is_kept_whatever_the_profile_says_of_the_deadline(cancels: bool) -> None:
    assert keeping(manner=replace(ASKED, cancel_at_deadline=cancels)).state is State.KEPT


def test_who_is_asked_for_the_key_at_the_deadline_waits_for_the_caller() -> None:
    book = waiting(human(1))
    assert book.state is State.WHISPERING
    book.after(DEADLINE)
    assert (book.state, book.record.human_at, book.record.agent) == (State.KEPT, None, None)
    book.play(presses(1), PLACE_TIMEOUT, *LETS_GO)


def test_without_its_caller_talking_to_it_no_sender_is_told_so() -> None:
    """A command has no deadline, and who has hung up waits for nothing: the leg waits on."""
    assert waiting(GONE, DEADLINE).state is State.ANSWERED
    assert Playbook(to(HOLDING), entry=Entry.COMMAND, manner=ASKED).after(DEADLINE).state is State.DIALLING


def test_an_agent_who_comes_meanwhile_waits_for_a_while() -> None:
    book = keeping()
    book.play(is_told(1, None, "Queue"), is_told(1, AnsweredBy.APPLICATION, "Queue"))
    book.play(human(1, agent="Local/201"), Hold(leg(1)), StartTimer(Timer.PLACE, AGENT_WAITS_S))
    book.play(human(1))
    book.play(PLACE_TIMEOUT, *LETS_GO)
    assert book.record.human_at is None


def test_an_agent_does_not_wait_longer_than_the_place_is_kept() -> None:
    book = keeping()
    for _ in range(52):
        book.after(rings(1))
    book.play(human(1), Hold(leg(1)), StartTimer(Timer.PLACE, 7))


def test_a_queue_that_answers_after_the_deadline_is_asked_who_that_was() -> None:
    book = Playbook(to(HOLDING), manner=ASKED).after(DEADLINE)
    book.play(rings(1), answers(1), Identify(leg(1)), human(1), Hold(leg(1)), StartTimer(Timer.PLACE, AGENT_WAITS_S))
    book = Playbook(to(HOLDING), manner=replace(ASKED, names_humans=frozenset())).after(DEADLINE)
    book.play(answers(1), Hold(leg(1)), StartTimer(Timer.PLACE, AGENT_WAITS_S))


@pytest.mark.parametrize("event", [PLACE_TIMEOUT, LEFT, CALLER_GONE, CANCELLED, FAULT, STOP])
def test_what_gives_the_place_up(event: Event) -> None:
    book = keeping().play(event, *LETS_GO)
    assert (book.state, book.record.reason) == (State.ENDED, Reason.PLACE_KEPT)


def test_the_place_is_gone_where_its_leg_is() -> None:
    keeping().play(fails(1), *STOPS)
    keeping().play(is_told(1, AnsweredBy.VOICEMAIL, "VoiceMail"), *LETS_GO)
    keeping().play(TAKEN_UP, *STOPS)


def test_who_talks_with_the_caller_may_be_another_by_then() -> None:
    book = keeping().play(GONE)
    assert book.state is State.KEPT


def taking_up(which: int, manner: Manner = ASKED, entry: Entry = Entry.REFER) -> Playbook:
    return Playbook(to(HOLDING), place=KEPT_PLACES[which], manner=manner, entry=entry)


ACCEPTED = (
    AnswerRequest(202, Reason.ACCEPTED),
    Notify(100, Reason.ACCEPTED),
    Report(Milestone.REQUESTED),
    Report(Milestone.ACCEPTED),
    StartTimer(Timer.DEADLINE, 30),
)


def test_a_second_request_takes_the_leg_up_as_it_is() -> None:
    taking_up(0).play(*ACCEPTED, StartTimer(Timer.RING, 15))
    book = taking_up(1).play(
        *ACCEPTED, StartTimer(Timer.RING, 15), Notify(180, Reason.ACCEPTED), Report(Milestone.RINGING)
    )
    assert book.transfer.target == EARLIER
    assert book.attempts == [("holding", None, None)]
    book = taking_up(2).play(*ACCEPTED, Identify(EARLIER), StopTimer(Timer.WHO), StartTimer(Timer.RING, 15))
    assert book.transfer.waits_behind


def test_the_agent_who_waits_is_whispered_to_and_takes_the_caller() -> None:
    book = taking_up(3)
    book.play(*ACCEPTED, Whisper(EARLIER, (WHISPER,), tones="1"), StartTimer(Timer.ACCEPT, 12))
    book.play(
        TargetPressed(BEGIN, EARLIER, "1", NONE_LEFT),
        Switch(CALLER, EARLIER),
        StopTimer(Timer.ACCEPT),
    )
    assert (book.record.answered_by, book.record.agent) == (AnsweredBy.AGENT, "Local/201")
    assert book.record.requested_at <= min(filter(None, (book.record.answered_at, book.record.human_at)))


def test_an_agent_whom_the_pbx_does_not_name_is_not_named() -> None:
    book = taking_up(5, replace(ASKED, names_humans=frozenset())).after()
    assert (book.state, book.record.answered_by, book.record.human_at) == (State.WHISPERING, None, None)


def test_a_command_takes_it_up_as_well_and_waits_without_a_deadline() -> None:
    book = taking_up(2, entry=Entry.COMMAND).after()
    book.after(DEADLINE)
    assert (book.state, book.transfer.talks) == (State.ANSWERED, True)


def test_the_next_deadline_keeps_the_place_again() -> None:
    book = taking_up(2).after(DEADLINE)
    assert book.state is State.KEPT
    book.play(PLACE_TIMEOUT, HangUp(EARLIER, Reason.NO_ANSWER, 480), *STOPS)


def test_the_hunt_goes_on_from_it_with_legs_of_its_own() -> None:
    book = taking_up(0).after(TargetFailed(BEGIN, EARLIER, Reason.BUSY, 486, to(HOLDING)))
    assert book.transfer.target == leg(2)
    assert book.state is State.DIALLING
