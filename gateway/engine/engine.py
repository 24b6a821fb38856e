# SPDX-License-Identifier: GPL-2.0-or-later
"""What calls are made of and what happens to them: the three kinds of call, the transfer requests, the end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from ulid import ULID

from gateway.core import gate
from gateway.core.model import Decision, Entry, FinalNotify, LegId, Load, PbxState, Peer, PeerKind, TransferId
from gateway.core.numbers import Target, TargetError, parse_target
from gateway.core.outcome import Reason, reason_for_failure
from gateway.core.record import CallRecord, TransferRecord
from gateway.core.transfer import Manner
from gateway.engine.calls import Call, Calls
from gateway.engine.transfers import Transfers
from gateway.ports import DialOrder, IncomingCall, Observer, PbxSource, ReferHandle, ReferRequest, Reporter, SipPort

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger(__name__)

DEADLINE_MARGIN_S = 2.0
"""How long before the transferor stops waiting the final NOTIFY is on its way."""


def utc_now() -> datetime:
    """The moment, aware."""
    return datetime.now(UTC)


class Engine:
    """Implements ports.SipListener and ports.PbxListener; `sip` and `sources` are set before the first event."""

    def __init__(
        self, config: Config, reporter: Reporter, observer: Observer, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._config = config
        self._reporter = reporter
        self._observer = observer
        self._clock = clock
        self._calls = Calls()
        self._numbers = itertools.count(1)
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.sources: Mapping[str, PbxSource] = {}

    def attach(self, sip: SipPort) -> None:
        """Name the user agent that carries out what is decided here."""
        self._sip = sip
        self._transfers = Transfers(
            sip, self._calls, self._reporter, self._observer, clock=self._clock, situation=self.situation
        )

    def reconfigure(self, config: Config) -> None:
        """Decide by a new configuration from now on; running calls keep the number they came by."""
        self._config = config

    # --- what is known

    @property
    def draining(self) -> bool:
        """Whether no new calls are taken."""
        return self._draining

    @property
    def transfers(self) -> Transfers:
        """The transfers under way."""
        return self._transfers

    @property
    def calls(self) -> Calls:
        """The calls under way."""
        return self._calls

    def situation(self) -> gate.Situation:
        """What the gate looks at, now."""
        per_destination = self._calls.per_destination() + self._transfers.per_destination()
        load = Load(len(self._calls), self._config.sip.max_calls, per_destination, self._draining)
        return gate.Situation(self._clock(), load, {name: source.state for name, source in self.sources.items()})

    # --- ports.SipListener

    def admit(self) -> Reason | None:
        """Whether a further call can be taken now."""
        if self._draining or len(self._calls) >= self._config.sip.max_calls:
            return Reason.AT_CAPACITY
        return None

    def request_rejected(self, reason: Reason) -> None:
        """A request was answered without anything being made of it."""
        self._observer.request_rejected(reason)

    def trunk_changed(self, trunk: str, up: bool) -> None:
        """A trunk was found to answer, or not to."""
        self._observer.trunk_up(trunk, up)

    def incoming_call(self, incoming: IncomingCall) -> None:
        """A peer calls: to the assistant (from the PBX), or to a destination (from the trunk)."""
        if incoming.replaces is not None:
            self._take_over(incoming, incoming.replaces)
            return
        country = self._config.gateway.default_country
        called = _target(incoming.called, country)
        calling = [target for uri in incoming.calling if (target := _target(uri, country))]
        assignment = self._config.routes.assign(incoming.peer, called, calling)
        number = assignment.number
        if number is None:
            log.warning("call-refused", peer=incoming.peer.name, why=assignment.line, call_id=incoming.call_id)
            self._observer.request_rejected(Reason.NOT_ASSIGNED)
            self._sip.hang_up(incoming.leg, 404, Reason.NOT_ASSIGNED)
            return
        caller = calling[0] if calling else None
        call = Call(
            id=str(ULID()),
            number=number,
            started_at=self._clock(),
            caller=(caller.e164 or caller.user) if caller else None,
            caller_user=caller.user if caller else None,
            caller_name=incoming.caller_name,
        )
        self._add(call)
        self._calls.join(call, incoming.leg, incoming.peer, incoming.call_id)
        log.info("call-started", call=call.id, number=number.id, peer=incoming.peer.name, caller=call.caller)
        if incoming.peer.kind is PeerKind.TRUNK:
            self._transfer_invite(call, incoming, called, assignment.line)
        elif called is not None and self._config.routes.is_own(number, called):
            self._call_assistant(call, incoming)
        else:
            self._observer.request_rejected(Reason.UNKNOWN_DESTINATION)
            self._sip.hang_up(incoming.leg, 404, Reason.UNKNOWN_DESTINATION)

    def _take_over(self, incoming: IncomingCall, replaced: LegId) -> None:
        """The new leg takes the place of another one of the same peer (RFC 3891); the call goes on."""
        call = self._calls.of(replaced)
        other = call.other(replaced) if call else None
        if call is None or other is None or self._transfers.of_call(call) is not None:
            self._observer.request_rejected(Reason.TRANSFER_PENDING)
            self._sip.hang_up(incoming.leg, 491, Reason.TRANSFER_PENDING)
            return
        log.info("leg-replaced", call=call.id, peer=incoming.peer.name)
        self._calls.leave(call, replaced)
        self._calls.join(call, incoming.leg, incoming.peer, incoming.call_id)
        self._sip.respond(incoming.leg, 200)
        if not call.up:
            self._sip.respond(other, 200)
            call.connected_at = self._clock()
        call.up = self._sip.join(other, incoming.leg)
        self._sip.hang_up(replaced, 487, Reason.ANSWERED)

    def _call_assistant(self, call: Call, incoming: IncomingCall) -> None:
        if not self._config.trunks[call.number.trunk].outbound:
            log.warning("call-refused", call=call.id, why=f"trunk {call.number.trunk} has no outbound")
            self._sip.hang_up(incoming.leg, 404, Reason.NOT_ASSIGNED)
            return
        leg = LegId(f"out-{next(self._numbers)}")
        trunk = Peer(call.number.trunk, PeerKind.TRUNK)
        headers = tuple(incoming.context.items())
        order = DialOrder(leg, trunk, call.number.number, call.caller_user, call.caller_name, headers)
        try:
            self._sip.dial(order)
        except OSError as error:
            log.error("dial-failed", call=call.id, peer=trunk.name, error=str(error))
            self._sip.hang_up(incoming.leg, 502, Reason.UNREACHABLE)
            return
        self._calls.join(call, leg, trunk, self._sip.call_id(leg))

    def leg_progress(self, leg: LegId, code: int) -> None:
        """A dialled leg rings."""
        self._transfers.progress(leg, code)
        call = self._calls.of(leg)
        if call is not None and not call.up and (caller := call.other(leg)):
            self._sip.respond(caller, 180)

    def leg_answered(self, leg: LegId) -> None:
        """A leg is established; only what we dialled is news."""
        self._transfers.answered(leg)
        call = self._calls.of(leg)
        if call is None or call.up or leg.startswith("in-"):
            return
        caller = call.other(leg)
        if caller is None or self._transfers.of_call(call):
            return
        self._sip.respond(caller, 200)
        call.up = self._sip.join(caller, leg)
        call.connected_at = self._clock()

    def leg_ended(self, leg: LegId, code: int, by_peer: bool) -> None:
        """A leg is over: its transfer learns of it first, then what is left of its call is taken care of."""
        call = self._calls.of(leg)
        run = self._transfers.of_call(call) if call else None
        self._transfers.leg_ended(leg, code)
        if call is None or leg not in call.legs:
            return
        ended = call.record(self._clock(), call.legs[leg].kind.value if by_peer else "gateway")
        self._calls.leave(call, leg)
        if run is None or not run.holds_transferee:
            self._tear_down(call, ended, code, keep=run.machine.transferor if run else None)
        if not call.legs:
            self._remove(call)

    def _tear_down(self, call: Call, ended: CallRecord, code: int, keep: LegId | None) -> None:
        """Report a conversation that is over, and hang up its other leg; the transferor belongs to its transfer."""
        conversed, call.up = call.up, False
        if conversed:
            log.info("call-ended", call=call.id, talk_s=ended.talk_s, by=ended.hung_up_by, transfer=call.transfer)
        if conversed and call.destination is not None:
            self._reporter.call_ended(ended)
        failed = code if code >= 300 else 480
        for other in list(call.legs):
            if other == keep:
                continue
            if conversed:
                self._sip.hang_up(other, 200, Reason.ANSWERED)
            else:
                self._sip.hang_up(other, failed, reason_for_failure(failed))

    def notify_failed(self, leg: LegId) -> None:
        """The transferor on this leg takes no more NOTIFYs."""
        self._transfers.notify_failed(leg)

    # --- transfer requests

    def refer(self, request: ReferRequest) -> None:
        """A REFER in the dialog of one of our legs."""
        started = asyncio.get_running_loop().time()
        trunk = self._config.trunks.get(request.peer.name)
        deadline = timedelta(seconds=max(trunk.deadline_s - DEADLINE_MARGIN_S, 1)) if trunk else None
        manner = Manner(
            notify=request.subscribe,
            final_notify=trunk.final_notify if trunk else FinalNotify.ON_ANSWER,
            refuse_in_notify=trunk is not None and trunk.refusal == "notify",
            deadline=deadline,
        )
        self._request(
            self._calls.of(request.leg),
            request.leg,
            Entry.REFER,
            request.target,
            manner=manner,
            context=request.context,
            problem=(request.problem, request.problem_text) if request.problem else None,
            handle=request.handle,
            consultation=request.consultation,
        )
        self._observer.refer_answered(asyncio.get_running_loop().time() - started)

    def transfer_call(self, call_id: str, destination: str, message: str | None = None) -> TransferRecord:
        """Transfer a running call by command. Raises LookupError for a call that is not there."""
        call = self._calls.get(call_id)
        if call is None:
            raise LookupError(f"there is no call {call_id}")
        transferor = call.leg_at(PeerKind.TRUNK) or next(iter(call.legs))
        return self._request(call, transferor, Entry.COMMAND, destination, manner=Manner(notify=False))

    def _request(
        self,
        call: Call | None,
        transferor: LegId,
        entry: Entry,
        text: str,
        *,
        manner: Manner,
        context: Mapping[str, str] | None = None,
        problem: tuple[Reason, str] | None = None,
        handle: ReferHandle | None = None,
        consultation: LegId | None = None,
    ) -> TransferRecord:
        transferee = call.other(transferor) if call and call.up else None
        target: Target | None = None
        try:
            target = parse_target(text, self._config.gateway.default_country)
        except TargetError as error:
            problem = problem or (error.reason, f"target: {error}")
        if call is not None and (pending := self._transfers.of_call(call)) and pending.holds_transferee:
            problem = (Reason.TRANSFER_PENDING, f"transfer {pending.record.transfer} is still under way")
        elif transferee is None and problem is None:
            problem = (Reason.NOT_BRIDGED, "the call has nobody to transfer")
        record = self._record(call, entry, target.user if target else text[:128], context)
        if call is None or target is None or transferee is None or problem is not None:
            reason, why = problem or (Reason.NOT_BRIDGED, "")
            decision = Decision(False, reason, None, (why,))
            asked = None
        else:
            request = gate.Request(target, call.number, call.legs.get(transferor), entry)
            decision = gate.decide(request, self._config.routes, self.situation())
            asked = self._config.routes.destination(call.number, target)
            self._observer.gate_decision(asked.id if asked else None, decision.accepted, decision.reason)
        manner = replace(manner, names_humans=self._names_humans(call))
        return self._transfers.begin(
            record,
            decision,
            call=call,
            transferee=transferee or transferor,
            transferor=transferor,
            manner=manner,
            asked=asked,
            handle=handle,
        )

    def _transfer_invite(self, call: Call, incoming: IncomingCall, called: Target | None, line: str) -> None:
        record = self._record(call, Entry.INVITE, called.user if called else "", incoming.context)
        asked = self._config.routes.destination(call.number, called) if called else None
        if called is None:
            decision = Decision(False, Reason.BAD_REQUEST, None, ("the request URI cannot be called",))
        else:
            request = gate.Request(called, call.number, incoming.peer, Entry.INVITE, line)
            situation = self.situation()
            # The call that asks is in the registry already; the gate counts what was there before it.
            load = replace(situation.load, calls=situation.load.calls - 1)
            decision = gate.decide(request, self._config.routes, replace(situation, load=load))
            self._observer.gate_decision(asked.id if asked else None, decision.accepted, decision.reason)
        manner = Manner(notify=False, names_humans=self._names_humans(call))
        self._transfers.begin(
            record, decision, call=call, transferee=incoming.leg, transferor=None, manner=manner, asked=asked
        )

    def _record(
        self, call: Call | None, entry: Entry, target: str, context: Mapping[str, str] | None
    ) -> TransferRecord:
        number = call.number if call else None
        return TransferRecord(
            transfer=TransferId(str(ULID())),
            entry=entry,
            requested_target=target,
            requested_at=self._clock(),
            number=number.id if number else None,
            trunk=number.trunk if number else None,
            pbx=number.pbx if number else None,
            caller=call.caller if call else None,
            context=dict(context or {}),
        )

    def _names_humans(self, call: Call | None) -> bool:
        source = self.sources.get(call.number.pbx) if call else None
        return source is not None and source.state.source == "ami"

    # --- ports.PbxListener

    def pbx_changed(self, state: PbxState) -> None:
        """A snapshot was replaced."""
        if state.proven_at is None:
            self._transfers.humans_unknown(state.pbx)
        self._observer.pbx_state(state)
        self._reporter.queue_snapshot(state)

    def agent_connected(self, pbx: str, sip_call_id: str, agent: str, at: datetime) -> None:
        """A human took a call."""
        self._transfers.human(sip_call_id, at)

    # --- the end

    async def drain(self, patience_s: float) -> None:
        """Take no new calls, wait for the running ones, and then give every transfer its outcome."""
        self._draining = True
        if self._calls:
            log.info("draining", calls=len(self._calls), transfers=len(self._transfers), patience_s=patience_s)
        try:
            await asyncio.wait_for(self._idle.wait(), patience_s)
        except TimeoutError:
            log.warning("drain-timeout", calls=[call.id for call in self._calls])
        self._transfers.stop()

    def _add(self, call: Call) -> None:
        self._calls.add(call)
        self._idle.clear()
        self._observer.calls_in_progress(len(self._calls))

    def _remove(self, call: Call) -> None:
        self._calls.remove(call)
        if not len(self._calls):
            self._idle.set()
        self._observer.calls_in_progress(len(self._calls))

    # --- for the web server and the command

    def call_records(self) -> list[CallRecord]:
        """The calls under way, newest first."""
        return sorted((call.record() for call in self._calls), key=lambda record: record.call, reverse=True)

    def explain(self, text: str, number: str, at: datetime | None) -> dict[str, Any]:
        """What the gate would say, now or at another time. Raises LookupError for an unknown number."""
        assigned = self._config.routes.number(number)
        if assigned is None:
            raise LookupError(f"{number} is no assigned number")
        situation = self.situation() if at is None else self._situation_at(at)
        return gate.explain(text, assigned, self._config.routes, situation)

    def _situation_at(self, at: datetime) -> gate.Situation:
        """What is known of another time: neither calls nor queues."""
        unknown = "asked for another time"
        states = {name: PbxState(name, unknown_because=unknown) for name in self._config.pbxs}
        return gate.Situation(at, Load(max_calls=self._config.sip.max_calls), states)


def _target(text: str, country: str | None) -> Target | None:
    try:
        return parse_target(text, country)
    except TargetError:
        return None
