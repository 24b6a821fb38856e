# SPDX-License-Identifier: GPL-2.0-or-later
"""One step of the transfer machine while it is being taken; the moves in the modules beside it are functions on it."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.core.model import AnsweredBy, Decision, Destination, Entry
from gateway.core.outcome import Reason
from gateway.core.record import Attempt, Milestone, TransferRecord
from gateway.core.sentence import sentence
from gateway.core.transfer.commands import Command, Notify, Report, StopTimer, Timer
from gateway.core.transfer.state import State, Transfer

_MILESTONES = tuple(Milestone)
_ANSWERED_BY = {
    AnsweredBy.OUTSIDE: "answered: by a line out of the PBX, which does not know whether a person is there",
    AnsweredBy.VOICEMAIL: "answered: by the PBX's voicemail",
    AnsweredBy.APPLICATION: "answered: by the PBX itself ({name}), no person that it knows",
}


def by_command(by: str) -> str:
    """Who it was, as the trail says it."""
    return f"by command of {by}" if by else "by command"


@dataclass(slots=True)
class TransferStep:
    """The transfer as it becomes, and the commands so far, in their order."""

    transfer: Transfer
    at: datetime
    commands: list[Command] = field(default_factory=list)

    @property
    def result(self) -> tuple[Transfer, tuple[Command, ...]]:
        """The new transfer and what is to be done, in order."""
        return self.transfer, tuple(self.commands)

    @property
    def record(self) -> TransferRecord:
        """What the outside learns of the transfer."""
        return self.transfer.record

    @record.setter
    def record(self, record: TransferRecord) -> None:
        self.transfer = replace(self.transfer, record=record)

    @property
    def is_invite(self) -> bool:
        """Whether the transfer is a fresh INVITE, told by its own responses."""
        return self.record.entry is Entry.INVITE

    # What is to be done

    def do(self, command: Command) -> None:
        """Have a command carried out after the others."""
        self.commands.append(command)

    def stop(self, *timers: Timer) -> None:
        """Stop timers, whether they run or not."""
        self.commands.extend(StopTimer(timer) for timer in timers)

    def enter(self, state: State) -> None:
        """Go to a state."""
        if self.transfer.state is State.ANSWERED and state is not State.ANSWERED:
            self.stop(Timer.WHO)
        if self.transfer.state is State.WHISPERING and state is not State.WHISPERING:
            self.stop(Timer.ACCEPT)
        self.transfer = replace(self.transfer, state=state)

    def report(self, milestone: Milestone) -> None:
        """Report a milestone, unless a target that was tried before had reached it already."""
        reached = self.transfer.reached
        if reached is None or _MILESTONES.index(milestone) > _MILESTONES.index(reached):
            self.transfer = replace(self.transfer, reached=milestone)
            self.do(Report(milestone))

    def notify_final(self, reason: Reason, code: int | None = None, retry_after_s: int | None = None) -> None:
        """Send the final NOTIFY, if the transferor waits for it; `code` None: with that of the reason."""
        if self.transfer.notifies:
            code = code or reason.sip_code
            self.do(Notify(code, reason, final=True, sentence=self.words(reason), retry_after_s=retry_after_s))
            self.stop(Timer.DEADLINE)
            self.transfer = replace(self.transfer, final_code=code)

    def end(self) -> None:
        """Stop all timers and report the end: no event changes anything any more."""
        self.stop(*Timer)
        self.report(Milestone.ENDED)
        self.enter(State.ENDED)

    # What is written down

    def explain(self, line: str) -> None:
        """Write a line into the trail."""
        self.record = replace(self.record, trail=(*self.record.trail, line))

    def note_decision(self, decision: Decision) -> None:
        """Write down what the gate found, and whom it passed over."""
        passed = tuple(Attempt(destination, "", reason, reason.sip_code) for destination, reason in decision.refusals)
        self.record = replace(
            self.record, trail=self.record.trail + decision.trail, attempts=self.record.attempts + passed
        )

    def begin_attempt(self, destination: Destination) -> None:
        """Write down that a destination is tried."""
        attempt = Attempt(destination.id, destination.extension)
        attempts = (*self.record.attempts, attempt)
        self.record = replace(
            self.record,
            destination=destination.id,
            pbx=destination.pbx or self.record.pbx,
            attempts=attempts,
            answered_at=None,
            whispered_at=None,
            accepted_at=None,
        )
        self.forget_answerer()
        self.transfer = replace(
            self.transfer,
            destination=destination,
            dialled=self.transfer.dialled + 1,
            places=self.transfer.places | {destination.place},
            looking=False,
            taken_up=None,
        )

    def write_attempt(self, reason: Reason, sip_code: int) -> None:
        """Write down what came of the attempt under way; a join is none."""
        if not self.record.attempts:
            return
        *others, last = self.record.attempts
        attempts = (*others, replace(last, reason=reason, sip_code=sip_code))
        self.record = replace(self.record, attempts=attempts)

    def note_human(self, at: datetime, by: AnsweredBy, agent: str) -> None:
        """Write down that a person took the call, which may be known before the answer is."""
        if self.record.human_at is None:
            self.record = replace(self.record, human_at=at, answered_by=by, agent=agent or None)
            self.transfer = replace(self.transfer, named_at=self.at)

    def note_answerer(self, by: AnsweredBy, name: str) -> None:
        """Write down that no person took the call, or none that the PBX knows."""
        if self.record.answered_by is None:
            self.record = replace(self.record, answered_by=by)
            self.transfer = replace(self.transfer, named_at=self.at)
            self.explain(_ANSWERED_BY[by].format(name=name or "dialplan"))

    def forget_answerer(self) -> None:
        """Nobody has answered who is on the call."""
        self.record = replace(self.record, human_at=None, answered_by=None, agent=None)
        self.transfer = replace(self.transfer, named_at=None)

    def note_fault(self, fault: str) -> None:
        """Write down what went wrong, unless something did before."""
        self.record = replace(self.record, fault=self.record.fault or fault)

    def conclude(self, reason: Reason) -> None:
        """Write down the outcome, in words too if the gate had none."""
        self.record = replace(
            self.record,
            outcome=reason.outcome,
            reason=reason,
            sip_code=reason.sip_code,
            ended_at=self.at,
            sentence=self.words(reason),
        )

    def words(self, reason: Reason) -> str | None:
        """Why the caller is not put through, as they may be told it: as the gate has said, or else by the reason."""
        destination = self.transfer.destination or self.transfer.promised
        name = destination.spoken_name if destination else None
        return self.record.sentence or sentence(reason, self.record.locale, name=name, now=self.at)

    def failure_code(self, reason: Reason) -> int:
        """The code of a failure: that of the last attempt if it failed for this reason (RFC 3515 §2.4.5)."""
        dialled = [attempt for attempt in self.record.attempts if attempt.extension]
        last = dialled[-1] if dialled and self.transfer.manner.own_codes else None
        return last.sip_code if last and last.reason is reason and last.sip_code else reason.sip_code
