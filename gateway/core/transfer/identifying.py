# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has answered: the PBX's 200 alone does not say, and for an extension a person is not taken for granted.

Where the PBX can tell (Asterisk by AMI), the caller is put through once it has said who it is, or has had WHO_S for
that; whoever can be told of a failure is told nothing before. A queue says by itself which agent takes a caller, and is
asked after the caller hears it. Next states, as in machine.py:

    event           answered
    TargetFailed    dialling|ended
    HumanAnswered   switching
    Identified      switching|dialling|ended
    WhoTimeout      switching
    TransfereeGone  releasing|ended
    TransferorGone  answered
    NotifyFailed    answered
    Deadline        answered
    Fault           dialling|ended
    Stop            ended
"""

from dataclasses import replace

from gateway.core.model import AnsweredBy, Decision, OnVoicemail
from gateway.core.outcome import Reason
from gateway.core.transfer import failing, succeeding
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep

LEFT_THERE = "voicemail: the caller is left there"
NOWHERE_TO_GO = f"{LEFT_THERE}, as nobody is left to take them back"


def identify(step: TransferStep, by: AnsweredBy | None, name: str, following: Decision) -> None:
    """Take what the PBX says of who answered; in the states answered and connected."""
    answered = step.transfer.state is State.ANSWERED
    if by is None:
        if answered:
            step.transfer = replace(step.transfer, looking=True)
            succeeding.put_through(step)
        return
    if not answered and by is AnsweredBy.APPLICATION:
        return  # such as the music of a queue in which the caller waits for a person
    step.note_answerer(by, name)
    if by is AnsweredBy.VOICEMAIL and not _leaves_there(step, following):
        failing.give_up(step, Reason.VOICEMAIL, following)
    elif answered:
        succeeding.put_through(step)
    else:
        succeeding.complete(step)


def _leaves_there(step: TransferStep, following: Decision) -> bool:
    """Whether the caller stays with the voicemail: as configured, or for want of anybody else."""
    transfer = step.transfer
    if transfer.destination is None or transfer.destination.voicemail is OnVoicemail.KEEP:
        step.explain(LEFT_THERE)
        return True
    if failing.can_go_on(step, Reason.VOICEMAIL, following):
        return False
    step.explain(NOWHERE_TO_GO)
    return True
