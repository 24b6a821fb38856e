# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries out what calls and their transfers want done: legs, responses, timers, reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import structlog

from gateway.core.call import commands as do
from gateway.core.call.events import (
    DialFailed,
    Event,
    Fault,
    HandDownTold,
    Joined,
    JoinFailed,
    LegTaken,
    NotifyFailed,
    TimerFired,
)
from gateway.core.call.machine import name_leg
from gateway.core.call.state import Call, Running
from gateway.core.call.turn import Turn
from gateway.core.model import LegId, TransferId
from gateway.core.outcome import Reason
from gateway.core.record import Milestone, TransferRecord
from gateway.core.transfer import State
from gateway.core.transfer import commands as cmd
from gateway.engine.registry import Calls
from gateway.ports import Clock, NotSent, NotSentError, Observer, ReferHandle, Reporter, SipPort, Timer

log = structlog.get_logger(__name__)

HEARD_PACKETS = 4
"""From how many packets on a leg is taken to bring a caller's audio, and not just the last that were on their way."""


class NotAcceptedError(Exception):
    """The response that accepts a request could not be sent."""


class Feedback(Protocol):
    """Who is told what comes of it."""

    def feed(self, call: str, event: Event) -> None:
        """Something happened to a call."""


@dataclass(eq=False, slots=True)
class RunningTransfer:
    """What the engine holds of a transfer beside what its call knows: the way back to who asked, and the timers."""

    record: TransferRecord  # as of the last step
    handle: ReferHandle | None = None
    timers: dict[cmd.Timer, Timer] = field(default_factory=dict)
    dialled_at: float | None = None  # of the attempt that has not progressed yet, by the steady clock
    stage: State | None = None
    heard: int = 0  # packets of the transferee's audio, when listening began


class Executor:
    """Carries out commands; what comes of them goes back as events."""

    def __init__(
        self,
        sip: SipPort,
        calls: Calls,
        reporter: Reporter,
        observer: Observer,
        clock: Clock,
        feedback: Feedback,
        identifies: Callable[[str, str], bool],
    ) -> None:
        """`identifies(pbx, sip_call_id)` has a PBX say who has answered a call of ours; False: it does not know."""
        self._sip = sip
        self._identifies = identifies
        self._calls = calls
        self._reporter = reporter
        self._observer = observer
        self._clock = clock
        self._feedback = feedback
        self.running_transfers: dict[TransferId, RunningTransfer] = {}

    def carry_out(self, call: str, commands: tuple[do.Command, ...]) -> None:
        """Do what a call wants done, in its order. What cannot be done becomes an event; the rest is done."""
        refused: set[TransferId] = set()
        for command in commands:
            if refused:
                # Nobody may be moved for a request that was not answered with yes; yet what came of it is told.
                match command:
                    case do.OfTransfer(transfer, cmd.Report(Milestone.REQUESTED | Milestone.ENDED as milestone)):
                        self._report(transfer, milestone)
                continue
            try:
                self._carry_out(call, command)
            except NotAcceptedError:
                match command:
                    case do.OfTransfer(transfer):
                        refused.add(transfer)
            except Exception as error:  # noqa: BLE001  # whatever it is, the rest of the step is done
                self._failed(call, command, error)
        for transfer in refused:
            self._feedback.feed(call, Fault(self._clock.now(), transfer, "the request could not be accepted"))

    def _failed(self, call: str, command: do.Command, error: Exception) -> None:
        inner = command.command if isinstance(command, do.OfTransfer) else command
        name = type(inner).__name__
        log.error("command-failed", call=call, command=name, exc_info=error)
        if isinstance(command, do.OfTransfer):
            text = f"{name} failed: {type(error).__name__}"
            self._feedback.feed(call, Fault(self._clock.now(), command.transfer, text))

    def _carry_out(self, call: str, command: do.Command) -> None:
        match command:
            case do.Dial(order):
                self._dial(call, order)
            case do.HandDown(order):
                self._hand_down(call, order)
            case do.Respond(leg, code, beside):
                self._sip.respond(leg, code, beside)
            case do.Whisper(leg, sounds, tones):
                self._sip.whisper(leg, sounds, tones=tones)
            case do.Join(one, other, dialled):
                self._join(call, one, other, dialled)
            case do.Press(leg, keys):
                self._sip.press(leg, keys)
            case do.Wait() | do.Silence():
                self._take_out(call, command)
            case do.HangUp():
                self._hang_up(command)
            case do.OfTransfer(transfer, inner):
                self._carry_out_own(call, transfer, inner)
            case do.ReportCall():
                self._report_call(command)
            case do.CountRejected(reason):
                self._observer.request_rejected(reason)

    def _hang_up(self, end: do.HangUp) -> None:
        hang_up = partial(self._sip.hang_up, end.leg, end.code, end.reason, end.retry_after_s, end.sentence)
        if end.in_s:
            self._clock.after(end.in_s, hang_up)
        else:
            hang_up()

    def _carry_out_own(self, call: str, transfer: TransferId, command: do.OwnCommand) -> None:
        """Do what the machine of one transfer wants done; raises NotAcceptedError."""
        run = self.running_transfers[transfer]
        match command:
            case cmd.AnswerRequest(code, reason, retry_after_s, words):
                if run.handle is not None and not run.handle.answer(code, reason, retry_after_s, words) and code < 300:
                    raise NotAcceptedError
            case cmd.Notify():
                self._notify(call, transfer, command)
            case cmd.StartTimer(timer, seconds):
                self._stop_timer(run, timer)
                run.timers[timer] = self._clock.after(seconds, partial(self._fire, call, transfer, timer))
            case cmd.StopTimer(timer):
                self._stop_timer(run, timer)
            case cmd.Report(milestone):
                self._report(transfer, milestone)
            case cmd.Identify(target):
                self._identify(call, transfer, target)
            case cmd.Listen(transferee):
                run.heard = self._sip.heard(transferee)

    def _identify(self, call: str, transfer: TransferId, target: LegId) -> None:
        """Have the PBX say who has answered; nobody waits for one that cannot."""
        pbx, call_id = self.running_transfers[transfer].record.pbx, self._sip.call_id(target)
        if pbx is None or call_id is None or not self._identifies(pbx, call_id):
            self._feedback.feed(call, TimerFired(self._clock.now(), transfer, cmd.Timer.WHO))

    def progressed(self, transfer: TransferId) -> None:
        """The PBX has said something of what was dialled last."""
        run = self.running_transfers.get(transfer)
        if run is not None and run.dialled_at is not None:
            self._observer.target_setup(self._clock.now().steady - run.dialled_at, transfer)
            run.dialled_at = None

    def note_state(self, running: Running) -> None:
        """Count the stage a transfer is in, and let go of one that has ended."""
        run, state = self.running_transfers[running.id], running.machine.state
        run.record = running.record
        stage = None if state is State.ENDED else state
        if stage is not run.stage:
            if run.stage is not None:
                self._observer.transfer_stage(run.stage.value, -1)
            if stage is not None:
                self._observer.transfer_stage(stage.value, +1)
            run.stage = stage
        if state is State.ENDED:
            for timer in list(run.timers):
                self._stop_timer(run, timer)
            del self.running_transfers[running.id]
            self._end(run.handle, running.id)

    def abort(self, call: Call, transfer: TransferId, fault: str) -> None:
        """End a transfer whose machine cannot: every leg of it is hung up, and its outcome told, if it was not."""
        running = call.running(transfer)
        if running is None:
            return
        told = running.machine.reached is Milestone.ENDED
        reason, now = Reason.GATEWAY_ERROR, self._clock.now()
        ended = replace(
            running.record, outcome=reason.outcome, reason=reason, sip_code=reason.sip_code, fault=fault,
            ended_at=running.at(now),
        )  # fmt: skip
        machine = replace(running.machine, state=State.ENDED, record=running.record if told else ended)
        turn = Turn(call, now)
        turn.put(replace(running, machine=machine))
        self._calls.put(turn.call)
        for leg in running.peers:
            self._sip.hang_up(leg, 500, reason)
        if not told:
            self._report(transfer, Milestone.ENDED)

    # --- transfers

    def _notify(self, call: str, transfer: TransferId, state: cmd.Notify) -> None:
        handle = self.running_transfers[transfer].handle
        if handle is None:
            return
        try:
            handle.notify(state.code, state.reason, state.final, state.sentence, state.retry_after_s)
        except Exception:
            log.exception("notify-failed", transfer=transfer, code=state.code)
            self._feedback.feed(call, NotifyFailed(self._clock.now(), transfer))

    def _end(self, handle: ReferHandle | None, transfer: TransferId) -> None:
        """Whatever ended the transfer: a subscription that nobody ends would keep its dialog for good."""
        if handle is not None:
            try:
                handle.end()
            except Exception:
                log.exception("notify-failed", transfer=transfer, code=Reason.GATEWAY_ERROR.sip_code)

    def _report(self, transfer: TransferId, milestone: Milestone) -> None:
        found = self._calls.transfer(transfer)
        record = found[1].record if found else self.running_transfers[transfer].record
        if milestone is Milestone.ENDED:
            self._observer.transfer_ended(record)
        else:
            # One step of the machine may go to the end, but what is reported on the way there has no outcome yet.
            record = replace(record, outcome=None, reason=None, sip_code=None, ended_at=None)
        self._reporter.transfer(milestone, record)

    def _report_call(self, command: do.ReportCall) -> None:
        ended = command.record
        log.info(
            "call-ended", call=ended.call, talk_s=ended.talk_s, by=ended.hung_up_by, reason=ended.reason,
            number=ended.number, destination=ended.destination, transfer=ended.transfer,
        )  # fmt: skip
        self._observer.call_ended(ended)
        if command.event:
            counted = ((leg, self._sip.media(leg.id)) for leg in command.legs)
            media = (replace(one, side=leg.peer.kind.value, call_id=leg.call_id) for leg, one in counted if one)
            self._reporter.call_ended(replace(ended, media=tuple(media)))

    def _stop_timer(self, run: RunningTransfer, timer: cmd.Timer) -> None:
        if running := run.timers.pop(timer, None):
            running.cancel()

    def _fire(self, call: str, transfer: TransferId, timer: cmd.Timer) -> None:
        run, found = self.running_transfers[transfer], self._calls.transfer(transfer)
        run.timers.pop(timer, None)
        heard = False
        if timer is cmd.Timer.LISTEN and found is not None:
            heard = self._sip.heard(found[1].machine.transferee) - run.heard >= HEARD_PACKETS
        self._feedback.feed(call, TimerFired(self._clock.now(), transfer, timer, heard))

    # --- legs

    def _dial(self, call: str, order: do.DialOrder) -> None:
        self._dialled(order.leg)
        try:
            self._sip.dial(order)
        except NotSentError as error:
            why, peer = str(error.reason), order.peer.name
            log.error("dial-failed", call=call, leg=order.leg, peer=peer, reason=why, error=str(error))
            no_room = error.reason is NotSent.NO_ROOM
            self._feedback.feed(call, DialFailed(self._clock.now(), order.leg, no_room))
        known, call_id = self._calls.known(call), self._sip.call_id(order.leg)
        if known is not None and call_id is not None:
            self._calls.put(name_leg(known, order.leg, call_id))

    def _dialled(self, leg: LegId) -> None:
        running = self._calls.transferring(leg)
        if running is not None:
            self.running_transfers[running.id].dialled_at = self._clock.now().steady

    def _hand_down(self, call: str, order: do.HandDownOrder) -> None:
        self.running_transfers[TransferId(order.transfer)].dialled_at = self._clock.now().steady
        try:
            self._sip.hand_down(order)
        except NotSentError as error:
            why, user = str(error.reason), order.user
            log.error("hand-down-failed", transfer=order.transfer, user=user, reason=why, error=str(error))
            self._feedback.feed(call, HandDownTold(self._clock.now(), order.leg, 502, accepted=False))

    def _take_out(self, call: str, command: do.Wait | do.Silence) -> None:
        known, book = self._calls.known(call), self._calls.book
        match command:
            case do.Wait(leg, target, announcement):
                self._sip.wait(leg, target, announcement)
                if known is not None:
                    book.note_waits(known, leg, target, announcement)
            case do.Silence(leg):
                self._sip.silence(leg)
                if known is not None:
                    book.note_silenced(known, leg)

    def _join(self, call: str, one: LegId, other: LegId, dialled: str | None) -> None:
        if not self._sip.join(one, other):
            self._feedback.feed(call, JoinFailed(self._clock.now(), one, other))
            return
        if (known := self._calls.known(call)) is not None:
            self._calls.book.note_joined(known, one, other)
        party = self._sip.asserted(other).party(dialled) if dialled is not None else None
        before = self._calls.of(other)
        if before is not None and before.id != call:
            party = before.parties.get(other)
            self._feedback.feed(before.id, LegTaken(self._clock.now(), other))
        self._feedback.feed(call, Joined(self._clock.now(), one, other, party))
