# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller is promised to be called back: by whom is looked for from time to time, and rung first; then the caller is.

Nobody is dialled while the promise waits. What is tried and comes to nothing, on either side, is tried again later, so
often as the destination says; the promise ends when the two have been joined, when it is cancelled, when its time is
over or the destination closed for the rest of that, and when the caller was called in vain for the last time. While the
gateway stands still it waits on disk, and has no end. Next states, as in machine.py:

    event              promised                calling
    TurnCame           promised|dialling|ended -
    Expired            ended                   -
    TransfereeAnswered -                       switching
    TransfereeFailed   -                       promised|ended
    TransfereeGone     ended                   promised|ended
    TargetFailed       -                       promised|ended
    RingTimeout        -                       promised|ended
    HumanAnswered      -                       calling
    Identified         -                       calling
    Cancelled          ended                   ended
    Fault              promised                promised|ended
    Stop               ended                   ended

In the other states a call back comes to these too, beside those of the tables there:

    event          dialling ringing  answered         whispering       switching connected
    TargetAnswered calling  calling  -                -                -         -
    TargetFailed   promised promised promised         promised         promised  promised
    TargetPressed  -        -        -                calling|promised -         -
    AcceptTimeout  -        -        -                calling|promised -         -
    SwitchFailed   -        -        -                -                promised  -
    RingTimeout    promised promised promised         -                -         -
    HumanAnswered  -        -        calling          -                -         -
    WhoTimeout     -        -        calling          -                -         -
    Identified     -        -        calling|promised promised         -         -
    Fault          promised promised promised         promised         promised  -
"""

from dataclasses import replace
from datetime import timedelta

from gateway.core.model import CallBack, Decision, LegId
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.transfer import dialling
from gateway.core.transfer.commands import (
    AnswerRequest,
    CallCaller,
    HangUp,
    Press,
    StartTimer,
    StopTimer,
    Switch,
    Timer,
)
from gateway.core.transfer.events import (
    Cancelled,
    Event,
    Expired,
    Fault,
    HumanAnswered,
    Identified,
    RingTimeout,
    Stop,
    TargetFailed,
    TransfereeAnswered,
    TransfereeFailed,
    TransfereeGone,
    TurnCame,
)
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep, by_command

STATES = (State.PROMISED, State.CALLING)
LOOK_S = 2.0
"""How often it is looked whether somebody is free."""
AGAIN_S = 60.0
"""How long nobody is rung after somebody was who did not take the call."""
MOST_ROUNDS = 60
"""How often it is tried, whoever does not answer: a promise is written down with all that was tried for it."""
REJECTED = 403
"""What a PBX tells of a caller who declines (Q.850 cause 21, RFC 3398 §7.2.4.1), or if it calls nobody for us."""
_NEVER_AGAIN = frozenset({Reason.UNKNOWN_DESTINATION, Reason.FORBIDDEN_TARGET, Reason.CALLER_WITHHELD})
"""What the gate says of a promise that the configuration no longer allows."""
_CLOSED = frozenset({Reason.OUTSIDE_HOURS, Reason.HOLIDAY})


def promise(step: TransferStep, *, kept: bool) -> None:
    """Begin to wait; `kept`: it was promised before the gateway stood still, and everybody has been told of it."""
    if not kept:
        step.do(AnswerRequest(202, Reason.ACCEPTED))
        step.report(Milestone.REQUESTED)
        step.report(Milestone.ACCEPTED)
    left = (step.record.expires_at - step.at).total_seconds() if step.record.expires_at else 0.0
    step.do(StartTimer(Timer.EXPIRY, max(0.0, left)))
    step.do(StartTimer(Timer.TURN, LOOK_S))


def proceed(step: TransferStep, event: Event) -> None:
    """Take an event in one of the two states."""
    if step.transfer.state is State.PROMISED:
        _while_promised(step, event)
    else:
        _while_calling(step, event)


def _while_promised(step: TransferStep, event: Event) -> None:
    match event:
        case TurnCame(next=found, names_humans=names):
            _take_turn(step, found, names)
        case Expired():
            step.explain("call back: its time is over")
            _end(step, Reason.EXPIRED)
        case Cancelled(by=by):
            step.explain(f"cancelled: {by_command(by)}")
            _end(step, Reason.CANCELLED)
        case TransfereeGone(ended_by=by):
            step.explain(f"call ended: {by_command(by or '')}")
            _end(step, Reason.CANCELLED)
        case Fault(text=text):
            step.note_fault(text)
            step.do(StartTimer(Timer.TURN, LOOK_S))
        case Stop():
            leave(step)


def _while_calling(step: TransferStep, event: Event) -> None:
    match event:
        case TransfereeAnswered():
            _put_through(step)
        case TransfereeFailed(reason=reason, sip_code=code):
            step.transfer = replace(step.transfer, called=False)
            _lose_caller(step, Reason.DECLINED if code == REJECTED else reason, f"{reason} ({code})")
        case RingTimeout():
            _lose_caller(step, Reason.NO_ANSWER, Reason.NO_ANSWER)
        case TargetFailed():
            step.explain("call back: who was to call hung up before the caller had answered")
            step.write_attempt(Reason.DECLINED, Reason.DECLINED.sip_code)
            put_off(step, Reason.DECLINED)
        case HumanAnswered(at=at, by=by, agent=agent):
            step.note_human(at, by, agent)
        case Identified(by=by, name=name) if by is not None:
            step.note_answerer(by, name)
        case _:
            _break_off(step, event)


def _break_off(step: TransferStep, event: Event) -> None:
    """The caller is called no more, whoever would have it so."""
    match event:
        case Cancelled(by=by):
            step.explain(f"cancelled: {by_command(by)}")
            _give_up(step, Reason.CANCELLED)
        case TransfereeGone(ended_by=str(by)):
            step.transfer = replace(step.transfer, called=False)
            step.explain(f"call ended: {by_command(by)}")
            _give_up(step, Reason.CANCELLED)
        case TransfereeGone(fault=fault):
            step.transfer = replace(step.transfer, called=False)
            _lose_caller(step, Reason.UNREACHABLE, fault or Reason.UNREACHABLE)
        case Fault(text=text):
            step.note_fault(text)
            _lose_caller(step, Reason.GATEWAY_ERROR, f"fault: {text}")
        case Stop():
            dialling.hang_up_target(step, Reason.GATEWAY_STOPPED)
            leave(step)


def call_caller(step: TransferStep) -> None:
    """Somebody has taken it: call the caller, whom they hear ring."""
    transfer, destination = step.transfer, step.transfer.promised
    if destination is None or destination.call_back is None:
        return
    calls = (step.record.caller_calls or 0) + 1
    caller = LegId(f"{step.record.transfer}/caller-{calls}")
    step.record = replace(step.record, caller_calls=calls)
    step.transfer = replace(step.transfer, transferee=caller, called=True)
    step.explain(f"call back: the caller is called, {calls} of {destination.call_back.attempts}")
    step.do(CallCaller(caller, transfer.target, destination))
    step.do(StartTimer(Timer.RING, destination.call_back.ring.total_seconds()))
    step.enter(State.CALLING)


def put_off(step: TransferStep, reason: Reason) -> None:
    """It has come to nothing, for this reason: try again later, or end it. Who was rung is hung up by now."""
    _hang_up_caller(step, reason)
    if reason is Reason.CANCELLED:
        _end(step, reason)
    else:
        _wait_again(step, AGAIN_S, Reason.NO_ANSWER)


def leave(step: TransferStep) -> None:
    """The gateway stops: the promise waits on disk, and nobody is told anything."""
    _hang_up_caller(step, Reason.GATEWAY_STOPPED)
    step.stop(*Timer)
    step.enter(State.ENDED)


def _take_turn(step: TransferStep, found: Decision, names_humans: frozenset[str]) -> None:
    """Ring who is free; else look again in a while, unless that is in vain."""
    if found.accepted and found.destination is not None:
        step.note_decision(found)
        manner = replace(step.transfer.manner, names_humans=names_humans)
        step.transfer = replace(step.transfer, promised=found.destination, manner=manner)
        step.do(StopTimer(Timer.TURN))
        dialling.dial(step, found.destination)
    elif found.reason in _NEVER_AGAIN:
        step.note_decision(found)
        step.explain("call back: the configuration no longer allows it")
        _end(step, Reason.CANCELLED)
    elif _stays_closed(step, found):
        step.note_decision(found)
        _end(step, Reason.CLOSED)
    else:
        step.do(StartTimer(Timer.TURN, LOOK_S))


def _stays_closed(step: TransferStep, found: Decision) -> bool:
    """Whether the destination does not open again before the time is over."""
    until = step.record.expires_at
    if found.reason not in _CLOSED or until is None:
        return False
    return found.retry_after_s is None or step.at + timedelta(seconds=found.retry_after_s) >= until


def _put_through(step: TransferStep) -> None:
    """The caller has answered: join the two."""
    step.stop(Timer.RING)
    step.do(Switch(step.transfer.transferee, step.transfer.target))
    destination = step.transfer.destination
    if destination is not None and destination.digits:
        step.do(Press(step.transfer.target, destination.digits))
    step.enter(State.SWITCHING)


def _lose_caller(step: TransferStep, reason: Reason, why: str) -> None:
    """The caller cannot be reached this time: let go who was to talk to them, and call again later if that is left."""
    _hang_up_caller(step, reason)
    step.explain(f"call back: the caller was not reached: {why}")
    dialling.hang_up_target(step, Reason.CALLER_UNREACHABLE)
    step.write_attempt(Reason.CALLER_UNREACHABLE, Reason.CALLER_UNREACHABLE.sip_code)
    plan = _plan(step)
    if reason is Reason.DECLINED or plan is None or (step.record.caller_calls or 0) >= plan.attempts:
        _end(step, Reason.CALLER_UNREACHABLE)
    else:
        _wait_again(step, plan.retry.total_seconds(), Reason.CALLER_UNREACHABLE)


def _plan(step: TransferStep) -> CallBack | None:
    return step.transfer.promised.call_back if step.transfer.promised is not None else None


def _wait_again(step: TransferStep, pause_s: float, in_vain: Reason) -> None:
    """Wait for the next turn; `in_vain` is the reason where there were enough."""
    rounds, until = step.transfer.rounds + 1, step.record.expires_at
    due_at = step.at + timedelta(seconds=pause_s)
    if rounds >= MOST_ROUNDS:
        step.explain(f"call back: tried {rounds} times")
        _end(step, in_vain)
        return
    if until is not None and step.at >= until:
        step.explain("call back: its time is over")
        _end(step, Reason.EXPIRED)
        return
    step.forget_answerer()
    step.stop(Timer.RING, Timer.HUMAN)
    step.record = replace(step.record, ringing_at=None, answered_at=None, whispered_at=None, accepted_at=None)
    step.transfer = replace(
        step.transfer, destination=None, places=frozenset(), looking=False, announcing=False, due_at=due_at,
        rounds=rounds, reached=Milestone.ACCEPTED,
    )  # fmt: skip
    step.do(StartTimer(Timer.TURN, pause_s))
    step.enter(State.PROMISED)


def _give_up(step: TransferStep, reason: Reason) -> None:
    """End it, and both legs."""
    dialling.hang_up_target(step, reason)
    step.write_attempt(reason, reason.sip_code)
    _hang_up_caller(step, reason)
    _end(step, reason)


def _hang_up_caller(step: TransferStep, reason: Reason) -> None:
    if step.transfer.called:
        step.transfer = replace(step.transfer, called=False)
        step.do(HangUp(step.transfer.transferee, reason, reason.sip_code))


def _end(step: TransferStep, reason: Reason) -> None:
    step.conclude(reason)
    step.end()
