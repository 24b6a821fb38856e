# SPDX-License-Identifier: GPL-2.0-or-later
"""How an attempt or a whole transfer fails: the hunt goes on, or the caller is returned or hung up."""

from dataclasses import replace

from gateway.core.model import Decision
from gateway.core.outcome import Reason, passed_on
from gateway.core.transfer import calling_back, dialling
from gateway.core.transfer.commands import SWITCH_S, HangUp, Return, StartTimer, Timer
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep, by_command
from gateway.core.transfer.transferor import release_transferor


def give_up(step: TransferStep, reason: Reason, following: Decision) -> None:
    """End the attempt from our side, then go on as if it had failed."""
    dialling.hang_up_target(step, reason)
    try_next(step, reason, reason.sip_code, following)


def try_next(step: TransferStep, reason: Reason, sip_code: int, following: Decision) -> None:
    """The attempt failed: dial what the gate lets pass now, or else take care of the caller."""
    step.write_attempt(reason, sip_code)
    if step.record.answered_at is None:
        step.forget_answerer()  # somebody had picked up, and was not put through
    go_on(step, reason, following)


def go_on(step: TransferStep, reason: Reason, following: Decision) -> None:
    """Dial what the gate lets pass now; when there is nothing, take care of the caller."""
    following = _as_configured(step, reason, following)
    step.note_decision(following)
    step.stop(Timer.RING, Timer.HUMAN, Timer.RELEASE)
    fallback = step.transfer.fallback
    if following.accepted and following.destination is not None:
        dialling.redial(step, following.destination)
    elif fallback is not None and step.transfer.falls_back:
        step.explain(f"fallback {fallback.id}: nobody is left to take the caller back")
        step.transfer = replace(step.transfer, fallback=None, hunt_until=None)
        dialling.redial(step, fallback)
    else:
        fail(step, reason)


def can_go_on(step: TransferStep, reason: Reason, following: Decision) -> bool:
    """Whether a caller whose target is given up now has somewhere to go."""
    return _as_configured(step, reason, following).accepted or not step.transfer.stranded or step.transfer.falls_back


def _as_configured(step: TransferStep, reason: Reason, following: Decision) -> Decision:
    """Where the hunt goes on, unless the destination that failed or the number lets it go no further."""
    failed = step.transfer.destination
    if not following.accepted:
        return following
    if failed is not None and not failed.goes_on_after(reason):
        line = f"overflow: none, {failed.id} does not go on after {reason}"
    elif step.transfer.hunt_is_over(step.at):
        line = "overflow: none, the time for all targets together is over"
    else:
        return following
    return Decision(False, reason, None, (line,))


def fail(step: TransferStep, reason: Reason) -> None:
    """Nothing is left to try: tell the transferor, and return the caller to it; without one, hang the caller up."""
    if step.transfer.calls_back:
        calling_back.put_off(step, reason)
        return
    transferee, returns_to = step.transfer.transferee, step.transfer.transferor
    code = step.failure_code(reason)
    step.notify_final(reason, code)
    if returns_to is None:
        step.do(HangUp(transferee, reason, passed_on(code, reason.sip_code), sentence=step.words(reason)))
    else:
        step.do(Return(transferee, returns_to))
        step.record = replace(step.record, returned_to_transferor=True)
    step.conclude(reason)
    step.end()


def pass_deadline(step: TransferStep) -> None:
    """The transferor is about to stop waiting: what it is told now has to be true, and to stay so."""
    if step.transfer.deadline is None:
        return
    if step.transfer.state in (State.ANSWERED, State.SWITCHING) and not step.transfer.waits_behind:
        step.do(StartTimer(Timer.DEADLINE, SWITCH_S))
    elif step.transfer.manner.cancel_at_deadline:
        trail = ("deadline: the transferor waits no longer",)
        give_up(step, Reason.NO_ANSWER, Decision(False, Reason.NO_ANSWER, None, trail))
    else:
        step.notify_final(Reason.NO_ANSWER)


def cancel(step: TransferStep, by: str) -> None:
    """Nobody wants the transfer any more: nothing further is tried, and the caller is taken care of."""
    reason = Reason.CANCELLED
    give_up(step, reason, Decision(False, reason, None, (f"cancelled: {by_command(by)}",)))


def break_off(step: TransferStep, fault: str) -> None:
    """The gateway cannot go on as it was to: nothing further is tried, and the caller is taken care of."""
    reason = Reason.GATEWAY_ERROR
    step.note_fault(fault)
    give_up(step, reason, Decision(False, reason, None, (f"fault: {fault}",)))


def abandon(step: TransferStep, fault: str | None = None, ended_by: str | None = None) -> None:
    """The caller is gone before it was where it was to be: it hung up, unless a `fault` of ours, or a command, did."""
    reason = Reason.CALLER_HUNG_UP
    if ended_by is not None:
        reason = Reason.CANCELLED
        step.explain(f"call ended: {by_command(ended_by)}")
    elif fault is not None:
        reason = Reason.GATEWAY_ERROR
        step.note_fault(fault)
    step.transfer = replace(step.transfer, talks=False)
    dialling.hang_up_target(step, reason)
    step.write_attempt(reason, reason.sip_code)
    step.notify_final(reason)
    step.conclude(reason)
    release_transferor(step)


def interrupt(step: TransferStep) -> None:
    """The gateway stops."""
    reason = Reason.GATEWAY_STOPPED
    dialling.hang_up_target(step, reason)
    step.write_attempt(reason, reason.sip_code)
    if step.transfer.calls_back:
        calling_back.leave(step)
    else:
        fail(step, reason)
