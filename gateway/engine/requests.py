# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer requests, judged: REFER, fresh INVITE and command, each by the one gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ulid import ULID

from gateway.core import gate
from gateway.core.call.events import Consultation, TransferRequested
from gateway.core.call.state import Call
from gateway.core.model import (
    Announcement,
    AssignedNumber,
    Decision,
    Destination,
    Entry,
    LegId,
    Peer,
    PeerKind,
    TransferId,
    WhisperWord,
)
from gateway.core.moment import Moment
from gateway.core.numbers import Target, TargetError, parse_target
from gateway.core.outcome import Reason
from gateway.core.record import TransferRecord
from gateway.core.state_sources import Ability
from gateway.core.transfer import Manner
from gateway.core.transfer.hand_down import is_certain
from gateway.ports import IncomingCall, ReferRequest

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.engine.surroundings import Uploads

WHISPER_HEADER = "x-whisper"
"""Names the uploaded sound in a REFER or INVITE, where the profile lets it pass."""
NOT_CERTAIN = "bridge: it is not certain that somebody answers, and the PBX would not give the caller back"
DEADLINE_MARGIN_S = 2.0
"""How long before the transferor stops waiting the final NOTIFY is on its way."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A request and what the gate made of it; `at_gate`: it came as far as the gate."""

    event: TransferRequested
    at_gate: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """What a request is judged by: the configuration, and how things are at this moment."""

    config: Config
    situation: gate.Situation
    now: Moment
    uploads: Uploads

    def refer(
        self, call: Call | None, request: ReferRequest, consulted: Call | None, former: Call | None = None
    ) -> Judged:
        """A REFER about a leg of `call`; `consulted` is the call of the leg that its Replaces names.

        `former` is the call of a leg that is part of none any more: why it is refused is told in that call's language.
        """
        manner = self._manner(request)
        problem = (request.problem, request.problem_text) if request.problem else None
        if request.consultation is not None and problem is None:
            judged = self._attended(request, call, request.consultation, consulted, manner)
        else:
            judged = self._blind(
                call, request.leg, Entry.REFER, request.target, manner=manner, context=request.context, problem=problem
            )
        if call is not None or former is None:
            return judged
        record = replace(judged.event.record, locale=former.number.locale)
        return replace(judged, event=replace(judged.event, record=record))

    def command(
        self,
        call: Call,
        destination: str,
        message: str | None = None,
        author: str | None = None,
        whisper: str | None = None,
    ) -> Judged:
        """A command to transfer a running call; `whisper` names a sound that was uploaded for it.

        Nobody hears a `message`, and the trail says so: see decision 0025.
        """
        transferor = call.leg_at(PeerKind.TRUNK) or next(iter(call.legs))
        manner = Manner(notify=False)
        judged = self._blind(
            call, transferor, Entry.COMMAND, destination, manner=manner, message=message, whisper=whisper
        )
        return replace(judged, event=replace(judged.event, record=replace(judged.event.record, author=author)))

    def invite(self, call: Call, incoming: IncomingCall, called: Target | None, line: str) -> Judged:
        """A fresh INVITE from the trunk; `line` says for the trail how its number was found."""
        trunk = self.config.trunks.get(call.number.trunk)
        record = self._record(call, Entry.INVITE, called.user if called else "", incoming.context)
        asked = self.config.routes.destination(call.number, called) if called else None
        if called is None:
            decision = Decision(False, Reason.BAD_REQUEST, None, ("the request URI cannot be called",))
        else:
            request = gate.Request(called, call.number, incoming.peer, Entry.INVITE, line)
            decision = gate.decide(request, self.config.routes, self.situation)
        decision, uploaded = self._uploaded(decision, record)
        event = TransferRequested(
            self.now,
            record,
            decision,
            uploaded=uploaded,
            transferee=incoming.leg,
            transferor=None,
            manner=Manner(
                notify=False,
                own_codes=trunk is None or trunk.failure_code == "target",
                names_humans=self.names_humans(call.number),
            ),
            asked=asked,
        )
        return Judged(event, at_gate=called is not None)

    def would_refuse(self, number: AssignedNumber, peer: Peer, called: Target | None) -> Reason | None:
        """Why a fresh INVITE of a trunk would be refused now; None: it would not."""
        if called is None:
            return Reason.BAD_REQUEST
        decision = gate.decide(gate.Request(called, number, peer, Entry.INVITE), self.config.routes, self.situation)
        return None if decision.accepted else decision.reason

    def _manner(self, request: ReferRequest) -> Manner:
        trunk = self.config.trunks.get(request.peer.name)
        if trunk is None:
            return Manner(notify=request.subscribe)
        return Manner(
            notify=request.subscribe,
            final_notify=trunk.final_notify,
            refuse_in_notify=trunk.refusal == "notify",
            deadline=timedelta(seconds=max(trunk.deadline_s - DEADLINE_MARGIN_S, 1)),
            cancel_at_deadline=trunk.at_deadline == "cancel",
            own_codes=trunk.failure_code == "target",
        )

    def _blind(
        self,
        call: Call | None,
        transferor: LegId,
        entry: Entry,
        text: str,
        *,
        manner: Manner,
        context: Mapping[str, str] | None = None,
        problem: tuple[Reason, str] | None = None,
        message: str | None = None,
        whisper: str | None = None,
    ) -> Judged:
        target: Target | None = None
        try:
            target = parse_target(text, self.config.gateway.default_country)
        except TargetError as error:
            problem = problem or (error.reason, f"target: {error}")
        transferee = call.other(transferor) if call and call.up else None
        problem = _obstacle(call, transferee) or problem
        record = self._record(call, entry, target.user if target else text[:128], context)
        asked, hand_down, takes_up, uploaded = None, False, None, None
        at_gate = call is not None and target is not None and problem is None
        if call is None or target is None or problem is not None:
            reason, why = problem or (Reason.NOT_BRIDGED, "")
            decision = Decision(False, reason, None, (why,) if why else ())
        else:
            leg = call.legs.get(transferor)
            request = gate.Request(target, call.number, leg.peer if leg else None, entry)
            asked = self.config.routes.destination(call.number, target)
            kept = _place_for(call, asked, transferee)
            decision = gate.decide(request, self.config.routes, self.situation, kept)
            takes_up = call.kept.id if call.kept and kept and decision.accepted else None
            if decision.accepted and message:
                decision = replace(decision, trail=(*decision.trail, _unspoken(decision.destination)))
            if decision.accepted and takes_up is None and self._is_for_pbx(call, transferee):
                hand_down = self._is_certain(call, decision)
                if not hand_down:
                    decision = replace(decision, trail=(*decision.trail, NOT_CERTAIN))
            decision, uploaded = self._uploaded(decision, record, whisper)
        names_humans = self.names_humans(call.number) if call is not None else frozenset()
        event = TransferRequested(
            self.now,
            record,
            decision,
            transferee=transferee or transferor,
            transferor=transferor,
            manner=replace(manner, names_humans=names_humans, hand_down=hand_down),
            asked=asked,
            takes_up=takes_up,
            uploaded=uploaded,
        )
        return Judged(event, at_gate)

    def _attended(
        self, request: ReferRequest, call: Call | None, consultation: LegId, consulted: Call | None, manner: Manner
    ) -> Judged:
        """Join the caller with whom the transferor has consulted on another call with us (RFC 3891, RFC 5589 §7)."""
        transferee = call.other(request.leg) if call and call.up else None
        far_end = consulted.other(consultation) if consulted and consulted.up else None
        problem = _obstacle(call, transferee) or _obstacle(consulted, far_end)
        if call is not None and consulted is not None and consulted.id == call.id:
            problem = problem or (Reason.BAD_REQUEST, "Replaces names a leg of the very call that is to be transferred")
        destination = consulted.destination if consulted else None
        record = replace(
            self._record(call, Entry.REFER, destination or "", request.context),
            destination=destination,
            answered_by=consulted.answered_by if consulted and destination else None,
        )
        if call is None or transferee is None or consulted is None or far_end is None or problem is not None:
            reason, why = problem or (Reason.NOT_BRIDGED, "")
            refused = Decision(False, reason, None, (why,))
            return Judged(TransferRequested(self.now, record, refused, transferee or request.leg, request.leg, manner))
        trail = (f"attended: joined with call {consulted.id}, nothing is dialled",)
        accepted = Decision(True, Reason.ACCEPTED, None, trail)
        event = TransferRequested(
            self.now,
            replace(record, trail=trail),
            accepted,
            transferee=transferee,
            transferor=request.leg,
            manner=manner,
            consultation=Consultation(consultation, consulted.legs[far_end]),
        )
        return Judged(event)

    def _uploaded(
        self, decision: Decision, record: TransferRecord, named: str | None = None
    ) -> tuple[Decision, Announcement | None]:
        """The sound that was uploaded for this transfer, if it names one and is accepted; the trail says what of it."""
        headers = (value for name, value in record.context.items() if name.lower() == WHISPER_HEADER)
        named = named or next(headers, None)
        if not named or not decision.accepted or decision.destination is None:
            return decision, None
        if WhisperWord.UPLOADED not in decision.destination.whisper:
            line = f"whisper: not heard, {decision.destination.id} has no place for an uploaded sound"
            return replace(decision, trail=(*decision.trail, line)), None
        found = self.uploads.take(named, record.number or "", record.transfer)
        if found is None:
            line = "whisper: not heard, there is no such sound, or not any more, or it is another transfer's"
        else:
            line = f"whisper: a sound of {found.duration.total_seconds():.1f} s was uploaded for this transfer"
        return replace(decision, trail=(*decision.trail, line)), found

    def names_humans(self, number: AssignedNumber) -> frozenset[str]:
        """The PBXs of a number that tell now who takes a call."""
        states = (self.situation.pbx(name) for name in number.pbxs)
        known = (state for state in states if state.proven_at is not None)
        return frozenset(state.pbx for state in known if state.source.tells(Ability.WHO_ANSWERED))

    def _is_for_pbx(self, call: Call, transferee: LegId | None) -> bool:
        """Whether the caller is on the number's own PBX, and that is to carry out transfers by itself."""
        pbx = self.config.pbxs.get(call.number.pbx)
        leg = call.legs.get(transferee) if transferee is not None else None
        if pbx is None or leg is None:
            return False
        return leg.peer == Peer(pbx.name, PeerKind.PBX) and pbx.transfer_mode == "hand-down"

    def _is_certain(self, call: Call, decision: Decision) -> bool:
        found, own = decision.destination, call.number.pbx
        if found is None or call.number.pbx_of(found) != own:
            return False  # a PBX puts nobody through to another one
        return is_certain(found, self.situation.pbx(own), self.situation.now)

    def _record(
        self, call: Call | None, entry: Entry, target: str, context: Mapping[str, str] | None
    ) -> TransferRecord:
        number = call.number if call else None
        return TransferRecord(
            transfer=TransferId(str(ULID())),
            entry=entry,
            requested_target=target,
            requested_at=self.now.wall,
            number=number.id if number else None,
            trunk=number.trunk if number else None,
            pbx=number.pbx if number else None,
            caller=call.caller if call else None,
            context=dict(context or {}),
            locale=number.locale if number else self.config.gateway.locale,
        )


def _obstacle(call: Call | None, far_end: LegId | None) -> tuple[Reason, str] | None:
    """Why this call cannot be transferred now, whatever was asked for."""
    pending = call.newest if call else None
    if pending is not None and pending.holds_transferee:
        return Reason.TRANSFER_PENDING, f"transfer {pending.id} is still under way"
    if far_end is None:
        return Reason.NOT_BRIDGED, "the call has nobody to transfer"
    return None


def _place_for(call: Call, asked: Destination | None, transferee: LegId | None) -> Destination | None:
    """The destination in whose queue a place is kept for the transferee, where that is what is asked for.

    The place was that of the destination which was asked for then, or of its overflow, and both are still configured.
    """
    kept = call.kept
    found = kept.machine.destination if kept is not None else None
    if kept is None or found is None or asked is None or transferee != kept.machine.transferee:
        return None
    configured = call.number.destinations.get(found.id)
    if configured is None or (configured.place, configured.queue) != (found.place, found.queue):
        return None
    return found if asked.id in (found.id, kept.asked.id if kept.asked else "") else None


def _unspoken(destination: Destination | None) -> str:
    """The line of the trail that says what becomes of a command's message."""
    if destination is not None and destination.announcement is not None:
        return f"message: not spoken, the gateway speaks no text; the announcement of {destination.id} is played"
    return "message: not spoken, the gateway speaks no text; the destination has no announcement"
