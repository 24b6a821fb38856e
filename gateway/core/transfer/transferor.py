# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of the transferor: it hangs up by itself, is hung up after the end, or takes no more NOTIFYs."""

from dataclasses import replace

from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.transfer.commands import RELEASE_S, HangUp, StartTimer, Timer, Wait
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep


def release_transferor(step: TransferStep) -> None:
    """Report the end; the transferor, if still there, gets time for its BYE before we send ours."""
    step.transfer = replace(step.transfer, talks=False)  # whoever hangs up from now on, nobody has to wait for that
    if step.transfer.transferor is None:
        step.end()
    else:
        # Some senders read a BYE that overtakes the final NOTIFY as success.
        step.stop(Timer.RING, Timer.DEADLINE, Timer.HUMAN)
        step.do(StartTimer(Timer.RELEASE, RELEASE_S))
        step.report(Milestone.ENDED)
        step.enter(State.RELEASING)


def hang_up_transferor(step: TransferStep) -> None:
    """Hang up the transferor, which has been told how the transfer ended."""
    if step.transfer.transferor is not None:
        reason = step.record.reason or Reason.ANSWERED
        step.do(HangUp(step.transfer.transferor, reason, reason.sip_code))
        lose_transferor(step)


def lose_transferor(step: TransferStep) -> None:
    """The transferor's leg is over: nobody can take the caller back, and nobody waits."""
    if step.transfer.transferor is not None:
        step.transfer = replace(step.transfer, transferor=None)
        step.stop(Timer.DEADLINE, Timer.RELEASE)
        if step.transfer.talks:
            step.transfer = replace(step.transfer, talks=False)
            step.do(Wait(step.transfer.transferee, None))


def stop_notifying(step: TransferStep) -> None:
    """The transferor takes no more NOTIFYs, so it has no deadline either."""
    if step.transfer.notifies:
        step.transfer = replace(step.transfer, manner=replace(step.transfer.manner, notify=False))
        step.stop(Timer.DEADLINE)
