# SPDX-License-Identifier: GPL-2.0-or-later
"""What the transfer machine does: each move changes what is known and lists what is to be done."""

from dataclasses import replace
from datetime import datetime

from gateway.core.model import Decision, Destination, FinalNotify
from gateway.core.outcome import Reason, passed_on
from gateway.core.record import Milestone
from gateway.core.transfer.commands import (
    AnswerRequest,
    HandDown,
    HangUp,
    Notify,
    Respond,
    Return,
    StartTimer,
    Switch,
    Timer,
    Wait,
)
from gateway.core.transfer.draft import Draft
from gateway.core.transfer.state import State

RELEASE_S = 1.0
"""How long the transferor has to send its BYE after the final NOTIFY."""
HUMAN_S = 300.0
"""How long the outcome waits, after the PBX has answered for a queue, until it names the person who took the call."""
SWITCH_S = 1.0
"""How long a deadline that passes while two legs are being joined waits for what comes of that."""


class Move(Draft):
    """What can be done next; each method is one move."""

    # How a transfer begins

    def refuse(self, decision: Decision) -> None:
        """Tell the request that the gate says no; nobody is moved."""
        code, reason = decision.sip_code, decision.reason
        if self.is_invite:
            self.do(HangUp(self.transfer.transferee, reason, code, decision.retry_after_s))
        elif self.transfer.notifies and self.transfer.manner.refuse_in_notify:
            self.do(AnswerRequest(202, Reason.ACCEPTED))
            self.tell(reason)
        else:
            self.do(AnswerRequest(code, reason, decision.retry_after_s))
        self.report(Milestone.REQUESTED)
        self.record = replace(self.record, sentence=decision.sentence)
        self.conclude(reason)
        self.end()

    def accept(self, destination: Destination) -> None:
        """Say yes, and call the first target."""
        if not self.is_invite:
            self.do(AnswerRequest(202, Reason.ACCEPTED))
        if self.transfer.notifies:
            self.do(Notify(100, Reason.ACCEPTED))
        self.report(Milestone.REQUESTED)
        self.report(Milestone.ACCEPTED)
        if not self.is_invite:
            self.do(Wait(self.transfer.transferee, self.transfer.transferor))
        # The PBX would take the caller away from an announcement.
        if self.transfer.hands_down and destination.announcement is None:
            self.hand_down(destination)
        else:
            self.dial(destination)
        if self.transfer.deadline is not None:
            self.do(StartTimer(Timer.DEADLINE, self.transfer.deadline.total_seconds()))

    def join(self) -> None:
        """Say yes, and join the caller with the party that the transferor has been talking to."""
        self.do(AnswerRequest(202, Reason.ACCEPTED))
        if self.transfer.notifies:
            self.do(Notify(100, Reason.ACCEPTED))
        self.report(Milestone.REQUESTED)
        self.report(Milestone.ACCEPTED)
        self.record = replace(self.record, answered_at=self.at, human_at=self.at)
        self.do(Switch(self.transfer.transferee, self.transfer.target))
        self.enter(State.SWITCHING)

    def hand_down(self, destination: Destination) -> None:
        """Have the PBX bring the caller to the target; what comes of that is in hand_down.py."""
        self.attempt(destination)
        self.explain(f"hand-down: the PBX takes the caller to {destination.extension} by itself")
        self.do(HandDown(self.transfer.target, self.transfer.transferee, destination))
        self.do(StartTimer(Timer.RING, self.transfer.rings_for(destination, self.at)))
        self.enter(State.HANDING)

    # How it goes on

    def call_announced(self) -> None:
        """The announcement is over: call the target."""
        if self.transfer.announcing and self.transfer.destination is not None:
            self.ring_target(self.transfer.destination)

    def ring(self, code: int = 180) -> None:
        """The target rings; or, with another code than 180, is under way, of which an INVITE is told by its media."""
        first = self.record.ringing_at is None
        if self.is_invite:
            if first and self.transfer.told is None and code == 180:
                self.do(Respond(self.transfer.transferee, 180))
        elif self.transfer.manner.final_notify is FinalNotify.ON_RING:
            self.tell(Reason.ANSWERED)
        elif first and self.transfer.notifies:
            self.do(Notify(180, Reason.ACCEPTED))
        if first:
            self.record = replace(self.record, ringing_at=self.at)
        self.report(Milestone.RINGING)
        self.enter(State.RINGING)

    def answer(self) -> None:
        """The target answered: join it with the caller."""
        self.record = replace(self.record, answered_at=self.at)
        if self.record.human_at is not None:  # what the PBX says of the person has overtaken its answer
            self.record = replace(self.record, human_at=max(self.record.human_at, self.at))
        self.stop(Timer.RING)
        if self.is_invite and self.transfer.told is None:
            self.do(Respond(self.transfer.transferee, 200))
            self.transfer = replace(self.transfer, told=200)
        self.do(Switch(self.transfer.transferee, self.transfer.target))
        self.enter(State.SWITCHING)

    def connect(self) -> None:
        """Caller and target hear each other; the PBX may have answered for a person, or before one."""
        self.settle(Reason.ANSWERED, 200)
        if self.transfer.destination is not None and self.transfer.destination.queue is None:
            self.human(self.record.answered_at or self.at)
        if not self.transfer.awaits_human:
            self.complete()
            return
        if self.transfer.manner.final_notify is not FinalNotify.ON_HUMAN:
            self.tell(Reason.ANSWERED)
            if self.transfer.transferor is not None:
                self.do(StartTimer(Timer.RELEASE, RELEASE_S))
        self.report(Milestone.CONNECTED)
        self.do(StartTimer(Timer.HUMAN, HUMAN_S))
        self.enter(State.CONNECTED)

    def human(self, at: datetime) -> None:
        """A person took the call, which may be known before the answer is."""
        self.record = replace(self.record, human_at=self.record.human_at or at)

    def complete(self) -> None:
        """The caller is where the transfer was to bring it."""
        self.tell(Reason.ANSWERED)
        self.report(Milestone.CONNECTED)
        self.conclude(Reason.ANSWERED)
        self.part()

    # How it fails

    def give_up(self, reason: Reason, following: Decision) -> None:
        """End the attempt from our side, then go on as if it had failed."""
        self.hang_up_target(reason)
        self.try_next(reason, reason.sip_code, following)

    def try_next(self, reason: Reason, sip_code: int, following: Decision) -> None:
        """The attempt failed: dial what the gate lets pass now, or else take care of the caller."""
        self.settle(reason, sip_code)
        self.go_on(reason, following)

    def go_on(self, reason: Reason, following: Decision) -> None:
        """Dial what the gate lets pass now; when there is nothing, take care of the caller."""
        following = self._as_configured(reason, following)
        self.note(following)
        self.stop(Timer.RING, Timer.HUMAN, Timer.RELEASE)
        fallback = self.transfer.fallback
        if following.accepted and following.destination is not None:
            self.redial(following.destination)
        elif self.transfer.stranded and fallback is not None and not self.transfer.has_tried(fallback.extension):
            self.explain(f"fallback {fallback.id}: nobody is left to take the caller back")
            self.transfer = replace(self.transfer, fallback=None, hunt_until=None)
            self.redial(fallback)
        else:
            self.fail(reason)

    def _as_configured(self, reason: Reason, following: Decision) -> Decision:
        """Where the hunt goes on, unless the destination that failed or the number lets it go no further."""
        failed = self.transfer.destination
        if not following.accepted:
            return following
        if failed is not None and not failed.goes_on_after(reason):
            line = f"overflow: none, {failed.id} does not go on after {reason}"
        elif self.transfer.hunt_is_over(self.at):
            line = "overflow: none, the time for all targets together is over"
        else:
            return following
        return Decision(False, reason, None, (line,))

    def fail(self, reason: Reason) -> None:
        """Nothing is left to try: say so, and leave the caller with whoever is there."""
        transferee, transferor = self.transfer.transferee, self.transfer.transferor
        code = self.failure_code(reason)
        self.tell(reason, code)
        if transferor is None:
            self.do(HangUp(transferee, reason, passed_on(code, reason.sip_code)))
        else:
            self.do(Return(transferee, transferor))
            self.record = replace(self.record, returned_to_transferor=True)
        self.conclude(reason)
        self.end()

    def pass_deadline(self) -> None:
        """The transferor is about to stop waiting: what it is told now has to be true, and to stay so."""
        if self.transfer.deadline is None:
            return
        if self.transfer.state is State.SWITCHING:
            self.do(StartTimer(Timer.DEADLINE, SWITCH_S))
        elif self.transfer.manner.cancel_at_deadline:
            trail = ("deadline: the transferor waits no longer",)
            self.give_up(Reason.NO_ANSWER, Decision(False, Reason.NO_ANSWER, None, trail))
        else:
            self.tell(Reason.NO_ANSWER)

    def cancel(self) -> None:
        """Nobody wants the transfer any more: nothing further is tried, and the caller is taken care of."""
        reason = Reason.CANCELLED
        self.give_up(reason, Decision(False, reason, None, ("cancelled: by command",)))

    def break_off(self, fault: str) -> None:
        """The gateway cannot go on as it was to: whoever is still there is taken care of."""
        reason = Reason.GATEWAY_ERROR
        self.note_fault(fault)
        self.give_up(reason, Decision(False, reason, None, (f"fault: {fault}",)))

    def abandon(self, fault: str | None = None) -> None:
        """The caller is gone before it was where it was to be: it hung up, unless a `fault` of ours ended its leg."""
        reason = Reason.CALLER_HUNG_UP
        if fault is not None:
            reason = Reason.GATEWAY_ERROR
            self.note_fault(fault)
        self.hang_up_target(reason)
        self.settle(reason, reason.sip_code)
        self.tell(reason)
        self.conclude(reason)
        self.part()

    def interrupt(self) -> None:
        """The gateway stops."""
        reason = Reason.GATEWAY_STOPPED
        self.hang_up_target(reason)
        self.settle(reason, reason.sip_code)
        self.fail(reason)

    # The transferor

    def lose_transferor(self) -> None:
        """The transferor hung up: nobody can take the caller back, and nobody waits."""
        if self.transfer.transferor is not None:
            self.transfer = replace(self.transfer, transferor=None)
            self.stop(Timer.DEADLINE, Timer.RELEASE)

    def release(self) -> None:
        """Hang up the transferor, which has been told how it ended."""
        if self.transfer.transferor is not None:
            reason = self.record.reason or Reason.ANSWERED
            self.do(HangUp(self.transfer.transferor, reason, reason.sip_code))
            self.lose_transferor()

    def hush(self) -> None:
        """The transferor takes no more NOTIFYs, so it has no deadline either."""
        if self.transfer.notifies:
            self.transfer = replace(self.transfer, manner=replace(self.transfer.manner, notify=False))
            self.stop(Timer.DEADLINE)

    def part(self) -> None:
        """Report the end; the transferor, if still there, gets time for its BYE before we send ours."""
        if self.transfer.transferor is None:
            self.end()
        else:
            # Some senders read a BYE that overtakes the final NOTIFY as success.
            self.stop(Timer.RING, Timer.DEADLINE, Timer.HUMAN)
            self.do(StartTimer(Timer.RELEASE, RELEASE_S))
            self.report(Milestone.ENDED)
            self.enter(State.RELEASING)
