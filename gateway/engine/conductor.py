# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries out what transfer machines want done: responses, legs, timers, reports."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from gateway.core.caller import Party
from gateway.core.model import Decision, Destination, LegId, Peer, PeerKind
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.core.transfer import commands as cmd
from gateway.core.transfer import events as ev
from gateway.core.transfer.state import State
from gateway.engine.calls import Calls
from gateway.engine.runs import Run, Runs
from gateway.ports import DialOrder, HandDownOrder, NoRoomError, Observer, Reporter, SipPort

log = structlog.get_logger(__name__)

HEARD_PACKETS = 4
"""From how many packets on a leg is taken to bring a caller's audio, and not just the last that were on their way."""
TRANSFER_HEADER = "X-Transfer-ID"
"""Carries the transfer's id to the PBX, so that a screen pop can look it up."""


class NotAcceptedError(Exception):
    """The response that accepts a request could not be sent."""


class Feedback(Protocol):
    """Who is told what comes of it."""

    def feed(self, run: Run, event: ev.Event) -> None:
        """Something happened to a transfer."""

    def following(self, run: Run) -> Decision:
        """What the gate says of the rest of the hunt, now."""

    def leg_ended(self, leg: LegId, code: int, why: Reason | None = None) -> None:
        """A leg is over, or could not even be dialled."""

    def hand_down_told(self, leg: LegId, code: int, *, accepted: bool) -> None:
        """How a transfer by the PBX goes on."""


class Conductor:
    """Carries out commands; what comes of them goes back as events."""

    def __init__(
        self,
        sip: SipPort,
        calls: Calls,
        runs: Runs,
        reporter: Reporter,
        observer: Observer,
        *,
        feedback: Feedback,
    ) -> None:
        self._sip = sip
        self._calls = calls
        self._runs = runs
        self._reporter = reporter
        self._observer = observer
        self._feedback = feedback
        self._loop = asyncio.get_running_loop()

    def carry_out(self, run: Run, commands: tuple[cmd.Command, ...]) -> None:
        """Do what a machine wants done, in its order. What cannot be done becomes an event; the rest is done."""
        for command in commands:
            try:
                self._carry_out(run, command)
            except NotAcceptedError:
                # Nobody may be moved for a request that was not answered with yes.
                if cmd.Report(Milestone.REQUESTED) in commands:
                    self._report(run, Milestone.REQUESTED)
                run.events.append(ev.Fault(run.now(), "the request could not be accepted"))
                return
            except Exception as error:
                name = type(command).__name__
                log.exception("command-failed", transfer=run.record.transfer, command=name)
                run.events.append(ev.Fault(run.now(), f"{name} failed: {type(error).__name__}"))

    def abort(self, run: Run, fault: str) -> None:
        """End a transfer whose machine cannot: every leg of it is hung up, and its outcome told, if it was not."""
        for timer in list(run.timers):
            self._stop_timer(run, timer)
        for leg in run.legs:
            self._sip.hang_up(leg, 500, Reason.GATEWAY_ERROR)
        told = run.machine.reached is Milestone.ENDED
        reason = Reason.GATEWAY_ERROR
        record = replace(
            run.record, outcome=reason.outcome, reason=reason, sip_code=reason.sip_code, fault=fault, ended_at=run.now()
        )
        run.machine = replace(run.machine, state=State.ENDED, record=run.record if told else record)
        if not told:
            self._report(run, Milestone.ENDED)

    def _carry_out(self, run: Run, command: cmd.Command) -> None:  # noqa: C901, PLR0912  # one case per command
        match command:
            case cmd.AnswerRequest(code, reason, retry_after_s):
                if run.handle is not None and not run.handle.answer(code, reason, retry_after_s) and code < 300:
                    raise NotAcceptedError
            case cmd.Notify(code, reason, final):
                self._notify(run, code, reason, final=final)
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
                    self._runs.part(leg)  # that it ends then is no news
                self._sip.hang_up(leg, code, reason, retry_after_s)
            case cmd.StartTimer(timer, seconds):
                self._stop_timer(run, timer)
                run.timers[timer] = self._loop.call_later(seconds, self._fire, run, timer)
            case cmd.StopTimer(timer):
                self._stop_timer(run, timer)
            case cmd.Report(milestone):
                self._report(run, milestone)

    def _notify(self, run: Run, code: int, reason: Reason, *, final: bool) -> None:
        if run.handle is None:
            return
        try:
            run.handle.notify(code, reason, final)
        except Exception:
            log.exception("notify-failed", transfer=run.record.transfer, code=code)
            run.events.append(ev.NotifyFailed(run.now()))

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
        at = run.now()
        match timer:
            case cmd.Timer.RING:
                self._feedback.feed(run, ev.RingTimeout(at, self._feedback.following(run)))
            case cmd.Timer.DEADLINE:
                self._feedback.feed(run, ev.Deadline(at))
            case cmd.Timer.HUMAN:
                self._feedback.feed(run, ev.HumanTimeout(at))
            case cmd.Timer.RELEASE:
                self._feedback.feed(run, ev.ReleaseTimeout(at))
            case cmd.Timer.ANNOUNCEMENT:
                self._feedback.feed(run, ev.Announced(at))
            case cmd.Timer.LISTEN:
                machine = run.machine
                packets = self._sip.heard(machine.transferee) - run.heard
                heard = packets >= HEARD_PACKETS
                self._feedback.feed(run, ev.Listened(at, machine.target, heard, self._feedback.following(run)))

    def _dial(self, run: Run, target: LegId, destination: Destination) -> None:
        call = run.call
        if call is None:
            raise RuntimeError("a transfer is dialled for a call")
        pbx = Peer(call.number.pbx, PeerKind.PBX)
        context = tuple(run.record.context.items())
        shown = call.parties.get(run.machine.transferee) or Party(None)
        order = DialOrder(
            leg=target,
            peer=pbx,
            user=destination.extension,
            caller=shown.user,
            caller_name=shown.name,
            headers=((TRANSFER_HEADER, run.record.transfer), *context),
            private=shown.private,
            diverted=() if shown.diverted is None else (call.number.number, *shown.diverted),
            max_forwards=call.max_forwards,
            beside=run.machine.transferee,
        )
        run.dialled_at = self._loop.time()
        try:
            self._sip.dial(order)
        except NoRoomError as error:
            log.error("dial-failed", transfer=run.record.transfer, destination=destination.id, error=str(error))
            self._loop.call_soon(partial(self._feedback.leg_ended, target, 503, Reason.AT_CAPACITY))
        except OSError as error:
            log.error("dial-failed", transfer=run.record.transfer, destination=destination.id, error=str(error))
            self._loop.call_soon(partial(self._feedback.leg_ended, target, 502))
        self._runs.take_part(run, "target", target, pbx, self._sip.call_id(target))
        announcement = destination.announcement
        meanwhile = announcement if announcement and not announcement.before else None
        self._sip.wait(run.machine.transferee, target, meanwhile)

    def _hand_down(self, run: Run, target: LegId, transferee: LegId, destination: Destination) -> None:
        referred_by = [(name, value) for name, value in run.record.context.items() if name.lower() == "referred-by"]
        self._runs.hand_down(run, target)
        run.dialled_at = self._loop.time()
        try:
            self._sip.hand_down(
                HandDownOrder(transferee, destination.extension, run.record.transfer, tuple(referred_by))
            )
        except OSError as error:
            log.error("hand-down-failed", transfer=run.record.transfer, destination=destination.id, error=str(error))
            self._loop.call_soon(partial(self._feedback.hand_down_told, transferee, 502, accepted=False))

    def progressed(self, run: Run) -> None:
        """The PBX has said something of what was dialled last."""
        if run.dialled_at is not None:
            self._observer.target_setup(self._loop.time() - run.dialled_at)
            run.dialled_at = None

    def _switch(self, run: Run, transferee: LegId, target: LegId) -> None:
        at = run.now()
        call = run.call
        if call is None or transferee not in call.legs or not self._sip.join(transferee, target):
            run.events.append(ev.SwitchFailed(at, target, self._feedback.following(run)))
            return
        pbx = Peer(call.number.pbx, PeerKind.PBX)
        for leg in list(call.legs):
            if leg != transferee:
                self._calls.leave(call, leg)
        before = self._calls.of(target)
        reached = run.machine.destination
        party = self._sip.asserted(target).party(reached.extension) if reached else None
        if before is not None:
            party = before.parties.get(target)
            before.up = False
            self._calls.leave(before, target)
        self._calls.join(call, target, run.legs[target] or pbx, self._sip.call_id(target), party)
        call.up = True
        call.destination = run.record.destination
        call.connected_at = call.now()
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
        if not self._sip.join(transferee, transferor):
            # Nobody is to be left in silence.
            for leg in (transferee, transferor):
                self._sip.hang_up(leg, 500, Reason.GATEWAY_ERROR)
