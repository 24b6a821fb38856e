# SPDX-License-Identifier: GPL-2.0-or-later
"""The loop around the call machines: an event, a step of one call, and what that wants done.

One event at a time: what comes of carrying a step out waits until the step is carried out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from gateway.core import gate
from gateway.core.call import events as ev
from gateway.core.call import machine
from gateway.core.call.state import Call
from gateway.core.call.turn import StepError, refused
from gateway.core.model import Decision
from gateway.core.outcome import Reason
from gateway.core.record import TransferRecord
from gateway.core.transfer.commands import Timer
from gateway.core.transfer.events import Fault
from gateway.engine.call_backs import Begun, CallBacks
from gateway.engine.executor import Executor, RunningTransfer
from gateway.engine.last_callers import LastCallers
from gateway.engine.registry import Calls
from gateway.engine.requests import Desk, Judged
from gateway.engine.surroundings import Surroundings
from gateway.ports import Observer, ReferHandle, Reporter, SipPort

if TYPE_CHECKING:
    from gateway.engine.keeping import Keeper

log = structlog.get_logger(__name__)


class Loop:
    """Feeds calls, has done what they want done, and lets go of what is over."""

    def __init__(
        self, sip: SipPort, calls: Calls, reporter: Reporter, observer: Observer, surroundings: Surroundings
    ) -> None:
        self._sip = sip
        self._observer = observer
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._queue: deque[tuple[str, ev.Event]] = deque()
        self._busy = False
        self.calls = calls
        self.call_backs = CallBacks(calls, surroundings)
        self.last_callers = LastCallers(calls, surroundings.clock)
        self.keeper: Keeper | None = None
        self.executor = Executor(sip, calls, reporter, observer, surroundings.clock, self, surroundings.identify)

    def situation(self) -> gate.Situation:
        """What the gate looks at, now."""
        return self._surroundings.situation(self.calls, has_room=self._sip.has_room())

    def desk(self) -> Desk:
        """What a request that comes now is judged by."""
        around = self._surroundings
        return Desk(around.config, self.situation(), self._clock.now(), around.uploads)

    def add(self, call: Call) -> None:
        """Begin to know a call."""
        self.calls.put(call)
        self.last_callers.note_call(call)
        self._count()

    def call_back(self, begun: Begun) -> TransferRecord:
        """Begin a call back that was judged, or tell that it is refused."""
        if begun.call is not None:
            self.calls.put(begun.call)
        return self.begin(begun.call, begun.judged)

    def feed(self, call: str, event: ev.Event) -> None:
        """Something happened to a call: it takes a step, and what that wants done is carried out."""
        self._queue.append((call, event))
        if self._busy:
            return
        self._busy = True
        try:
            while self._queue:
                self._step(*self._queue.popleft())
        finally:
            self._busy = False

    def _step(self, call_id: str, event: ev.Event) -> None:
        call = self.calls.known(call_id)
        if call is None:
            return
        if isinstance(event, ev.HuntEvent):
            event = replace(event, next=self._following(call, event))
        if isinstance(event, ev.TimerFired) and event.timer is Timer.TURN:
            event = replace(event, names_humans=self.desk().names_humans(call.number))
        if isinstance(event, ev.TimerFired) and event.timer is Timer.DEADLINE:
            event = replace(event, wait_s=self._surroundings.wait_s(call.running(event.transfer)))
        try:
            after, commands = machine.step(call, event)
        except StepError as error:
            self._transfer_failed(call, error)
        except Exception:
            log.exception("step-failed", call=call_id, what=type(event).__name__)
            if isinstance(event, ev.TransferRequested):
                del self.executor.running_transfers[event.record.transfer]
                raise
            for leg in call.legs:
                self._sip.hang_up(leg, 500, Reason.GATEWAY_ERROR)
        else:
            self.calls.put(after)
            self.executor.carry_out(call_id, commands)
            self._let_go(call_id)

    def _transfer_failed(self, call: Call, error: StepError) -> None:
        """Have a transfer learn that a step of it failed; one that cannot even take that is ended from outside."""
        what = type(error.event).__name__
        log.error("step-failed", transfer=error.transfer, what=what, exc_info=error.__cause__)
        if isinstance(error.event, Fault):
            self.executor.abort(call, error.transfer, error.event.text)
            self._let_go(call.id)
        else:
            text = f"{what} failed: {type(error.__cause__).__name__}"
            self._queue.append((call.id, ev.Fault(self._clock.now(), error.transfer, text)))

    def _let_go(self, call_id: str) -> None:
        """Let go of transfers that have ended, and of a call of which nothing is left."""
        call = self.calls.known(call_id)
        if call is None:
            return
        for running in call.transfers:
            self.executor.note_state(running)
            if running.over:
                self._surroundings.uploads.release(running.id)
        if any(one.over for one in call.transfers):
            call = replace(call, transfers=tuple(one for one in call.transfers if not one.over))
            self.calls.put(call)
        if not call.involved and not call.transfers:
            self.calls.remove(call.id)
        self._keep(call)
        self._count()

    def _keep(self, call: Call) -> None:
        """Have what a later process is to know of the call written down; what fails there concerns no call."""
        if self.keeper is None:
            return
        try:
            self.keeper.see(call)
        except Exception:
            log.exception("call-not-kept", call=call.id)

    def _count(self) -> None:
        count, drain = len(self.calls), self._surroundings.drain
        if count != drain.calls:
            drain.count(count)
            self._observer.calls_in_progress(count)
        elif drain.leaves_calls:
            drain.look()

    def _following(self, call: Call, event: ev.HuntEvent) -> Decision:
        """What the gate says of the rest of the hunt, now."""
        running = event.hunt_of(call)
        if running is None or running.number is None or running.asked is None:
            return ev.NOTHING_FOLLOWS
        if running.machine.calls_back:
            is_turn = isinstance(event, ev.TimerFired) and event.timer is Timer.TURN
            return self.call_backs.turn(running, self.situation()) if is_turn else ev.NOTHING_FOLLOWS
        attempts = running.record.attempts
        passed_over = [(one.destination, one.reason) for one in attempts if not one.extension and one.reason]
        tried = [one.destination for one in attempts if one.extension]
        try:
            return gate.next_after(running.number, running.asked, tried, self.situation(), passed_over)
        except Exception as error:
            log.exception("gate-failed", transfer=running.id)
            line = f"overflow: none, the gate failed: {type(error).__name__}"
            return Decision(False, Reason.GATEWAY_ERROR, None, (line,))

    def begin(self, call: Call | None, judged: Judged, handle: ReferHandle | None = None) -> TransferRecord:
        """Begin a transfer that was judged; what is known of it after its first steps."""
        event = judged.event
        if judged.at_gate:
            asked, decision = event.asked, event.decision
            self._observer.gate_decision(asked.id if asked else None, decision.accepted, decision.reason)
        involved = [event.transferee, event.transferor, event.consultation.target.id if event.consultation else None]
        call_ids = {leg: found for leg in involved if leg is not None and (found := self._sip.call_id(leg))}
        event = replace(event, call_ids=call_ids)
        run = RunningTransfer(event.record, handle)
        self.executor.running_transfers[event.record.transfer] = run
        if call is not None:
            self.last_callers.note_transfer(event.record.transfer, call.id)
            self.feed(call.id, event)
        else:
            running, commands = refused(event)
            run.record = running.record
            self.executor.carry_out("", commands)
            self.executor.note_state(running)
            self.calls.refused(running)
        return run.record
