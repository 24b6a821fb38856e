# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the transfer machine in which the PBX carries out the transfer, asked by a REFER on the caller's own leg.

A PBX takes the caller from our leg long before it knows whether anybody answers, and does not bring them back: from
the first attempt that fails after that, nothing but listening to the leg tells whether they are still there. Next
states, as in machine.py:

    event           handing                 listening                handed
    TargetProgress  handing                 -                        -
    TargetAnswered  handed|releasing|ended  handed|releasing|ended   -
    TargetFailed    listening|dialling|ended  -                      -
    RingTimeout     listening               -                        -
    Listened        -                       dialling|releasing|ended -
    HumanAnswered   releasing|ended         releasing|ended          releasing|ended
    HumanTimeout    -                       -                        releasing|ended
    Identified      handing                 listening                releasing|ended
    CallerLost      releasing|ended         releasing|ended          releasing|ended
    TransfereeGone  releasing|ended         releasing|ended          -
    TransferorGone  handing                 listening                handed
    NotifyFailed    handing                 listening                -
    Deadline        handing|listening       listening                -
    ReleaseTimeout  -                       -                        handed
    Fault           dialling|ended          dialling|ended           handed
    Stop            ended                   ended                    ended
"""

from dataclasses import replace
from datetime import datetime

from gateway.core.model import Decision, Destination, DeviceState, PbxState
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.staffing import seen_by_caller
from gateway.core.transfer import failing, succeeding
from gateway.core.transfer.commands import (
    HUMAN_S,
    LISTEN_S,
    RELEASE_S,
    SWITCH_S,
    HandDown,
    HangUp,
    Listen,
    StartTimer,
    Timer,
)
from gateway.core.transfer.events import (
    CallerLost,
    Deadline,
    Event,
    Fault,
    HumanAnswered,
    HumanTimeout,
    Identified,
    Listened,
    NotifyFailed,
    ReleaseTimeout,
    RingTimeout,
    Stop,
    TargetAnswered,
    TargetFailed,
    TargetProgress,
    TransfereeGone,
    TransferorGone,
)
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep, by_command
from gateway.core.transfer.transferor import (
    hang_up_transferor,
    lose_transferor,
    release_transferor,
    stop_notifying,
)

STATES = (State.HANDING, State.LISTENING, State.HANDED)


def is_certain(destination: Destination, pbx: PbxState, now: datetime) -> bool:
    """Whether a caller can be left to the PBX: the snapshot of `pbx` is fresh at `now`, and somebody is free for it.

    Passing the gate is not enough, because the PBX does not give the caller back when nobody answers: an unknown state,
    or a queue in which others wait, is fine only for a caller whom the gateway holds.
    """
    if not pbx.fresh(now):
        return False
    if destination.queue is None:
        return any(pbx.extensions.get(extension) is DeviceState.IDLE for extension in destination.watched)
    queue = pbx.queues.get(destination.queue)
    if queue is None:
        return False
    seen = seen_by_caller(queue, destination.max_penalty, destination.wrap_up, now)
    return seen.available > 0 and seen.callers == 0


def begin(step: TransferStep, destination: Destination) -> None:
    """Ask the PBX to bring the caller to the target."""
    step.begin_attempt(destination)
    step.explain(f"hand-down: the PBX takes the caller to {destination.extension} by itself")
    step.do(HandDown(step.transfer.target, step.transfer.transferee, destination))
    step.do(StartTimer(Timer.RING, step.transfer.rings_for(destination, step.at)))
    step.enter(State.HANDING)


def proceed(step: TransferStep, event: Event) -> None:  # noqa: C901, PLR0912, PLR0915  # the table above, row by row
    """Take one event in one of the STATES."""
    match step.transfer.state, event:
        case State.HANDING, TargetProgress():
            succeeding.ring(step)
            step.enter(State.HANDING)
        case State.HANDING | State.LISTENING, TargetAnswered():
            _let_go(step)
        case State.HANDING, TargetFailed(reason=reason, sip_code=sip_code, next=following, caller_moved=moved):
            if moved:
                _doubt(step, reason, sip_code)
            else:
                failing.try_next(step, reason, sip_code, following)
        case State.HANDING, RingTimeout():
            _doubt(step, Reason.NO_ANSWER, Reason.NO_ANSWER.sip_code)
        case State.LISTENING, Listened(heard=heard, next=following):
            _decide(step, heard=heard, following=following)
        case State.HANDING | State.LISTENING, HumanAnswered(at=at, by=by, agent=agent):
            step.note_human(at, by, agent)
            _let_go(step)
        case State.HANDED, HumanAnswered(at=at, by=by, agent=agent):
            step.note_human(at, by, agent)
            succeeding.complete(step)
        case state, Identified(by=by, name=name) if by is not None:
            step.note_answerer(by, name)
            if state is State.HANDED:
                succeeding.complete(step)
        case State.HANDED, HumanTimeout():
            succeeding.complete(step)
        case state, CallerLost(reason=reason):
            if state is not State.HANDED:
                step.do(HangUp(step.transfer.transferee, reason, reason.sip_code))
            hung_up = reason is Reason.CALLER_HUNG_UP
            _lose(step, reason, reason.sip_code, None if hung_up else "the PBX took the caller and dropped them")
        case State.HANDING | State.LISTENING, TransfereeGone(ended_by=by) if by is not None:
            step.explain(f"call ended: {by_command(by)}")
            _lose(step, Reason.CANCELLED, Reason.CANCELLED.sip_code, None)
        case State.HANDING | State.LISTENING, TransfereeGone():
            reason, fault = (
                Reason.PBX_ERROR,
                "the PBX ended the caller's leg before it said what became of the transfer",
            )
            _lose(step, reason, reason.sip_code, fault)
        case _, TransferorGone():
            lose_transferor(step)
        case _, NotifyFailed():
            stop_notifying(step)
        case State.HANDING, Deadline():
            _pass_deadline(step)
        case State.LISTENING, Deadline() if step.transfer.deadline is not None:
            step.do(StartTimer(Timer.DEADLINE, SWITCH_S))
        case State.HANDED, ReleaseTimeout():
            hang_up_transferor(step)
        case State.HANDED, Fault(text=text):
            step.note_fault(text)
        case _, Fault(text=text):
            _break_off(step, text)
        case State.HANDED, Stop():
            succeeding.complete(step)
            hang_up_transferor(step)
            step.enter(State.ENDED)
        case _, Stop():
            step.write_attempt(Reason.GATEWAY_STOPPED, Reason.GATEWAY_STOPPED.sip_code)
            failing.fail(step, Reason.GATEWAY_STOPPED)


def _break_off(step: TransferStep, fault: str) -> None:
    """The gateway cannot go on as it was to, and has dialled nobody who is to be hung up."""
    reason = Reason.GATEWAY_ERROR
    step.stop(Timer.LISTEN)
    step.note_fault(fault)
    failing.try_next(step, reason, reason.sip_code, Decision(False, reason, None, (f"fault: {fault}",)))


def _let_go(step: TransferStep) -> None:
    """The PBX has the caller: our leg leads nowhere any more, and the PBX does not end it."""
    transfer = step.transfer
    step.record = replace(step.record, answered_at=step.at)
    step.stop(Timer.RING, Timer.LISTEN)
    step.do(HangUp(transfer.transferee, Reason.ANSWERED, 200))
    step.write_attempt(Reason.ANSWERED, 200)
    if not transfer.awaits_human:
        succeeding.complete(step)
        return
    step.notify_final(Reason.ANSWERED)
    if transfer.transferor is not None:
        step.do(StartTimer(Timer.RELEASE, RELEASE_S))
    step.report(Milestone.CONNECTED)
    step.do(StartTimer(Timer.HUMAN, HUMAN_S))
    step.enter(State.HANDED)


def _doubt(step: TransferStep, reason: Reason, sip_code: int) -> None:
    """It failed, and nobody says where the caller is now."""
    step.write_attempt(reason, sip_code)
    step.stop(Timer.RING)
    step.do(Listen(step.transfer.transferee))
    step.do(StartTimer(Timer.LISTEN, LISTEN_S))
    step.enter(State.LISTENING)


def _decide(step: TransferStep, *, heard: bool, following: Decision) -> None:
    """The caller is still there, or gone."""
    last = step.record.attempts[-1]
    reason, sip_code = last.reason or Reason.PBX_ERROR, last.sip_code or Reason.PBX_ERROR.sip_code
    if heard:
        failing.go_on(step, reason, following)
        return
    step.do(HangUp(step.transfer.transferee, reason, reason.sip_code))
    silent = reason is Reason.NO_ANSWER
    fault = "did not say what became of them" if silent else f"dropped them: {sip_code}"
    _lose(step, reason, sip_code, f"the PBX took the caller and {fault}")


def _lose(step: TransferStep, reason: Reason, sip_code: int, fault: str | None) -> None:
    """The caller is gone, or out of reach: say so."""
    step.stop(Timer.LISTEN)
    step.write_attempt(reason, sip_code)
    step.record = replace(step.record, fault=fault)
    step.notify_final(reason, step.failure_code(reason))
    step.conclude(reason)
    release_transferor(step)


def _pass_deadline(step: TransferStep) -> None:
    if step.transfer.deadline is None:
        return
    if step.transfer.manner.cancel_at_deadline:
        step.explain("deadline: the transferor waits no longer")
        _doubt(step, Reason.NO_ANSWER, Reason.NO_ANSWER.sip_code)
    else:
        step.notify_final(Reason.NO_ANSWER)
