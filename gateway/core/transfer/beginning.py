# SPDX-License-Identifier: GPL-2.0-or-later
"""How a transfer begins: the request is refused, or accepted and the first target called."""

from dataclasses import replace

from gateway.core.model import Decision, Destination, WhileWaiting
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.transfer import dialling, hand_down
from gateway.core.transfer.commands import AnswerRequest, HangUp, Notify, StartTimer, Switch, Timer, Wait
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep


def refuse(step: TransferStep, decision: Decision) -> None:
    """Tell the transferor that the gate refuses; nobody is moved."""
    code, reason = decision.sip_code, decision.reason
    step.record = replace(step.record, sentence=decision.sentence)
    words = step.words(reason)
    if step.is_invite:
        step.do(HangUp(step.transfer.transferee, reason, code, decision.retry_after_s, words))
    elif step.transfer.notifies and step.transfer.manner.refuse_in_notify:
        step.do(AnswerRequest(202, Reason.ACCEPTED))
        step.notify_final(reason)
    else:
        step.do(AnswerRequest(code, reason, decision.retry_after_s, words))
    step.report(Milestone.REQUESTED)
    step.conclude(reason)
    step.end()


def welcome(step: TransferStep) -> None:
    """Accept the request."""
    if not step.is_invite:
        step.do(AnswerRequest(202, Reason.ACCEPTED))
    if step.transfer.notifies:
        step.do(Notify(100, Reason.ACCEPTED))
    step.report(Milestone.REQUESTED)
    step.report(Milestone.ACCEPTED)


def accept(step: TransferStep, destination: Destination) -> None:
    """Accept the request, and call the first target."""
    welcome(step)
    talks = destination.while_waiting is WhileWaiting.ASSISTANT and step.transfer.transferor is not None
    if talks:
        step.transfer = replace(step.transfer, talks=True)
    elif not step.is_invite:
        step.do(Wait(step.transfer.transferee, step.transfer.transferor))
    # The PBX would take the caller away from an announcement, and there would be no leg to press keys on, or to ask.
    needs_leg = destination.announcement is not None or destination.digits or destination.holds_back or talks
    if step.transfer.hands_down and not needs_leg:
        hand_down.begin(step, destination)
    else:
        dialling.dial(step, destination)
    if step.transfer.deadline is not None:
        step.do(StartTimer(Timer.DEADLINE, step.transfer.deadline.total_seconds()))


def join(step: TransferStep) -> None:
    """Accept the request, and join the caller with the party that the transferor has been talking to."""
    step.do(AnswerRequest(202, Reason.ACCEPTED))
    if step.transfer.notifies:
        step.do(Notify(100, Reason.ACCEPTED))
    step.report(Milestone.REQUESTED)
    step.report(Milestone.ACCEPTED)
    known = step.record.answered_by
    step.record = replace(step.record, answered_at=step.at, human_at=step.at if known and known.is_person else None)
    step.do(Switch(step.transfer.transferee, step.transfer.target))
    step.enter(State.SWITCHING)
