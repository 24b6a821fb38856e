# SPDX-License-Identifier: GPL-2.0-or-later
"""What calls are made of and what happens to them: the three kinds of call, the transfer requests, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import structlog

from gateway.core import gate
from gateway.core.caller import Asserted
from gateway.core.model import LegId, Load, PbxState, Peer, PeerKind
from gateway.core.outcome import CallEnd, Reason, passed_on, reason_for_failure
from gateway.core.record import CallRecord, TransferRecord
from gateway.core.state_sources import Ability
from gateway.engine.arrivals import Arrivals
from gateway.engine.calls import Call, Calls
from gateway.engine.once import Once
from gateway.engine.probes import Probes
from gateway.engine.requests import Requests
from gateway.engine.surely import Onlooker, Surely
from gateway.engine.transfers import Transfers
from gateway.ports import (
    IncomingCall,
    Observer,
    PbxSource,
    ProbeResult,
    ReferRequest,
    Reporter,
    SipPort,
)

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger(__name__)

RINGING = 180  # RFC 3261 §21.1.2


def utc_now() -> datetime:
    """The moment, aware."""
    return datetime.now(UTC)


class Engine:
    """Implements ports.SipListener and ports.PbxListener; `sip` and `sources` are set before the first event."""

    def __init__(
        self, config: Config, reporter: Reporter, observer: Observer, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._config = config
        self._reporter = cast("Reporter", Onlooker(reporter))
        self._observer = cast("Observer", Onlooker(observer))
        self._clock = clock
        self._calls = Calls()
        self._once = Once()
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.sources: Mapping[str, PbxSource] = {}

    def attach(self, sip: SipPort) -> None:
        """Name the user agent that carries out what is decided here."""
        self._sip = sip = Surely(sip, self)
        self._transfers = Transfers(sip, self._calls, self._reporter, self._observer, situation=self.situation)
        self._probes = Probes(sip)
        self._requests = Requests(
            self._calls,
            self._transfers,
            self._observer,
            config=lambda: self._config,
            clock=self._clock,
            situation=self.situation,
            names_humans=self._names_humans,
        )
        self._arrivals = Arrivals(
            sip,
            self._calls,
            self._transfers,
            self._requests,
            self._observer,
            config=lambda: self._config,
            clock=self._clock,
            add=self._add,
        )

    def _names_humans(self, pbx: str) -> bool:
        source = self.sources.get(pbx)
        if source is None or source.state.proven_at is None:
            return False
        return source.state.source.tells(Ability.WHO_ANSWERED)

    def reconfigure(self, config: Config) -> None:
        """Decide by a new configuration from now on, in running calls too; a running transfer goes on as it began."""
        self._config = config
        for call in self._calls:
            call.number = config.routes.number(call.number.id) or call.number

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
        exhausted = not self._sip.has_room()
        load = Load(len(self._calls), self._config.sip.max_calls, per_destination, self._draining, exhausted)
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

    def media_dropped(self, kind: str, packets: int) -> None:
        """Packets came from elsewhere than a call's peer."""
        self._observer.media_dropped(kind, packets)

    def requests_rejected(self, reason: Reason, count: int) -> None:
        """So many were."""
        self._observer.request_rejected(reason, count)

    def trunk_changed(self, trunk: str, up: bool) -> None:
        """A trunk was found to answer, or not to."""
        self._observer.trunk_up(trunk, up)

    def inquire(self, peer: Peer, called: tuple[str, ...], calling: tuple[str, ...]) -> Reason | None:
        """Why an INVITE would be refused now, if it would."""
        return self._arrivals.inquire(peer, called, calling)

    def incoming_call(self, incoming: IncomingCall) -> None:
        """A peer calls."""
        try:
            self._arrivals.take(incoming)
        except Exception as error:
            log.exception("arrival-failed", leg=incoming.leg, call_id=incoming.call_id)
            self.leg_failed(incoming.leg, f"the call could not be taken: {type(error).__name__}")

    def leg_progress(self, leg: LegId, code: int) -> None:
        """A dialled leg rings."""
        self._transfers.progress(leg, code)
        self._probes.progress(leg)
        call = self._calls.of(leg)
        if code == RINGING and call is not None and not call.up and (caller := call.other(leg)):
            self._sip.respond(caller, 180)

    def leg_early_media(self, leg: LegId) -> None:
        """A dialled leg has media before its answer; a caller whose own INVITE is not answered yet gets it too."""
        self._transfers.early_media(leg)
        call = self._calls.of(leg)
        if call is not None and not call.up and (caller := call.other(leg)):
            self._sip.respond(caller, 183)

    def leg_answered(self, leg: LegId) -> None:
        """A leg is established; only what we dialled is news."""
        self._transfers.answered(leg)
        self._probes.settled(leg, 200)
        call = self._calls.of(leg)
        if call is None or call.up or leg.startswith("in-"):
            return
        caller = call.other(leg)
        if caller is None or self._transfers.of_call(call):
            return
        self._sip.respond(caller, 200)
        call.up = caller in call.legs and self._sip.join(caller, leg)
        call.connected_at = call.now()
        if not call.up:
            # Nobody is to be left in silence.
            for each in (caller, leg):
                self._sip.hang_up(each, 500, Reason.GATEWAY_ERROR)

    def leg_connected(self, leg: LegId, asserted: Asserted) -> None:
        """Somebody else is at the end of a leg now, or is known by more: whoever is dialled next is shown that."""
        call = self._calls.of(leg)
        party = call.parties.get(leg) if call else None
        if call is None or party is None:
            return
        if call.legs[leg].kind is PeerKind.TRUNK and party.diverted is None:
            return  # an assistant is shown by its number alone
        call.parties[leg] = party.then(asserted, self._config.gateway.default_country)

    def leg_ended(self, leg: LegId, code: int, by_peer: bool, why: CallEnd = CallEnd.HUNG_UP) -> None:
        """A leg is over: its transfer learns of it first, then what is left of its call is taken care of."""
        call = self._calls.of(leg)
        run = self._transfers.of_call(call) if call else None
        self._transfers.leg_ended(leg, code)
        self._probes.settled(leg, code)
        if call is None or leg not in call.legs:
            return
        ended = call.record(call.now(), call.legs[leg].kind.value if by_peer else "gateway", why)
        self._calls.leave(call, leg)
        if run is None or not run.holds_transferee:
            self._tear_down(call, ended, code, keep=run.machine.transferor if run else None)
        if not call.legs:
            self._remove(call)

    def leg_failed(self, leg: LegId, text: str) -> None:
        """A leg that waits for its answer cannot be given one: it is over, and that is no doing of its peer."""
        self._transfers.lose_through_us(leg, text)
        self._sip.hang_up(leg, 500, Reason.GATEWAY_ERROR)
        self.leg_ended(leg, 500, by_peer=False)

    def note_fault(self, leg: LegId, text: str) -> None:
        """Something could not be done with a leg."""
        self._transfers.note_fault(leg, text)

    def _tear_down(self, call: Call, ended: CallRecord, code: int, keep: LegId | None) -> None:
        """Hang up the other leg of a conversation that is over, and report it; the transferor is its transfer's."""
        conversed, call.up = call.up, False
        reason = reason_for_failure(code) if code >= 300 else Reason.UNREACHABLE
        failed = passed_on(code, reason.sip_code)
        for other in list(call.legs):
            if other == keep:
                continue
            if conversed:
                self._sip.hang_up(other, 200, Reason.ANSWERED)
            else:
                self._sip.hang_up(other, failed, reason)
        if conversed:
            log.info(
                "call-ended", call=call.id, talk_s=ended.talk_s, by=ended.hung_up_by, reason=ended.reason,
                number=ended.number, destination=ended.destination, transfer=ended.transfer,
            )  # fmt: skip
            self._observer.call_ended(ended)
        if conversed and call.destination is not None:
            self._reporter.call_ended(ended)

    def hand_down_told(self, leg: LegId, code: int, accepted: bool) -> None:
        """The PBX tells how a transfer goes that it carries out."""
        self._transfers.hand_down_told(leg, code, accepted=accepted)

    def notify_failed(self, leg: LegId) -> None:
        """The transferor on this leg takes no more NOTIFYs."""
        self._transfers.notify_failed(leg)

    def refer(self, request: ReferRequest) -> None:
        """A REFER in the dialog of one of our legs."""
        self._requests.refer(request)

    def transfer_call(
        self, call_id: str, destination: str, message: str | None = None, command_id: str | None = None
    ) -> TransferRecord:
        """Transfer a running call by command. Raises LookupError for a call that is not there."""
        return self._once("transfer", command_id, lambda: self._requests.command(call_id, destination, message))

    def cancel_transfer(self, which: str, command_id: str | None = None) -> TransferRecord:
        """See ports.Operations."""
        return self._once("cancel", command_id, lambda: self._transfers.cancel(which))

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

    def caller_lost(self, pbx: str, transfer: str, cause: int, at: datetime) -> None:
        """A caller whom the PBX had taken over is gone."""
        self._transfers.lost(transfer, cause, at)

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
        routes = self._config.routes
        now = None if at is None else gate.on_the_clock(at, text, assigned, routes)
        situation = self.situation() if now is None else self._situation_at(now)
        return gate.explain(text, assigned, routes, situation)

    async def probe_call(self, number: str, destination: str) -> ProbeResult:
        """Call a destination for a moment. Raises LookupError when there is no such number or destination."""
        assigned = self._config.routes.number(number)
        if assigned is None:
            raise LookupError(f"{number} is no assigned number")
        found = assigned.destinations.get(destination)
        if found is None:
            raise LookupError(f"{assigned.id} has no destination {destination}")
        return await self._probes.call(assigned, found, self._config.probe_announcement)

    def _situation_at(self, at: datetime) -> gate.Situation:
        """What is known of another time: neither calls nor queues."""
        unknown = "asked for another time"
        states = {name: PbxState(name, unknown_because=unknown) for name in self._config.pbxs}
        return gate.Situation(at, Load(max_calls=self._config.sip.max_calls), states)
