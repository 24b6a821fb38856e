# SPDX-License-Identifier: GPL-2.0-or-later
"""One step of the transfer machine while it is being made: what the moves are made of."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.core.model import Decision, Destination, Entry
from gateway.core.outcome import Reason
from gateway.core.record import Attempt, Milestone, TransferRecord
from gateway.core.sentence import sentence
from gateway.core.transfer.commands import (
    Announce,
    Command,
    Dial,
    HangUp,
    Notify,
    Report,
    StartTimer,
    StopTimer,
    Timer,
    Wait,
)
from gateway.core.transfer.state import State, Transfer

_MILESTONES = tuple(Milestone)


@dataclass(slots=True)
class Draft:
    """The transfer as it becomes, and the commands so far, in their order."""

    transfer: Transfer
    at: datetime
    commands: list[Command] = field(default_factory=list)

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

    def do(self, command: Command) -> None:
        """Have a command carried out after the others."""
        self.commands.append(command)

    def stop(self, *timers: Timer) -> None:
        """Stop timers, whether they run or not."""
        self.commands.extend(StopTimer(timer) for timer in timers)

    def enter(self, state: State) -> None:
        """Go to a state."""
        self.transfer = replace(self.transfer, state=state)

    def report(self, milestone: Milestone) -> None:
        """Report a milestone, unless a target that was tried before had reached it already."""
        reached = self.transfer.reached
        if reached is None or _MILESTONES.index(milestone) > _MILESTONES.index(reached):
            self.transfer = replace(self.transfer, reached=milestone)
            self.do(Report(milestone))

    def tell(self, reason: Reason, code: int | None = None) -> None:
        """Tell the transferor how it ended, if it wants to know, and once; `code` None: with that of the reason."""
        if self.transfer.notifies:
            code = code or reason.sip_code
            self.do(Notify(code, reason, final=True))
            self.stop(Timer.DEADLINE)
            self.transfer = replace(self.transfer, told=code)

    def failure_code(self, reason: Reason) -> int:
        """What a failure is told with: the code of the last attempt if it failed for this reason (RFC 3515 §2.4.5)."""
        dialled = [attempt for attempt in self.record.attempts if attempt.extension]
        last = dialled[-1] if dialled and self.transfer.manner.own_codes else None
        return last.sip_code if last and last.reason is reason and last.sip_code else reason.sip_code

    def redial(self, destination: Destination) -> None:
        """Call another target; a caller who had heard the one before would hear nothing meanwhile."""
        if self.transfer.state in (State.SWITCHING, State.CONNECTED):
            self.do(Wait(self.transfer.transferee, self.transfer.transferor))
        self.dial(destination)

    def dial(self, destination: Destination) -> None:
        """Call a target."""
        self.attempt(destination)
        self.enter(State.DIALLING)
        announcement = destination.announcement
        if announcement is not None and announcement.before:
            self.transfer = replace(self.transfer, announcing=True)
            self.do(Announce(self.transfer.transferee, announcement))
            self.do(StartTimer(Timer.ANNOUNCEMENT, announcement.duration.total_seconds()))
        else:
            self.ring_target(destination)

    def ring_target(self, destination: Destination) -> None:
        """Send the INVITE, and give the target its time."""
        self.transfer = replace(self.transfer, announcing=False)
        self.do(Dial(self.transfer.target, destination))
        self.do(StartTimer(Timer.RING, self.transfer.rings_for(destination, self.at)))

    def attempt(self, destination: Destination) -> None:
        """Write down that a destination is tried."""
        attempt = Attempt(destination.id, destination.extension)
        attempts = (*self.record.attempts, attempt)
        self.record = replace(
            self.record, destination=destination.id, attempts=attempts, answered_at=None, human_at=None
        )
        self.transfer = replace(self.transfer, destination=destination, dialled=self.transfer.dialled + 1)

    def hang_up_target(self, reason: Reason) -> None:
        """Cancel the target, or hang it up if it has answered; the far end of a consultation call keeps that call."""
        if self.transfer.announcing:
            self.transfer = replace(self.transfer, announcing=False)
            self.stop(Timer.ANNOUNCEMENT)
        elif self.transfer.joined is None:
            self.do(HangUp(self.transfer.target, reason, reason.sip_code))

    def settle(self, reason: Reason, sip_code: int) -> None:
        """Write down what came of the attempt under way; a join is none."""
        if not self.record.attempts:
            return
        *others, last = self.record.attempts
        attempts = (*others, replace(last, reason=reason, sip_code=sip_code))
        self.record = replace(self.record, attempts=attempts)

    def note(self, decision: Decision) -> None:
        """Write down what the gate found, and whom it passed over."""
        passed = tuple(Attempt(destination, "", reason, reason.sip_code) for destination, reason in decision.refusals)
        self.record = replace(
            self.record, trail=self.record.trail + decision.trail, attempts=self.record.attempts + passed
        )

    def explain(self, line: str) -> None:
        """Write a line into the trail."""
        self.record = replace(self.record, trail=(*self.record.trail, line))

    def note_fault(self, fault: str) -> None:
        """Write down what went wrong, unless something did before."""
        self.record = replace(self.record, fault=self.record.fault or fault)

    def conclude(self, reason: Reason) -> None:
        """Write down the outcome, in words too if the gate had none."""
        destination = self.transfer.destination
        name = destination.spoken_name if destination else None
        told = self.record.sentence or sentence(reason, self.record.locale, name=name, now=self.at)
        self.record = replace(
            self.record,
            outcome=reason.outcome,
            reason=reason,
            sip_code=reason.sip_code,
            ended_at=self.at,
            sentence=told,
        )

    def end(self) -> None:
        """Nothing is done after this."""
        self.stop(*Timer)
        self.report(Milestone.ENDED)
        self.enter(State.ENDED)
