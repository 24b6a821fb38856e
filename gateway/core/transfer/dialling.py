# SPDX-License-Identifier: GPL-2.0-or-later
"""How the transfer machine calls a target, after the destination's announcement if it has one, and hangs it up."""

from dataclasses import replace

from gateway.core.model import Destination, WhileWaiting
from gateway.core.outcome import Reason
from gateway.core.transfer.commands import Announce, Dial, HangUp, StartTimer, Timer, Wait
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep


def dial(step: TransferStep, destination: Destination) -> None:
    """Call a target; the caller goes on talking with the transferor meanwhile, if they do and are to."""
    if step.transfer.talks and destination.while_waiting is not WhileWaiting.ASSISTANT:
        step.transfer = replace(step.transfer, talks=False)
        step.do(Wait(step.transfer.transferee, step.transfer.transferor))
    step.begin_attempt(destination)
    step.enter(State.DIALLING)
    announcement = destination.announcement
    if announcement is not None and announcement.before and not step.transfer.talks:
        step.transfer = replace(step.transfer, announcing=True)
        step.do(Announce(step.transfer.transferee, announcement))
        step.do(StartTimer(Timer.ANNOUNCEMENT, announcement.duration.total_seconds()))
    else:
        _invite(step, destination)


def redial(step: TransferStep, destination: Destination) -> None:
    """Call another target; a caller who had heard the one before would hear nothing meanwhile."""
    if step.transfer.state in (State.SWITCHING, State.CONNECTED):
        step.do(Wait(step.transfer.transferee, step.transfer.transferor))
    dial(step, destination)


def end_announcement(step: TransferStep) -> None:
    """The caller has heard the announcement: call the target."""
    if step.transfer.announcing and step.transfer.destination is not None:
        _invite(step, step.transfer.destination)


def _invite(step: TransferStep, destination: Destination) -> None:
    """Send the INVITE, and give the target its time."""
    step.transfer = replace(step.transfer, announcing=False)
    step.do(Dial(step.transfer.target, destination))
    step.do(StartTimer(Timer.RING, step.transfer.rings_for(destination, step.at)))


def hang_up_target(step: TransferStep, reason: Reason) -> None:
    """Cancel the target, or hang it up if it has answered; the far end of a consultation call keeps that call."""
    if step.transfer.announcing:
        step.transfer = replace(step.transfer, announcing=False)
        step.stop(Timer.ANNOUNCEMENT)
    elif step.transfer.joined is None:
        step.do(HangUp(step.transfer.target, reason, reason.sip_code))
