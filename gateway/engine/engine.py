# SPDX-License-Identifier: GPL-2.0-or-later
"""The way in: what the user agent, the PBXs and the operators say becomes an event of a call, or a new call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import structlog

from gateway.core.call import events as ev
from gateway.core.call import machine
from gateway.core.call.state import Running
from gateway.core.caller import Asserted
from gateway.core.media_way import Decision
from gateway.core.model import AnsweredBy, Elsewhere, LegId, PbxState, Peer, PeerKind
from gateway.core.open_call import OpenCall, OpenLeg
from gateway.core.outcome import CallEnd, Reason, reason_for_cause
from gateway.core.record import CallRecord, Milestone, TransferRecord
from gateway.core.transfer.commands import Timer
from gateway.engine.admission import Admission
from gateway.engine.call_book import CallBook
from gateway.engine.drain import Drain
from gateway.engine.guards import GuardedReports, GuardedSip
from gateway.engine.idempotency import Idempotency
from gateway.engine.keeping import Keeper
from gateway.engine.loop import Loop
from gateway.engine.probes import Probes
from gateway.engine.registry import Calls
from gateway.engine.surroundings import Surroundings, Uploads
from gateway.ports import (
    Author,
    CallStore,
    Clock,
    IncomingCall,
    NotAllowedError,
    Observer,
    PbxSource,
    ProbeResult,
    ReferHandle,
    ReferRequest,
    Reporter,
    SipPort,
    TooLateError,
)

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.call.state import Call
    from gateway.core.gate import Situation
    from gateway.core.kept_call import KeptCall

log = structlog.get_logger(__name__)


class Engine:
    """Implements ports.SipListener and ports.PbxListener; `attach` and `sources` come before the first event."""

    def __init__(self, config: Config, reporter: Reporter, observer: Observer, clock: Clock) -> None:
        self._reporter = cast("Reporter", GuardedReports(reporter))
        self._observer = cast("Observer", GuardedReports(observer))
        self._clock = clock
        self._surroundings = Surroundings(config, clock, Drain(clock))
        self._idempotency = Idempotency()
        self.book = CallBook(clock)
        self._noted = cast("CallBook", GuardedReports(self.book))
        self.calls = Calls(self._noted)

    def attach(self, sip: SipPort, store: CallStore | None = None) -> None:
        """Name the user agent that carries out what is decided here; `store`: where calls are written down."""
        self._sip = GuardedSip(sip, self, self._clock)
        self._loop = Loop(self._sip, self.calls, self._reporter, self._observer, self._surroundings)
        if store is not None:
            self._loop.keeper = Keeper(store, self._sip, self._reporter, self._observer, self._surroundings)
        self._admission = Admission(self._loop, self._sip, self._observer, self._surroundings)
        self._probes = Probes(self._sip, self._clock)

    def beside(self, elsewhere: Callable[[], Elsewhere]) -> None:
        """Name what tells how much the other gateways of the cluster carry."""
        self._surroundings.elsewhere = elsewhere

    def take_up(self, left: Sequence[KeptCall]) -> None:
        """Take up the calls that a process has left which ended without warning; before anything is received."""
        if self._loop.keeper is not None:
            self._loop.keeper.take_up(left, self._loop)

    def take_uploads(self, uploads: Uploads) -> None:
        """Name what has the sounds that are uploaded for single transfers."""
        self._surroundings.uploads = uploads

    def reconfigure(self, config: Config) -> None:
        """Decide by a new configuration from now on, in running calls too; a running transfer goes on as it began."""
        self._surroundings.config = config
        for call in self.calls:
            number = config.routes.number(call.number.id)
            if number is not None:
                self._loop.feed(call.id, ev.Reconfigured(self._clock.now(), number))

    # --- what is known

    @property
    def sources(self) -> Mapping[str, PbxSource]:
        """What tells the state of each PBX."""
        return self._surroundings.sources

    @sources.setter
    def sources(self, sources: Mapping[str, PbxSource]) -> None:
        self._surroundings.sources = sources

    @property
    def draining(self) -> bool:
        """Whether no new calls are taken."""
        return self._surroundings.drain.begun

    @property
    def transfers(self) -> list[Running]:
        """The transfers under way."""
        return [running for _, running in self.calls.running]

    @property
    def _config(self) -> Config:
        return self._surroundings.config

    # --- ports.SipListener: calls

    def admit(self, peer: Peer) -> Reason | None:
        """Whether a further call of this peer can be taken now."""
        return self._admission.admit(peer)

    def inquire(self, peer: Peer, called: tuple[str, ...], calling: tuple[str, ...]) -> Reason | None:
        """Why an INVITE would be refused now, if it would (RFC 3261 §11.2); nothing comes of asking."""
        return self._admission.inquire(peer, called, calling)

    def incoming_call(self, incoming: IncomingCall) -> None:
        """A peer calls: to the assistant (from the PBX), to a destination (from the trunk), or in place of a leg."""
        try:
            self._admission.take(incoming)
        except Exception as error:
            log.exception("arrival-failed", leg=incoming.leg, call_id=incoming.call_id)
            self.leg_failed(incoming.leg, f"the call could not be taken: {type(error).__name__}")

    # --- ports.SipListener: legs

    def leg_progress(self, leg: LegId, code: int) -> None:
        """A dialled leg rings."""
        self._probes.progress(leg)
        self._progressed(leg)
        self._tell(leg, partial(ev.LegProgress, leg=leg, code=code))

    def leg_early_media(self, leg: LegId) -> None:
        """A dialled leg has media before its answer."""
        self._tell(leg, partial(ev.LegEarlyMedia, leg=leg))

    def leg_answered(self, leg: LegId) -> None:
        """A leg is established."""
        self._probes.answered_or_ended(leg, 200)
        self._progressed(leg)
        self._tell(leg, partial(ev.LegAnswered, leg=leg))

    def leg_pressed(self, leg: LegId, key: str) -> None:
        """Who was whispered to has pressed a key."""
        self._tell(leg, partial(ev.LegPressed, leg=leg, key=key))

    def leg_connected(self, leg: LegId, asserted: Asserted) -> None:
        """Somebody else is at the end of a leg now, or is known by more: whoever is dialled next is shown that."""
        call = self.calls.of(leg)
        party = call.parties.get(leg) if call else None
        if call is None or party is None:
            return
        if call.legs[leg].peer.kind is PeerKind.TRUNK and party.diverted is None:
            return  # an assistant is shown by its number alone
        party = party.then(asserted, self._config.gateway.default_country)
        self._loop.feed(call.id, ev.PartyChanged(self._clock.now(), leg, party))

    def leg_renewed(self, leg: LegId) -> None:
        """See ports.SipListener."""
        call = self.calls.of(leg)
        if call is not None and self._loop.keeper is not None:
            self._loop.keeper.renewed(call)

    def leg_ended(self, leg: LegId, code: int, by_peer: bool, why: CallEnd = CallEnd.HUNG_UP) -> None:
        """A leg is over."""
        self._probes.answered_or_ended(leg, code)
        self._tell(leg, partial(ev.LegEnded, leg=leg, code=code, by_peer=by_peer, why=why))

    def leg_failed(self, leg: LegId, text: str) -> None:
        """A leg that waits for its answer cannot be given one: it is over, and that is no doing of its peer."""
        if not self.calls.involving(leg):
            self._sip.hang_up(leg, 500, Reason.GATEWAY_ERROR)
        self._tell(leg, partial(ev.LegFailed, leg=leg, text=text))

    def note_fault(self, leg: LegId, text: str) -> None:
        """Something could not be done with a leg."""
        for call in self.calls.involving(leg):
            self.calls.put(machine.note_fault(call, leg, text))

    def hand_down_told(self, leg: LegId, code: int, accepted: bool) -> None:
        """The PBX tells how a transfer goes that it carries out."""
        self._progressed(leg)
        self._tell(leg, partial(ev.HandDownTold, leg=leg, code=code, accepted=accepted))

    def notify_failed(self, handle: ReferHandle) -> None:
        """Who sent this REFER takes no more NOTIFYs of it; the next REFER has its own (RFC 3515 §2.4.6)."""
        for call, running in self.calls.running:
            if self._loop.executor.running_transfers[running.id].handle is handle:
                self._loop.feed(call.id, ev.NotifyFailed(self._clock.now(), running.id))
                return

    def _tell(self, leg: LegId, event: Callable[..., ev.Event]) -> None:
        now = self._clock.now()
        for call in self.calls.involving(leg):
            self._loop.feed(call.id, event(now))

    def _progressed(self, leg: LegId) -> None:
        running = self.calls.transferring(leg)
        if running is not None:
            self._loop.executor.progressed(running.id)

    # --- ports.SipListener: what is counted

    def request_rejected(self, reason: Reason) -> None:
        """A request was answered without anything being made of it."""
        self._observer.request_rejected(reason)

    def requests_rejected(self, reason: Reason, count: int) -> None:
        """So many were."""
        self._observer.request_rejected(reason, count)

    def media_dropped(self, kind: str, packets: int) -> None:
        """Packets came from elsewhere than a call's peer."""
        self._observer.media_dropped(kind, packets)

    def media_way_changed(self, leg: LegId, before: Decision | None, now: Decision | None) -> None:
        """See ports.SipListener."""
        self._observer.media_way(before, now)
        if now is not None and (call := next(iter(self.calls.involving(leg)), None)) is not None:
            self._noted.note_way(call, leg, now)

    def trunk_changed(self, trunk: str, up: bool) -> None:
        """A trunk was found to answer, or not to."""
        self._observer.trunk_up(trunk, up)

    # --- transfers

    def refer(self, request: ReferRequest) -> None:
        """A REFER in the dialog of one of our legs; its handle is answered when this returns."""
        started = self._clock.now().steady
        call = self.calls.of(request.leg)
        consulted = self.calls.of(request.consultation) if request.consultation else None
        former = next(iter(self.calls.involving(request.leg)), None)
        judged = self._loop.desk().refer(call, request, consulted, former)
        begun = self._loop.begin(call, judged, request.handle)
        self._observer.refer_answered(self._clock.now().steady - started, begun.transfer)

    def transfer_call(
        self,
        call_id: str,
        destination: str,
        message: str | None = None,
        command_id: str | None = None,
        author: Author | None = None,
        whisper: str | None = None,
    ) -> TransferRecord:
        """See ports.Operations."""

        def transfer() -> TransferRecord:
            call = self.calls.get(call_id)
            if call is None:
                raise LookupError(f"there is no call {call_id}")
            _allow(author, call.number.id)
            judged = self._loop.desk().command(call, destination, message, _name_of(author), whisper)
            return self._loop.begin(call, judged)

        return self._idempotency("transfer", _own(command_id, author), transfer)

    def call_back(
        self, which: str, destination: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        """See ports.Operations."""

        def call_back() -> TransferRecord:
            who = self._loop.last_callers.find(which)
            if who is None:
                raise LookupError(f"there is no call {which}, and was none lately")
            _allow(author, who.number.id)
            return self._loop.call_back(self._loop.call_backs.ask(who, destination, _name_of(author)))

        return self._idempotency("callback", _own(command_id, author), call_back)

    def keep_call_backs(self, promised: Sequence[TransferRecord]) -> None:
        """Go on with what was promised before the gateway stood still."""
        for record in promised:
            begun = self._loop.call_backs.keep(record)
            if begun is not None:
                self._loop.call_back(begun)
                continue
            reason = Reason.CANCELLED
            ended = replace(
                record, outcome=reason.outcome, reason=reason, sip_code=reason.sip_code,
                ended_at=self._clock.now().wall,
                trail=(*record.trail, "call back: its number or its caller is not known any more"),
            )  # fmt: skip
            self._observer.transfer_ended(ended)
            self._reporter.transfer(Milestone.ENDED, ended)

    def forget_caller(self, caller: str) -> None:
        """Call this caller back no more."""
        self._loop.last_callers.forget(caller)
        for transfer in self._loop.call_backs.of_caller(caller):
            if found := self.calls.transfer(transfer):
                self._loop.feed(found[0].id, ev.Cancelled(self._clock.now(), transfer))

    def cancel_transfer(
        self, which: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        """See ports.Operations."""
        return self._idempotency("cancel", _own(command_id, author), partial(self._cancel, which, author))

    def hang_up_call(self, call_id: str, command_id: str | None = None, author: Author | None = None) -> CallRecord:
        """See ports.Operations."""

        def hang_up() -> CallRecord:
            call = self.calls.get(call_id)
            if call is None:
                raise LookupError(f"there is no call {call_id}")
            _allow(author, call.number.id)
            now = self._clock.now()
            self._loop.feed(call_id, ev.EndWanted(now, _name_of(author) or ""))
            return call.record(now, "gateway", CallEnd.BY_COMMAND)

        return self._idempotency("hangup", _own(command_id, author), hang_up)

    def _cancel(self, which: str, author: Author | None) -> TransferRecord:
        """Raises LookupError, TooLateError or NotAllowedError; see ports.Operations."""
        found = self.calls.transfer(which)
        call = self.calls.get(which)
        if found is None and call is not None and call.newest is not None:
            found = call, call.newest
        if found is None:
            self._too_late(which, author)
            raise LookupError(f"no transfer {which} is under way")
        call, running = found
        _allow(author, call.number.id)
        if not running.machine.can_be_cancelled:
            raise TooLateError(f"transfer {running.id} is {running.machine.state} and can't be cancelled any more")
        run = self._loop.executor.running_transfers[running.id]
        self._loop.feed(call.id, ev.Cancelled(self._clock.now(), running.id, _name_of(author) or ""))
        return run.record

    def _too_late(self, which: str, author: Author | None) -> None:
        """Raises TooLateError where the caller is with the target by now, NotAllowedError where that is not theirs."""
        put_through = (call for call in self.calls if call.destination and which in (call.id, call.transfer))
        if (call := next(put_through, None)) is not None:
            _allow(author, call.number.id)
            raise TooLateError(f"transfer {call.transfer} is over: the caller has been put through")

    # --- ports.PbxListener

    def pbx_changed(self, state: PbxState) -> None:
        """A snapshot was replaced."""
        if state.proven_at is None:
            for call, running in self.calls.running:
                if state.pbx in running.machine.manner.names_humans:
                    self._loop.feed(call.id, ev.HumansUnknown(self._clock.now(), state.pbx))
        self._observer.pbx_state(state)
        self._reporter.queue_snapshot(state)

    def agent_connected(self, pbx: str, sip_call_id: str, agent: str, at: datetime) -> None:
        """An agent of a queue took a call."""
        self.call_answered(pbx, sip_call_id, AnsweredBy.AGENT, agent, at)

    def call_answered(self, pbx: str, sip_call_id: str, by: AnsweredBy | None, name: str, at: datetime) -> None:
        """See ports.PbxListener."""
        agent = name if self._config.gateway.report_agents else ""
        who = "nobody yet: it looks for a person" if by is None else f"{by.value}{f', {agent}' if agent else ''}"
        self._noted.note_pbx(sip_call_id, at, f"{pbx}: answered by {who}")
        found = self.calls.target(sip_call_id)
        if found is None:
            return
        call, running, target = found
        now = self._clock.now()
        if by is not None and by.is_person:
            self._loop.feed(call.id, ev.HumanAnswered(now, running.id, target, at, by, agent))
        else:
            self._loop.feed(call.id, ev.Identified(now, running.id, target, by, name))

    def answerer_unknown(self, pbx: str, sip_call_id: str) -> None:
        """See ports.PbxListener."""
        if found := self.calls.target(sip_call_id):
            call, running, _ = found
            self._loop.feed(call.id, ev.TimerFired(self._clock.now(), running.id, Timer.WHO))

    def caller_queued(self, pbx: str, sip_call_id: str, queue: str, place: int, at: datetime) -> None:
        """A call waits in a queue."""
        self._noted.note_pbx(sip_call_id, at, f"{pbx}: waits in queue {queue}, at place {place}")

    def caller_lost(self, pbx: str, transfer: str, cause: int, at: datetime) -> None:
        """A caller whom the PBX had taken over is gone."""
        if found := self.calls.transfer(transfer):
            call, running = found
            self._loop.feed(call.id, ev.CallerLost(self._clock.now(), running.id, reason_for_cause(cause), at))

    # --- the end

    def drain(self, patience_s: float, done: Callable[[], object], *, leaves_calls: bool = False) -> None:
        """Take no new calls, wait for the running ones, and then give every transfer its outcome; calls `done`.

        `leaves_calls`: those that another process can take up are not waited for; `leave` tells then which they are.
        """
        keeper = self._loop.keeper if leaves_calls else None

        def stop(in_time: bool) -> None:
            if not in_time:
                left = {call.id for call in keeper.left(self.calls)} if keeper is not None else set()
                log.warning("drain-timeout", calls=[call.id for call in self.calls if call.id not in left])
            for call, running in self.calls.running:
                self._loop.feed(call.id, ev.Stop(self._clock.now(), running.id))
            done()

        if self.calls:
            log.info("draining", calls=len(self.calls), transfers=len(self.transfers), patience_s=patience_s)
        awaited = None if keeper is None else lambda: keeper.waits_for(self.calls)
        self._surroundings.drain.begin(patience_s, stop, awaited)

    def leave_none(self) -> None:
        """Drain all calls after all: no other process goes on."""
        self._surroundings.drain.leave_none()

    @property
    def leaves_calls(self) -> bool:
        """Whether the gateway drains, and leaves to another process the calls that this can take up."""
        return self._surroundings.drain.leaves_calls

    @property
    def left(self) -> list[LegId]:
        """The legs of calls that another process can take up as they are."""
        keeper = self._loop.keeper
        return [leg for call in keeper.left(self.calls) for leg in call.legs] if keeper is not None else []

    def leave(self) -> int:
        """Write down once more the calls that another process is to take up, as they are now; how many."""
        keeper = self._loop.keeper
        return len(keeper.leave(self.calls)) if keeper is not None else 0

    # --- for the web server and the command

    def call_records(self) -> list[CallRecord]:
        """The calls under way, newest first."""
        return sorted((call.record() for call in self.calls), key=lambda record: record.call, reverse=True)

    def open_calls(self) -> dict[str, OpenCall]:
        """How each call under way is, by its id."""
        now = self._clock.now().steady
        return {call.id: self._open_call(call, now) for call in self.calls}

    def _open_call(self, call: Call, now: float) -> OpenCall:
        ways = (self._sip.media_way(leg) for leg in call.legs)
        return OpenCall(
            state=call.state,
            duration_s=now - call.began.steady,
            way=next((way for way in ways if way is not None), None),
            legs=tuple(
                OpenLeg(leg.peer.kind.value, leg.peer.name, leg.call_id, self._sip.condition(leg.id))
                for leg in call.legs.values()
            ),
        )

    def explain(self, text: str, number: str, at: datetime | None) -> dict[str, Any]:
        """What the gate would say, now or at another time. Raises LookupError for an unknown number."""
        return self._surroundings.explain(text, number, at, self._loop.situation())

    def situation(self) -> Situation:
        """What the gate looks at, now."""
        return self._loop.situation()

    def availability(self, number: str, destination: str | None = None) -> dict[str, object]:
        """See ports.Operations."""
        return self._surroundings.availability(number, destination, self._loop.situation())

    def assistant(self, number: str) -> Mapping[str, object] | None:
        """See ports.Operations."""
        return self._surroundings.assistant(number, self._loop.situation())

    def probe_call(self, number: str, destination: str, done: Callable[[ProbeResult], object]) -> None:
        """Call a destination for a moment. Raises LookupError when there is no such number or destination."""
        assigned = self._config.routes.number(number)
        if assigned is None:
            raise LookupError(f"{number} is no assigned number")
        found = assigned.destinations.get(destination)
        if found is None:
            raise LookupError(f"{assigned.id} has no destination {destination}")
        self._probes.call(assigned, found, self._config.probe_announcement, done)


def _allow(author: Author | None, number: str) -> None:
    """Raises NotAllowedError where the calls of this number are not the author's to command."""
    if author is not None and not author.may_command(number):
        raise NotAllowedError(f"{author.name} may not command calls of {number}")


def _name_of(author: Author | None) -> str | None:
    return author.name if author is not None else None


def _own(command_id: str | None, author: Author | None) -> str | None:
    """The id by which a command is known. Who may not command everything learns nothing of others' commands."""
    if command_id is None or author is None or author.numbers is None:
        return command_id
    return f"{author.name}/{command_id}"
