# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs transfer machines: turns what happens to legs into events, and carries out the commands, in order."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import structlog

from gateway.core import commands as cmd
from gateway.core import events as ev
from gateway.core import gate, transfer
from gateway.core.model import AssignedNumber, Decision, Destination, Entry, LegId, Peer, PeerKind, TransferId
from gateway.core.outcome import Reason, reason_for_cause, reason_for_failure
from gateway.core.record import Milestone, TransferRecord
from gateway.core.transfer import Manner, State, Transfer
from gateway.core.transfer_moves import RELEASE_S
from gateway.engine.calls import Call, Calls
from gateway.ports import DialOrder, HandDownOrder, NoRoomError, Observer, ReferHandle, Reporter, SipPort, TooLateError

log = structlog.get_logger(__name__)

HEARD_PACKETS = 4
"""From how many packets on a leg is taken to bring a caller's audio, and not just the last that were on their way."""
TRANSFER_HEADER = "X-Transfer-ID"
"""Carries the transfer's id to the PBX, so that a screen pop can look it up."""


@dataclass(eq=False, slots=True)
class Run:
    """One machine at work."""

    machine: Transfer
    call: Call | None
    asked: Destination | None
    handle: ReferHandle | None
    events: deque[ev.Event] = field(default_factory=deque)
    busy: bool = False
    timers: dict[cmd.Timer, asyncio.TimerHandle] = field(default_factory=dict)
    dialled_at: float | None = None  # loop time of the attempt that has not progressed yet
    stage: State | None = None
    legs: dict[LegId, Peer | None] = field(default_factory=dict)  # every leg that ever took part
    sip_call_ids: dict[str, str] = field(default_factory=dict)  # by role
    handed: LegId | None = None  # the target the PBX was asked to bring the caller to by itself
    heard: int = 0  # packets of the transferee's audio, when listening began
    number: AssignedNumber | None = None  # as configured when the transfer began

    @property
    def record(self) -> TransferRecord:
        """What is known of the transfer."""
        return self.machine.record

    @property
    def holds_transferee(self) -> bool:
        """Whether the machine still decides what becomes of the caller."""
        return self.machine.state not in (State.RELEASING, State.ENDED)


class Transfers:
    """The transfers under way."""

    def __init__(
        self,
        sip: SipPort,
        calls: Calls,
        reporter: Reporter,
        observer: Observer,
        *,
        clock: Callable[[], datetime],
        situation: Callable[[], gate.Situation],
    ) -> None:
        self._sip = sip
        self._calls = calls
        self._reporter = reporter
        self._observer = observer
        self._clock = clock
        self._situation = situation
        self._loop = asyncio.get_running_loop()
        self._runs: dict[TransferId, Run] = {}
        self._by_leg: dict[LegId, Run] = {}
        self._targets: dict[str, tuple[Run, LegId]] = {}  # by SIP Call-ID, or by transfer

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def running(self) -> list[Run]:
        """Those that have not ended."""
        return list(self._runs.values())

    def of_call(self, call: Call) -> Run | None:
        """The transfer that is under way for a call."""
        return self._runs.get(call.transfer) if call.transfer else None

    def per_destination(self) -> Counter[str]:
        """How many attempts are under way to each destination."""
        trying = (run.machine for run in self._runs.values() if run.holds_transferee)
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
        machine, commands = transfer.start(
            record,
            decision,
            transferee=transferee,
            transferor=transferor,
            manner=manner,
            fallback=fallback,
            total_ring=call.number.total_ring if call else None,
            at=self._clock(),
        )
        run = Run(machine, call, asked, handle, number=call.number if call else None)
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
        machine, commands = transfer.join(
            record, transferee=transferee, transferor=transferor, target=target, manner=manner, at=self._clock()
        )
        run = Run(machine, call, None, handle)
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
            self._runs[machine.record.transfer] = run
            if call is not None:
                call.transfer = machine.record.transfer
            for role, leg in parties.items():
                if leg is not None:
                    self._take_part(run, role, leg, (call.legs.get(leg) if call else None) or run.legs.get(leg))
        self._carry_out(run, commands)
        return run.record

    # --- what happens to legs

    def progress(self, leg: LegId, code: int) -> None:
        """A dialled target got a provisional response."""
        if run := self._by_leg.get(leg):
            self._progressed(run)
            self._feed(run, ev.TargetProgress(self._clock(), leg, code))

    def early_media(self, leg: LegId) -> None:
        """A dialled target has media before its answer; that of a fresh INVITE reaches the caller through 183."""
        run = self._by_leg.get(leg)
        if run is not None and leg == run.machine.target and run.record.entry is Entry.INVITE:
            self._sip.respond(run.machine.transferee, 183)

    def answered(self, leg: LegId) -> None:
        """A dialled target answered."""
        if run := self._by_leg.get(leg):
            self._progressed(run)
            self._feed(run, ev.TargetAnswered(self._clock(), leg))

    def leg_ended(self, leg: LegId, code: int, why: Reason | None = None) -> None:
        """A leg of a transfer is over."""
        run = self._by_leg.pop(leg, None)
        if run is None:
            return
        at = self._clock()
        if leg == run.machine.target:
            # After its answer a target ends with 200: it hung up before a person was there.
            reason = why or (reason_for_failure(code) if code >= 300 else Reason.NO_ANSWER)
            code = code if code >= 300 else reason.sip_code
            self._feed(run, ev.TargetFailed(at, leg, reason, code, self._following(run)))
        elif leg == run.machine.transferee:
            self._feed(run, ev.TransfereeGone(at))
        elif leg == run.machine.transferor:
            self._feed(run, ev.TransferorGone(at))

    def hand_down_told(self, leg: LegId, code: int, *, accepted: bool) -> None:
        """The PBX tells how it gets on with moving the caller on this leg."""
        run = self._by_leg.get(leg)
        if run is None or run.handed is None:
            return
        at = self._clock()
        self._progressed(run)
        if code >= 300:
            reason = reason_for_failure(code)
            self._feed(run, ev.TargetFailed(at, run.handed, reason, code, self._following(run), accepted))
        elif code >= 200:
            self._feed(run, ev.TargetAnswered(at, run.handed))
        else:
            self._feed(run, ev.TargetProgress(at, run.handed, code))

    def notify_failed(self, leg: LegId) -> None:
        """The transferor takes no more NOTIFYs."""
        for run in self.running:
            if leg in run.legs and run.handle is not None:
                self._feed(run, ev.NotifyFailed(self._clock()))
                return

    def human(self, sip_call_id: str, at: datetime) -> None:
        """The PBX says that a person took the call with this Call-ID."""
        if found := self._targets.get(sip_call_id):
            run, target = found
            # The PBX's own account may come with an earlier time than that of the answer it belongs to.
            answered_at = run.record.answered_at
            self._feed(run, ev.HumanAnswered(max(at, answered_at) if answered_at else at, target))

    def lost(self, transfer: str, cause: int, at: datetime) -> None:
        """The PBX says that a caller whom it had taken over is gone, and why."""
        run = self._runs.get(TransferId(transfer))
        if run is None or run.handed is None:
            return
        self._feed(run, ev.CallerLost(at, run.handed, reason_for_cause(cause)))

    def humans_unknown(self, pbx: str) -> None:
        """The PBX can no longer tell who takes a call."""
        for run in self.running:
            if run.record.pbx != pbx:
                continue
            run.machine = replace(run.machine, manner=replace(run.machine.manner, names_humans=False))
            if run.machine.state in (State.CONNECTED, State.HANDED):
                self._feed(run, ev.HumanTimeout(self._clock()))

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
        self._feed(run, ev.Cancelled(self._clock()))
        return run.record

    def stop(self) -> None:
        """Give every transfer its outcome now."""
        for run in self.running:
            self._feed(run, ev.Stop(self._clock()))

    # --- the machine

    def _following(self, run: Run) -> Decision:
        if run.number is None or run.asked is None:
            return Decision(False, Reason.NO_ANSWER, None)
        tried = [attempt.destination for attempt in run.record.attempts if attempt.extension]
        return gate.next_after(run.number, run.asked, tried, self._situation())

    def _feed(self, run: Run, event: ev.Event) -> None:
        run.events.append(event)
        if run.busy:
            return
        run.busy = True
        try:
            while run.events:
                machine, commands = transfer.step(run.machine, run.events.popleft())
                run.machine = machine
                self._do(run, commands)
        finally:
            run.busy = False
        self._settle(run)

    def _carry_out(self, run: Run, commands: tuple[cmd.Command, ...]) -> None:
        run.busy = True
        try:
            self._do(run, commands)
        finally:
            run.busy = False
        if run.events:
            self._feed(run, run.events.popleft())
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
            self._runs.pop(run.record.transfer, None)
            for leg in run.legs:
                if self._by_leg.get(leg) is run:
                    del self._by_leg[leg]
            self._targets.pop(run.sip_call_ids.get("target", ""), None)
            self._targets.pop(run.record.transfer, None)

    def _do(self, run: Run, commands: tuple[cmd.Command, ...]) -> None:  # noqa: C901, PLR0912  # one case per command
        for command in commands:
            match command:
                case cmd.AnswerRequest(code, reason, retry_after_s):
                    if run.handle is not None:
                        run.handle.answer(code, reason, retry_after_s)
                case cmd.Notify(code, reason, final):
                    if run.handle is not None:
                        run.handle.notify(code, reason, final)
                case cmd.Respond(leg, code):
                    self._sip.respond(leg, code)
                case cmd.Dial(target, destination):
                    self._dial(run, target, destination)
                case cmd.HandDown(target, transferee, destination):
                    self._hand_down(run, target, transferee, destination)
                case cmd.Listen(transferee):
                    run.heard = self._sip.heard(transferee)
                case cmd.Announce(transferee, announcement):
                    self._sip.wait(transferee, None, announcement)
                case cmd.Wait(transferee, transferor):
                    if transferor is not None:
                        self._sip.part(transferor)
                    self._sip.wait(transferee)
                case cmd.Switch(transferee, target):
                    self._switch(run, transferee, target)
                case cmd.Return(transferee, transferor):
                    self._return(run, transferee, transferor)
                case cmd.HangUp(leg, reason, code, retry_after_s):
                    if leg == run.machine.transferee:
                        self._by_leg.pop(leg, None)  # that it ends then is no news
                    self._sip.hang_up(leg, code, reason, retry_after_s)
                case cmd.StartTimer(timer, seconds):
                    self._stop_timer(run, timer)
                    run.timers[timer] = self._loop.call_later(seconds, self._fire, run, timer)
                case cmd.StopTimer(timer):
                    self._stop_timer(run, timer)
                case cmd.Report(milestone):
                    self._report(run, milestone)

    def _report(self, run: Run, milestone: Milestone) -> None:
        record = run.record
        if milestone is Milestone.ENDED:
            self._observer.transfer_ended(record)
        else:
            # One step of the machine may go to the end, but what is reported on the way there has no outcome yet.
            record = replace(record, outcome=None, reason=None, sip_code=None, ended_at=None)
        self._reporter.transfer(milestone, record)

    def _stop_timer(self, run: Run, timer: cmd.Timer) -> None:
        if running := run.timers.pop(timer, None):
            running.cancel()

    def _fire(self, run: Run, timer: cmd.Timer) -> None:
        run.timers.pop(timer, None)
        at = self._clock()
        match timer:
            case cmd.Timer.RING:
                self._feed(run, ev.RingTimeout(at, self._following(run)))
            case cmd.Timer.DEADLINE:
                self._feed(run, ev.Deadline(at))
            case cmd.Timer.HUMAN:
                self._feed(run, ev.HumanTimeout(at))
            case cmd.Timer.RELEASE:
                self._feed(run, ev.ReleaseTimeout(at))
            case cmd.Timer.ANNOUNCEMENT:
                self._feed(run, ev.Announced(at))
            case cmd.Timer.LISTEN:
                machine = run.machine
                packets = self._sip.heard(machine.transferee) - run.heard
                heard = packets >= HEARD_PACKETS
                self._feed(run, ev.Listened(at, machine.target, heard, self._following(run)))

    # --- commands that need more than one line

    def _dial(self, run: Run, target: LegId, destination: Destination) -> None:
        call = run.call
        if call is None:
            raise RuntimeError("a transfer is dialled for a call")
        pbx = Peer(call.number.pbx, PeerKind.PBX)
        context = tuple(run.record.context.items())
        order = DialOrder(
            leg=target,
            peer=pbx,
            user=destination.extension,
            caller=call.caller_user,
            caller_name=call.caller_name,
            headers=((TRANSFER_HEADER, run.record.transfer), *context),
            private=call.private,
            diverted=(call.number.number, *call.diverted),
            max_forwards=call.max_forwards,
            beside=run.machine.transferee,
        )
        run.dialled_at = self._loop.time()
        try:
            self._sip.dial(order)
        except NoRoomError as error:
            log.error("dial-failed", transfer=run.record.transfer, destination=destination.id, error=str(error))
            self._loop.call_soon(partial(self.leg_ended, target, 503, Reason.AT_CAPACITY))
        except OSError as error:
            log.error("dial-failed", transfer=run.record.transfer, destination=destination.id, error=str(error))
            self._loop.call_soon(partial(self.leg_ended, target, 502))
        self._take_part(run, "target", target, pbx)
        announcement = destination.announcement
        meanwhile = announcement if announcement and not announcement.before else None
        self._sip.wait(run.machine.transferee, target, meanwhile)

    def _hand_down(self, run: Run, target: LegId, transferee: LegId, destination: Destination) -> None:
        referred_by = [(name, value) for name, value in run.record.context.items() if name.lower() == "referred-by"]
        run.handed = target
        run.dialled_at = self._loop.time()
        self._targets[run.record.transfer] = run, target
        try:
            self._sip.hand_down(
                HandDownOrder(transferee, destination.extension, run.record.transfer, tuple(referred_by))
            )
        except OSError as error:
            log.error("hand-down-failed", transfer=run.record.transfer, destination=destination.id, error=str(error))
            self._loop.call_soon(partial(self.hand_down_told, transferee, 502, accepted=False))

    def _take_part(self, run: Run, role: str, leg: LegId, peer: Peer | None) -> None:
        self._by_leg[leg] = run
        run.legs[leg] = peer
        sip_call_id = self._sip.call_id(leg)
        if sip_call_id is None:
            return
        if role == "target":
            self._targets.pop(run.sip_call_ids.get(role, ""), None)
            self._targets[sip_call_id] = run, leg
        run.sip_call_ids[role] = sip_call_id
        run.machine = replace(run.machine, record=replace(run.record, call_ids=dict(run.sip_call_ids)))

    def _progressed(self, run: Run) -> None:
        if run.dialled_at is not None:
            self._observer.target_setup(self._loop.time() - run.dialled_at)
            run.dialled_at = None

    def _switch(self, run: Run, transferee: LegId, target: LegId) -> None:
        at = self._clock()
        call = run.call
        if call is None or not self._sip.join(transferee, target):
            run.events.append(ev.SwitchFailed(at, target, self._following(run)))
            return
        pbx = Peer(call.number.pbx, PeerKind.PBX)
        for leg in list(call.legs):
            if leg != transferee:
                self._calls.leave(call, leg)
        before = self._calls.of(target)
        if before is not None:
            before.up = False
            self._calls.leave(before, target)
        self._calls.join(call, target, run.legs[target] or pbx, self._sip.call_id(target))
        call.up = True
        call.destination = run.record.destination
        call.connected_at = run.record.answered_at
        run.events.append(ev.Switched(at, target))

    def _return(self, run: Run, transferee: LegId, transferor: LegId) -> None:
        call = run.call
        if call is not None:
            for leg in list(call.legs):
                if leg not in (transferee, transferor):
                    self._calls.leave(call, leg)
            peer = run.legs.get(transferor)
            if transferor not in call.legs and peer is not None:
                self._calls.join(call, transferor, peer, self._sip.call_id(transferor))
            call.destination = None
        self._sip.join(transferee, transferor)
