# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the transfer machine in which the PBX carries out the transfer, asked by a REFER on the caller's own leg.

A PBX takes the caller from our leg long before it knows whether anybody answers, and does not bring him back: from the
first attempt that fails after that, nothing but listening to the leg tells whether he is still there. Next states, as
in machine.py:

    event           handing                 listening                handed
    TargetProgress  handing                 -                        -
    TargetAnswered  handed|releasing|ended  handed|releasing|ended   -
    TargetFailed    listening|dialling|ended  -                      -
    RingTimeout     listening               -                        -
    Listened        -                       dialling|releasing|ended -
    HumanAnswered   releasing|ended         releasing|ended          releasing|ended
    HumanTimeout    -                       -                        releasing|ended
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

from gateway.core.model import Decision
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.transfer.commands import HangUp, Listen, StartTimer, Timer
from gateway.core.transfer.events import (
    CallerLost,
    Deadline,
    Event,
    Fault,
    HumanAnswered,
    HumanTimeout,
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
from gateway.core.transfer.moves import HUMAN_S, RELEASE_S, SWITCH_S, Move
from gateway.core.transfer.state import State

STATES = (State.HANDING, State.LISTENING, State.HANDED)
LISTEN_S = 0.5
"""How long the caller's leg is listened to: 25 packets of audio, where there is somebody."""


def proceed(move: Move, event: Event) -> None:  # noqa: C901, PLR0912, PLR0915  # the table above, row by row
    """Take one event in one of the STATES."""
    match move.transfer.state, event:
        case State.HANDING, TargetProgress():
            move.ring()
            move.enter(State.HANDING)
        case State.HANDING | State.LISTENING, TargetAnswered():
            _let_go(move)
        case State.HANDING, TargetFailed(reason=reason, sip_code=sip_code, next=following, caller_moved=moved):
            if moved:
                _doubt(move, reason, sip_code)
            else:
                move.try_next(reason, sip_code, following)
        case State.HANDING, RingTimeout():
            _doubt(move, Reason.NO_ANSWER, Reason.NO_ANSWER.sip_code)
        case State.LISTENING, Listened(heard=heard, next=following):
            _decide(move, heard=heard, following=following)
        case State.HANDING | State.LISTENING, HumanAnswered(at=at):
            move.human(at)
            _let_go(move)
        case State.HANDED, HumanAnswered(at=at):
            move.human(at)
            move.complete()
        case State.HANDED, HumanTimeout():
            move.complete()
        case state, CallerLost(reason=reason):
            if state is not State.HANDED:
                move.do(HangUp(move.transfer.transferee, reason, reason.sip_code))
            hung_up = reason is Reason.CALLER_HUNG_UP
            _lose(move, reason, reason.sip_code, None if hung_up else "the PBX took the caller and dropped him")
        case State.HANDING | State.LISTENING, TransfereeGone():
            reason, fault = (
                Reason.PBX_ERROR,
                "the PBX ended the caller's leg before it said what became of the transfer",
            )
            _lose(move, reason, reason.sip_code, fault)
        case _, TransferorGone():
            move.lose_transferor()
        case _, NotifyFailed():
            move.hush()
        case State.HANDING, Deadline():
            _pass_deadline(move)
        case State.LISTENING, Deadline() if move.transfer.deadline is not None:
            move.do(StartTimer(Timer.DEADLINE, SWITCH_S))
        case State.HANDED, ReleaseTimeout():
            move.release()
        case State.HANDED, Fault(text=text):
            move.note_fault(text)
        case _, Fault(text=text):
            _break_off(move, text)
        case State.HANDED, Stop():
            move.complete()
            move.release()
            move.enter(State.ENDED)
        case _, Stop():
            move.settle(Reason.GATEWAY_STOPPED, Reason.GATEWAY_STOPPED.sip_code)
            move.fail(Reason.GATEWAY_STOPPED)


def _break_off(move: Move, fault: str) -> None:
    """The gateway cannot go on as it was to, and has dialled nobody who is to be hung up."""
    reason = Reason.GATEWAY_ERROR
    move.stop(Timer.LISTEN)
    move.note_fault(fault)
    move.try_next(reason, reason.sip_code, Decision(False, reason, None, (f"fault: {fault}",)))


def _let_go(move: Move) -> None:
    """The PBX has the caller: our leg leads nowhere any more, and the PBX does not end it."""
    transfer = move.transfer
    move.record = replace(move.record, answered_at=move.at)
    move.stop(Timer.RING, Timer.LISTEN)
    move.do(HangUp(transfer.transferee, Reason.ANSWERED, 200))
    move.settle(Reason.ANSWERED, 200)
    if not transfer.awaits_human:
        move.complete()
        return
    move.tell(Reason.ANSWERED)
    if transfer.transferor is not None:
        move.do(StartTimer(Timer.RELEASE, RELEASE_S))
    move.report(Milestone.CONNECTED)
    move.do(StartTimer(Timer.HUMAN, HUMAN_S))
    move.enter(State.HANDED)


def _doubt(move: Move, reason: Reason, sip_code: int) -> None:
    """It failed, and nobody says where the caller is now."""
    move.settle(reason, sip_code)
    move.stop(Timer.RING)
    move.do(Listen(move.transfer.transferee))
    move.do(StartTimer(Timer.LISTEN, LISTEN_S))
    move.enter(State.LISTENING)


def _decide(move: Move, *, heard: bool, following: Decision) -> None:
    """The caller is still there, or he is not."""
    last = move.record.attempts[-1]
    reason, sip_code = last.reason or Reason.PBX_ERROR, last.sip_code or Reason.PBX_ERROR.sip_code
    if heard:
        move.go_on(reason, following)
        return
    move.do(HangUp(move.transfer.transferee, reason, reason.sip_code))
    silent = reason is Reason.NO_ANSWER
    fault = "did not say what became of him" if silent else f"dropped him: {sip_code}"
    _lose(move, reason, sip_code, f"the PBX took the caller and {fault}")


def _lose(move: Move, reason: Reason, sip_code: int, fault: str | None) -> None:
    """The caller is gone, or out of reach: say so."""
    move.stop(Timer.LISTEN)
    move.settle(reason, sip_code)
    move.record = replace(move.record, fault=fault)
    move.tell(reason, move.failure_code(reason))
    move.conclude(reason)
    move.part()


def _pass_deadline(move: Move) -> None:
    if move.transfer.deadline is None:
        return
    if move.transfer.manner.cancel_at_deadline:
        move.explain("deadline: the transferor waits no longer")
        _doubt(move, Reason.NO_ANSWER, Reason.NO_ANSWER.sip_code)
    else:
        move.tell(Reason.NO_ANSWER)
