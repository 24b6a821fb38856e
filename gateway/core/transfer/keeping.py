# SPDX-License-Identifier: GPL-2.0-or-later
"""A place in a queue that is kept for a caller once whoever asked waits no longer, until a second request takes it up.

Caller and transferor talk on, the first request has failed, and our leg goes on waiting. An agent who takes the call
meanwhile hears ringback, for AGENT_WAITS_S at most: as who is called back, they are there before the caller is. The
next request for the same destination has the leg as its target, wherever that has got to by then; any other that is
accepted gives the place up. Next states, as in machine.py:

    event          kept
    TargetProgress kept
    TargetAnswered kept
    TargetFailed   ended
    HumanAnswered  kept
    Identified     kept|ended
    PlaceTimeout   ended
    PlaceLeft      ended
    TransfereeGone ended
    TransferorGone kept
    Cancelled      ended
    Fault          ended
    Stop           ended
"""

import math
from dataclasses import replace
from datetime import timedelta

from gateway.core.model import AnsweredBy, Destination, LegId
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.sentence import sentence
from gateway.core.transfer import accepting, beginning, dialling, failing, succeeding
from gateway.core.transfer.commands import AGENT_WAITS_S, Hold, Identify, Return, StartTimer, Timer
from gateway.core.transfer.events import (
    Cancelled,
    Event,
    Fault,
    HumanAnswered,
    Identified,
    PlaceLeft,
    PlaceTimeout,
    Stop,
    TargetAnswered,
    TargetFailed,
    TargetProgress,
    TransfereeGone,
    TransferorGone,
)
from gateway.core.transfer.state import Place, State
from gateway.core.transfer.transfer_step import TransferStep


def pass_deadline(step: TransferStep, wait_s: float | None) -> None:
    """The transferor is about to stop waiting; `wait_s` is how long the caller will still wait, as is expected."""
    transfer = step.transfer
    transferor, destination = transfer.transferor, transfer.destination
    if transfer.deadline is None or transferor is None or destination is None or not transfer.may_keep_place:
        failing.pass_deadline(step)
    else:
        _keep(step, destination, transferor, wait_s)


def _keep(step: TransferStep, destination: Destination, transferor: LegId, wait_s: float | None) -> None:
    """The transferor is told to ask again, and the leg keeps the caller's place."""
    transfer, record, reason = step.transfer, step.record, Reason.PLACE_KEPT
    place = Place(
        leg=transfer.target,
        destination=destination,
        kept_by=record.transfer,
        until=step.at + destination.hold_place,
        rings=transfer.state is not State.DIALLING,
        answered=record.answered_at is not None,
        named=record.pbx in transfer.manner.names_humans and transfer.state is not State.WHISPERING,
        by=record.answered_by,
        agent=record.agent or "",
    )
    name = destination.spoken_name
    told = sentence(reason, record.locale, name=name, now=step.at, wait_s=wait_s)
    step.record = replace(record, sentence=told)
    step.explain(f"deadline: the place in the queue is kept for {destination.hold_place.total_seconds():g} s")
    step.forget_answerer()
    step.write_attempt(reason, reason.sip_code)
    step.notify_final(reason, retry_after_s=_retry_after(destination.hold_place, wait_s))
    step.do(Return(transfer.transferee, transferor))
    step.record = replace(step.record, returned_to_transferor=True)
    step.conclude(reason)
    step.stop(*Timer)
    step.do(StartTimer(Timer.PLACE, destination.hold_place.total_seconds()))
    step.report(Milestone.ENDED)
    step.transfer = replace(step.transfer, talks=False, place=place)
    step.enter(State.KEPT)
    if place.has_agent:
        _have_agent_wait(step, place)


def _retry_after(hold: timedelta, wait_s: float | None) -> int:
    """When somebody will be free; where that is not known, or later than the place is kept, half way through that."""
    seconds = hold.total_seconds()
    return max(1, math.ceil(wait_s if wait_s is not None and wait_s < seconds else seconds / 2))


def proceed(step: TransferStep, event: Event) -> None:
    """Take an event while the place is kept."""
    place = step.transfer.place
    if place is None:
        return
    match event:
        case TargetProgress():
            _note(step, replace(place, rings=True))
        case TargetAnswered():
            _answer(step, place)
        case HumanAnswered(by=by, agent=agent) if place.by is None:
            _note(step, replace(place, by=by, agent=agent))
        case Identified(by=AnsweredBy.VOICEMAIL):
            give_up(step)
        case Identified(by=AnsweredBy.OUTSIDE) if place.by is None:
            _note(step, replace(place, by=AnsweredBy.OUTSIDE))
        case TargetFailed() | PlaceLeft(taken_up=True):
            step.end()
        case PlaceTimeout() | PlaceLeft() | TransfereeGone() | Cancelled() | Fault() | Stop():
            give_up(step)
        case TransferorGone():
            step.transfer = replace(step.transfer, transferor=None)


def give_up(step: TransferStep) -> None:
    """Nobody has taken the place up: let go of it, and of the agent who may be there."""
    dialling.hang_up_target(step, Reason.NO_ANSWER)
    step.end()


def _answer(step: TransferStep, place: Place) -> None:
    """The PBX has answered: for an agent, where it names none; else it is asked who that was."""
    if place.named and place.by is None:
        step.do(Identify(place.leg))
    _note(step, replace(place, rings=True, answered=True))


def _note(step: TransferStep, place: Place) -> None:
    """Keep what is known of the leg; an agent who has just come waits from now on."""
    before = step.transfer.place
    step.transfer = replace(step.transfer, place=place)
    if place.has_agent and not (before is not None and before.has_agent):
        _have_agent_wait(step, place)


def _have_agent_wait(step: TransferStep, place: Place) -> None:
    left = (place.until - step.at).total_seconds()
    step.do(Hold(place.leg))
    step.do(StartTimer(Timer.PLACE, max(0.0, min(left, AGENT_WAITS_S))))


def take_up(step: TransferStep, place: Place) -> None:
    """Begin a transfer whose target is the leg that has kept the place, as far as that has got."""
    beginning.welcome(step)
    destination = place.destination
    step.begin_attempt(destination)
    step.transfer = replace(step.transfer, taken_up=place.leg, talks=step.transfer.transferor is not None)
    if step.transfer.deadline is not None:
        step.do(StartTimer(Timer.DEADLINE, step.transfer.deadline.total_seconds()))
    if place.by is not None and place.by.is_person:
        step.note_human(step.at, place.by, place.agent)
    elif place.by is AnsweredBy.OUTSIDE:
        step.note_answerer(place.by, "")
    if place.answered:
        _go_on_with(step)
        return
    step.do(StartTimer(Timer.RING, step.transfer.rings_for(destination, step.at)))
    if place.rings:
        succeeding.ring(step)


def _go_on_with(step: TransferStep) -> None:
    """The PBX has answered: an agent is there, or is waited for further on."""
    step.record = replace(step.record, answered_at=step.at)
    if step.transfer.awaits_human:
        step.do(Identify(step.transfer.target))
        accepting.wait_for_person(step)
    else:
        accepting.go_ahead(step)
