# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has answered: the PBX's 200 alone does not say, and for an extension a person is not taken for granted.

Where the PBX can tell (Asterisk by AMI), the caller is put through once it has said who it is, or has had WHO_S for
that; whoever can be told of a failure is told nothing before. A queue says by itself which agent takes a caller, and is
asked after the caller hears it; where who answers is to hear a whisper first, the agent is waited for, as long as a
target may ring. Next states, as in machine.py:

    event           answered
    TargetFailed    dialling|ended
    RingTimeout     dialling|ended
    HumanAnswered   whispering|switching
    Identified      answered|whispering|switching|dialling|ended
    WhoTimeout      whispering|switching
    TransfereeGone  releasing|ended
    Cancelled       dialling|ended
    TransferorGone  answered
    NotifyFailed    answered
    Deadline        answered|kept|ended
    Fault           dialling|ended
    Stop            ended
"""

from dataclasses import replace

from gateway.core.model import AnsweredBy, Decision, OnVoicemail
from gateway.core.outcome import Reason
from gateway.core.transfer import accepting, failing, succeeding
from gateway.core.transfer.commands import WHO_S, Identify, StartTimer, Timer
from gateway.core.transfer.state import State
from gateway.core.transfer.transfer_step import TransferStep

LEFT_THERE = "voicemail: the caller is left there"
NOWHERE_TO_GO = f"{LEFT_THERE}, as nobody is left to take them back"


def answer(step: TransferStep) -> None:
    """The target answered: find out who it was, where the PBX can tell, before the caller is put through."""
    step.record = replace(step.record, answered_at=step.at)
    if step.transfer.is_stale(step.at):
        step.forget_answerer()
    if step.record.human_at is not None:  # what the PBX says of the person has overtaken its answer
        step.record = replace(step.record, human_at=max(step.record.human_at, step.at))
    step.stop(Timer.RING)
    if step.transfer.destination is not None and step.transfer.destination.outside:
        step.note_answerer(AnsweredBy.OUTSIDE, "")
    if step.transfer.asks_who:
        step.do(Identify(step.transfer.target))
        step.do(StartTimer(Timer.WHO, WHO_S))
        step.enter(State.ANSWERED)
    elif step.transfer.keeps_apart and step.transfer.awaits_human:
        step.do(Identify(step.transfer.target))
        accepting.wait_for_person(step)
    else:
        accepting.go_ahead(step)


def identify(step: TransferStep, by: AnsweredBy | None, name: str, following: Decision) -> None:
    """Take what the PBX says of who answered; in the states answered, whispering and connected."""
    answered = step.transfer.state is State.ANSWERED
    if by is None:
        if answered and step.transfer.keeps_apart:
            accepting.wait_for_person(step)
        elif answered:
            step.transfer = replace(step.transfer, looking=True)
            succeeding.put_through(step)
        return
    if by is AnsweredBy.APPLICATION and (step.transfer.state is State.CONNECTED or step.transfer.waits_behind):
        return  # such as the music of a queue in which the caller waits for a person
    step.note_answerer(by, name)
    if by is AnsweredBy.VOICEMAIL and not _leaves_there(step, following):
        failing.give_up(step, Reason.VOICEMAIL, following)
    elif step.transfer.state is State.WHISPERING and by is not AnsweredBy.VOICEMAIL:
        return
    elif by is AnsweredBy.VOICEMAIL and step.transfer.state is not State.CONNECTED:
        if step.transfer.waits_behind:
            step.stop(Timer.RING)
        succeeding.put_through(step)
    elif answered:
        accepting.go_ahead(step)
    else:
        succeeding.complete(step)


def _leaves_there(step: TransferStep, following: Decision) -> bool:
    """Whether the caller stays with the voicemail: as configured, or for want of anybody else."""
    transfer = step.transfer
    if transfer.calls_back:  # nobody is called to be left there; who is there already is not cut off
        return transfer.state is State.CONNECTED
    if transfer.destination is None or transfer.destination.voicemail is OnVoicemail.KEEP:
        step.explain(LEFT_THERE)
        return True
    if failing.can_go_on(step, Reason.VOICEMAIL, following):
        return False
    step.explain(NOWHERE_TO_GO)
    return True
