# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs transfer machines: begins them, and turns what happens to legs into their events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from gateway.core import gate, transfer
from gateway.core.model import Decision, Destination, Entry, LegId, TransferId
from gateway.core.outcome import Reason, reason_for_cause, reason_for_failure
from gateway.core.record import TransferRecord
from gateway.core.transfer import Manner, State
from gateway.core.transfer import commands as cmd
from gateway.core.transfer import events as ev
from gateway.core.transfer.commands import RELEASE_S
from gateway.engine.calls import Call, Calls
from gateway.engine.conductor import Conductor
from gateway.engine.runs import Run, Runs
from gateway.engine.stopwatch import Stopwatch
from gateway.ports import Observer, ReferHandle, Reporter, SipPort, TooLateError

log = structlog.get_logger(__name__)


class Transfers:
    """The transfers under way."""

    def __init__(
        self,
        sip: SipPort,
        calls: Calls,
        reporter: Reporter,
        observer: Observer,
        *,
        situation: Callable[[], gate.Situation],
    ) -> None:
        self._sip = sip
        self._calls = calls
        self._observer = observer
        self._situation = situation
        self._loop = asyncio.get_running_loop()
        self._runs = Runs()
        self._conductor = Conductor(sip, calls, self._runs, reporter, observer, feedback=self)

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def running(self) -> list[Run]:
        """Those that have not ended."""
        return list(self._runs)

    def of_call(self, call: Call) -> Run | None:
        """The transfer that is under way for a call."""
        return self._runs.get(call.transfer)

    def per_destination(self) -> Counter[str]:
        """How many attempts are under way to each destination."""
        trying = (run.machine for run in self._runs if run.holds_transferee)
        return Counter(machine.destination.id for machine in trying if machine.destination)

    def begin(
        self,
        record: TransferRecord,
        decision: Decision,
        *,
        call: Call | None,
        transferee: LegId,
        transferor: LegId | None,
        manner: Manner,
        asked: Destination | None,
        handle: ReferHandle | None = None,
    ) -> TransferRecord:
        """Start a transfer that the gate has decided on; what is known of it after its first steps."""
        fallback = call.number.destinations.get(call.number.fallback or "") if call else None
        now = Stopwatch(record.requested_at)
        machine, commands = transfer.start(
            record,
            decision,
            transferee=transferee,
            transferor=transferor,
            manner=manner,
            fallback=fallback,
            total_ring=call.number.total_ring if call else None,
            at=now(),
        )
        run = Run(machine, call, asked, handle, now, number=call.number if call else None)
        return self._launch(run, commands)

    def join(
        self,
        record: TransferRecord,
        *,
        call: Call,
        consulted: Call,
        consultation: LegId,
        transferee: LegId,
        transferor: LegId,
        manner: Manner,
        handle: ReferHandle,
    ) -> TransferRecord:
        """Start an attended transfer: `consulted` is the transferor's other call, `consultation` its leg there."""
        target = consulted.other(consultation)
        if target is None:
            raise RuntimeError("a consultation call has a far end")
        now = Stopwatch(record.requested_at)
        machine, commands = transfer.join(
            record, transferee=transferee, transferor=transferor, target=target, manner=manner, at=now()
        )
        run = Run(machine, call, None, handle, now)
        run.legs[target] = consulted.legs[target]
        record = self._launch(run, commands)
        if call.legs.get(target) is not None:
            # Its holder, who has put two people through to each other, is done there too.
            self._loop.call_later(RELEASE_S, self._sip.hang_up, consultation, 200, Reason.ANSWERED)
        return record

    def _launch(self, run: Run, commands: tuple[cmd.Command, ...]) -> TransferRecord:
        call, machine = run.call, run.machine
        parties = {"transferee": machine.transferee, "transferor": machine.transferor, "target": machine.joined}
        if machine.state is State.ENDED:
            known = {role: sip for role, leg in parties.items() if leg and (sip := self._sip.call_id(leg))}
            run.machine = replace(machine, record=replace(machine.record, call_ids=known))
        else:
            self._runs.add(run)
            if call is not None:
                call.transfer = machine.record.transfer
            for role, leg in parties.items():
                if leg is not None:
                    peer = (call.legs.get(leg) if call else None) or run.legs.get(leg)
                    self._runs.take_part(run, role, leg, peer, self._sip.call_id(leg))
        self._carry_out(run, commands)
        return run.record

    # --- what happens to legs

    def progress(self, leg: LegId, code: int) -> None:
        """A dialled target got a provisional response."""
        if run := self._runs.of(leg):
            self._conductor.progressed(run)
            self.feed(run, ev.TargetProgress(run.now(), leg, code))

    def early_media(self, leg: LegId) -> None:
        """A dialled target has media before its answer; that of a fresh INVITE reaches the caller through 183."""
        run = self._runs.of(leg)
        if run is not None and leg == run.machine.target and run.record.entry is Entry.INVITE:
            self._sip.respond(run.machine.transferee, 183)

    def answered(self, leg: LegId) -> None:
        """A dialled target answered."""
        if run := self._runs.of(leg):
            self._conductor.progressed(run)
            self.feed(run, ev.TargetAnswered(run.now(), leg))

    def leg_ended(self, leg: LegId, code: int, why: Reason | None = None) -> None:
        """A leg of a transfer is over."""
        run = self._runs.part(leg)
        if run is None:
            return
        at = run.now()
        if leg == run.machine.target:
            # After its answer a target ends with 200: it hung up before a person was there.
            reason = why or (reason_for_failure(code) if code >= 300 else Reason.NO_ANSWER)
            code = code if code >= 300 else reason.sip_code
            self.feed(run, ev.TargetFailed(at, leg, reason, code, self.following(run)))
        elif leg == run.machine.transferee:
            self.feed(run, ev.TransfereeGone(at))
        elif leg == run.machine.transferor:
            self.feed(run, ev.TransferorGone(at))

    def lose_through_us(self, leg: LegId, fault: str) -> None:
        """The leg of a transfer is over, and its peer has not ended it."""
        run = self._runs.of(leg)
        if run is not None and leg == run.machine.transferee:
            self._runs.part(leg)
            self.feed(run, ev.TransfereeGone(run.now(), fault))

    def note_fault(self, leg: LegId, fault: str) -> None:
        """Something could not be done with a leg of a transfer."""
        run = self._runs.of(leg)
        if run is not None and run.record.fault is None and run.machine.state is not State.ENDED:
            run.machine = replace(run.machine, record=replace(run.record, fault=fault))

    def hand_down_told(self, leg: LegId, code: int, *, accepted: bool) -> None:
        """The PBX tells how it gets on with moving the caller on this leg."""
        run = self._runs.of(leg)
        if run is None or run.handed is None:
            return
        at = run.now()
        self._conductor.progressed(run)
        if code >= 300:
            reason = reason_for_failure(code)
            self.feed(run, ev.TargetFailed(at, run.handed, reason, code, self.following(run), accepted))
        elif code >= 200:
            self.feed(run, ev.TargetAnswered(at, run.handed))
        else:
            self.feed(run, ev.TargetProgress(at, run.handed, code))

    def notify_failed(self, leg: LegId) -> None:
        """The transferor takes no more NOTIFYs."""
        for run in self.running:
            if leg in run.legs and run.handle is not None:
                self.feed(run, ev.NotifyFailed(run.now()))
                return

    def human(self, sip_call_id: str, at: datetime) -> None:
        """The PBX says that a person took the call with this Call-ID."""
        if found := self._runs.target(sip_call_id):
            run, target = found
            # The PBX has a clock of its own: by ours it was between the answer that it belongs to and now.
            earliest = run.record.answered_at or run.record.requested_at
            self.feed(run, ev.HumanAnswered(max(earliest, min(at, run.now())), target))

    def lost(self, transfer: str, cause: int, at: datetime) -> None:
        """The PBX says that a caller whom it had taken over is gone, and why."""
        run = self._runs.get(TransferId(transfer))
        if run is None or run.handed is None:
            return
        self.feed(
            run, ev.CallerLost(max(run.record.requested_at, min(at, run.now())), run.handed, reason_for_cause(cause))
        )

    def humans_unknown(self, pbx: str) -> None:
        """The PBX can no longer tell who takes a call."""
        for run in self.running:
            if run.record.pbx != pbx:
                continue
            run.machine = replace(run.machine, manner=replace(run.machine.manner, names_humans=False))
            if run.machine.state in (State.CONNECTED, State.HANDED):
                self.feed(run, ev.HumanTimeout(run.now()))

    def cancel(self, which: str) -> TransferRecord:
        """End the attempts of a transfer, named by its own id or its call's; what is known of it then.

        Raises LookupError when no such transfer is under way, TooLateError when somebody has answered.
        """
        run = self._runs.get(TransferId(which))
        call = self._calls.get(which)
        if run is None and call is not None:
            run = self.of_call(call)
        if run is None:
            raise LookupError(f"no transfer {which} is under way")
        if not run.machine.can_be_cancelled:
            raise TooLateError(f"transfer {run.record.transfer} is {run.machine.state} and can't be cancelled any more")
        self.feed(run, ev.Cancelled(run.now()))
        return run.record

    def stop(self) -> None:
        """Give every transfer its outcome now."""
        for run in self.running:
            self.feed(run, ev.Stop(run.now()))

    # --- the machine

    def following(self, run: Run) -> Decision:
        """What the gate says of the rest of the hunt, now."""
        if run.number is None or run.asked is None:
            return Decision(False, Reason.NO_ANSWER, None)
        passed_over = [(one.destination, one.reason) for one in run.record.attempts if not one.extension and one.reason]
        tried = [attempt.destination for attempt in run.record.attempts if attempt.extension]
        try:
            return gate.next_after(run.number, run.asked, tried, self._situation(), passed_over)
        except Exception as error:
            log.exception("gate-failed", transfer=run.record.transfer)
            line = f"overflow: none, the gate failed: {type(error).__name__}"
            return Decision(False, Reason.GATEWAY_ERROR, None, (line,))

    def feed(self, run: Run, event: ev.Event) -> None:
        """Let the machine take an event, and those that come of what it wants done."""
        run.events.append(event)
        if run.busy:
            return
        run.busy = True
        try:
            while run.events:
                event = run.events.popleft()
                try:
                    run.machine, commands = transfer.step(run.machine, event)
                except Exception as error:
                    log.exception("step-failed", transfer=run.record.transfer, what=type(event).__name__)
                    if isinstance(event, ev.Fault):
                        self._conductor.abort(run, event.text)
                        break
                    run.events.append(ev.Fault(run.now(), f"{type(event).__name__} failed: {type(error).__name__}"))
                else:
                    self._conductor.carry_out(run, commands)
        finally:
            run.busy = False
        self._settle(run)

    def _carry_out(self, run: Run, commands: tuple[cmd.Command, ...]) -> None:
        run.busy = True
        try:
            self._conductor.carry_out(run, commands)
        finally:
            run.busy = False
        if run.events:
            self.feed(run, run.events.popleft())
        else:
            self._settle(run)

    def _settle(self, run: Run) -> None:
        """Count the stage the machine is in, and let go of a transfer that has ended."""
        state = run.machine.state
        if state is not run.stage:
            if run.stage is not None:
                self._observer.transfer_stage(run.stage.value, -1)
            run.stage = None if state is State.ENDED else state
            if run.stage is not None:
                self._observer.transfer_stage(run.stage.value, +1)
        if state is State.ENDED:
            for timer in run.timers.values():
                timer.cancel()
            run.timers.clear()
            self._runs.remove(run)
