# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has answered hears the whisper, and may have to take the call by a key, before the caller is put through.

Until then neither hears the other, and the caller hears what all hear who wait. No key in time, any other key, and
hanging up are a failed attempt, after which the hunt goes on. Next states, as in machine.py:

    event          whispering                          dialling                      ringing
    TargetAnswered -                                   answered|whispering|switching answered|whispering|switching
    TargetFailed   dialling|ended                      -                             -
    TargetPressed  switching|dialling|ended            -                             -
    AcceptTimeout  switching|dialling|ended            -                             -
    HumanAnswered  whispering                          -                             -
    Identified     whispering|switching|dialling|ended -                             -
    TransfereeGone releasing|ended                     -                             -
    Cancelled      dialling|ended                      -                             -
    TransferorGone whispering                          -                             -
    NotifyFailed   whispering                          -                             -
    Deadline       whispering|kept|ended               -                             -
    Fault          dialling|ended                      -                             -
    Stop           ended                               -                             -
"""

from dataclasses import replace

from gateway.core import whisper
from gateway.core.model import Decision
from gateway.core.outcome import Reason
from gateway.core.transfer import failing, succeeding
from gateway.core.transfer.commands import StartTimer, StopTimer, Timer, Whisper
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep


def go_ahead(step: TransferStep) -> None:
    """Somebody has answered, as far as that can be known: whisper, ask for the key, or put the caller through."""
    destination = step.transfer.destination
    if step.transfer.waits_behind:
        step.stop(Timer.RING)
    if destination is None or not step.transfer.holds_back:
        succeeding.put_through(step)
        return
    step.transfer = replace(step.transfer, looking=False)
    step.record = replace(step.record, whispered_at=step.at)
    sounds = whisper.whispered(destination, step.record.caller, step.transfer.uploaded)
    step.do(Whisper(step.transfer.target, sounds, tones=destination.accept + destination.decline))
    seconds = whisper.seconds(sounds)
    if destination.accept:
        seconds += destination.accept_timeout.total_seconds()
    step.do(StartTimer(Timer.ACCEPT, seconds))
    step.enter(State.WHISPERING)


def wait_for_person(step: TransferStep) -> None:
    """The PBX has answered before a person has, who is given as long as a target may ring, from now on."""
    destination = step.transfer.destination
    if destination is None or step.transfer.looking:
        return
    step.do(StopTimer(Timer.WHO))
    step.do(StartTimer(Timer.RING, max(0.0, step.transfer.rings_for(destination, step.at))))
    step.transfer = replace(step.transfer, looking=True)
    step.enter(State.ANSWERED)


def take_key(step: TransferStep, key: str, following: Decision) -> None:
    """Who has answered pressed a key; it means nothing where none was asked for."""
    destination = step.transfer.destination
    if destination is None or not destination.accept:
        return
    if key == destination.accept:
        step.explain("accept: taken by key")
        named = step.record.human_at or step.at
        step.record = replace(step.record, accepted_at=step.at, human_at=named)
        succeeding.put_through(step)
    else:
        step.explain(f"accept: {'declined by key' if key == destination.decline else 'another key was pressed'}")
        _give_up(step, Reason.DECLINED, following)


def time_out(step: TransferStep, following: Decision) -> None:
    """The whisper is over, and so is the time for the key, if one was asked for."""
    destination = step.transfer.destination
    if destination is None or not destination.accept:
        succeeding.put_through(step)
        return
    step.explain(f"accept: no key within {destination.accept_timeout.total_seconds():g} s")
    _give_up(step, Reason.NO_ANSWER, following)


def lose_target(step: TransferStep, reason: Reason, sip_code: int, following: Decision) -> None:
    """Who has answered is gone, and has not taken the call."""
    if reason is Reason.NO_ANSWER:  # by hanging up
        reason, sip_code = Reason.DECLINED, Reason.DECLINED.sip_code
        step.explain("accept: hung up")
    step.forget_answerer()
    failing.try_next(step, reason, sip_code, following)


def _give_up(step: TransferStep, reason: Reason, following: Decision) -> None:
    step.forget_answerer()
    failing.give_up(step, reason, following)
