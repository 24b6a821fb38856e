# SPDX-License-Identifier: GPL-2.0-or-later
"""How a transfer succeeds: the target rings, answers, and is joined with the caller."""

from dataclasses import replace

from gateway.core.model import AnsweredBy, FinalNotify
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.transfer import calling_back
from gateway.core.transfer.commands import (
    HUMAN_S,
    RELEASE_S,
    Identify,
    Notify,
    Press,
    Respond,
    StartTimer,
    Switch,
    Timer,
)
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep
from gateway.core.transfer.transferor import release_transferor


def ring(step: TransferStep, code: int = 180) -> None:
    """The target rings; or, with another code than 180, is under way, of which an INVITE is told by its media."""
    first = step.record.ringing_at is None
    if step.is_invite:
        if first and step.transfer.final_code is None and code == 180:
            step.do(Respond(step.transfer.transferee, 180))
    elif step.transfer.manner.final_notify is FinalNotify.ON_RING:
        step.notify_final(Reason.ANSWERED)
    elif first and step.transfer.notifies:
        step.do(Notify(180, Reason.ACCEPTED))
    if first:
        step.record = replace(step.record, ringing_at=step.at)
    step.report(Milestone.RINGING)
    step.enter(State.RINGING)


def put_through(step: TransferStep) -> None:
    """Join the target, which has answered, with the caller, who may have to be called for that."""
    if step.transfer.calls_back and step.transfer.state is not State.CALLING:
        calling_back.call_caller(step)
        return
    if step.is_invite and step.transfer.final_code is None:
        step.do(Respond(step.transfer.transferee, 200))
        step.transfer = replace(step.transfer, final_code=200)
    step.transfer = replace(step.transfer, talks=False)
    step.do(Switch(step.transfer.transferee, step.transfer.target))
    destination = step.transfer.destination
    if destination is not None and destination.digits and step.record.answered_by is not AnsweredBy.VOICEMAIL:
        step.do(Press(step.transfer.target, destination.digits))
    step.enter(State.SWITCHING)


def connect(step: TransferStep) -> None:
    """Caller and target hear each other; the PBX may have answered for a person, or before one."""
    step.write_attempt(Reason.ANSWERED, 200)
    if not step.transfer.waits_on_line:
        complete(step)
        return
    if not step.transfer.manner.final_notify.waits_for_person:
        step.notify_final(Reason.ANSWERED)
        if step.transfer.transferor is not None:
            step.do(StartTimer(Timer.RELEASE, RELEASE_S))
    step.report(Milestone.CONNECTED)
    if not step.transfer.looking:
        step.do(Identify(step.transfer.target))
    step.do(StartTimer(Timer.HUMAN, HUMAN_S))
    step.enter(State.CONNECTED)


def complete(step: TransferStep) -> None:
    """The caller is where the transfer was to bring it."""
    step.notify_final(Reason.ANSWERED)
    step.report(Milestone.CONNECTED)
    step.conclude(Reason.ANSWERED)
    release_transferor(step)
