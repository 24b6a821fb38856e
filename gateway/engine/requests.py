# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer requests: REFER, fresh INVITE and command, each judged by the one gate and begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ulid import ULID

from gateway.core import gate
from gateway.core.model import (
    AssignedNumber,
    Decision,
    Destination,
    Entry,
    FinalNotify,
    LegId,
    Peer,
    PeerKind,
    TransferId,
)
from gateway.core.numbers import Target, TargetError, parse_target
from gateway.core.outcome import Reason
from gateway.core.record import TransferRecord
from gateway.core.transfer import Manner
from gateway.core.transfer.hand_down import is_certain
from gateway.engine.calls import Call, Calls
from gateway.engine.transfers import Transfers
from gateway.ports import IncomingCall, Observer, ReferHandle, ReferRequest

if TYPE_CHECKING:
    from gateway.config import Config

NOT_CERTAIN = "bridge: it is not certain that somebody answers, and the PBX would not give the caller back"
DEADLINE_MARGIN_S = 2.0
"""How long before the transferor stops waiting the final NOTIFY is on its way."""


class Requests:
    """Turns what is asked for into transfers."""

    def __init__(
        self,
        calls: Calls,
        transfers: Transfers,
        observer: Observer,
        *,
        config: Callable[[], Config],
        clock: Callable[[], datetime],
        situation: Callable[[], gate.Situation],
        names_humans: Callable[[str], bool],
    ) -> None:
        self._calls = calls
        self._transfers = transfers
        self._observer = observer
        self._config = config
        self._clock = clock
        self._situation = situation
        self._names_humans = names_humans

    def refer(self, request: ReferRequest) -> None:
        """A REFER about one of our legs; its handle is answered when this returns."""
        started = asyncio.get_running_loop().time()
        trunk = self._config().trunks.get(request.peer.name)
        manner = Manner(
            notify=request.subscribe,
            final_notify=trunk.final_notify if trunk else FinalNotify.ON_ANSWER,
            refuse_in_notify=trunk is not None and trunk.refusal == "notify",
            deadline=timedelta(seconds=max(trunk.deadline_s - DEADLINE_MARGIN_S, 1)) if trunk else None,
            cancel_at_deadline=trunk is None or trunk.at_deadline == "cancel",
            own_codes=trunk is None or trunk.failure_code == "target",
        )
        call = self._calls.of(request.leg)
        problem = (request.problem, request.problem_text) if request.problem else None
        if request.consultation is not None and problem is None:
            self._attended(request, call, request.consultation, manner)
        else:
            self._request(
                call,
                request.leg,
                Entry.REFER,
                request.target,
                manner=manner,
                context=request.context,
                problem=problem,
                handle=request.handle,
            )
        self._observer.refer_answered(asyncio.get_running_loop().time() - started)

    def command(self, call_id: str, destination: str, message: str | None = None) -> TransferRecord:
        """Transfer a running call by command. Raises LookupError for a call that is not there.

        Nobody hears a `message`, and the trail says so: see decision 0025.
        """
        call = self._calls.get(call_id)
        if call is None:
            raise LookupError(f"there is no call {call_id}")
        transferor = call.leg_at(PeerKind.TRUNK) or next(iter(call.legs))
        return self._request(call, transferor, Entry.COMMAND, destination, manner=Manner(notify=False), message=message)

    def invite(self, call: Call, incoming: IncomingCall, called: Target | None, line: str) -> None:
        """A fresh INVITE from the trunk; `line` says for the trail how its number was found."""
        trunk = self._config().trunks.get(call.number.trunk)
        record = self._record(call, Entry.INVITE, called.user if called else "", incoming.context)
        asked = self._config().routes.destination(call.number, called) if called else None
        if called is None:
            decision = Decision(False, Reason.BAD_REQUEST, None, ("the request URI cannot be called",))
        else:
            request = gate.Request(called, call.number, incoming.peer, Entry.INVITE, line)
            situation = self._situation()
            # The call that asks is in the registry already; the gate counts what was there before it.
            load = replace(situation.load, calls=situation.load.calls - 1)
            decision = gate.decide(request, self._config().routes, replace(situation, load=load))
            self._observer.gate_decision(asked.id if asked else None, decision.accepted, decision.reason)
        self._transfers.begin(
            record,
            decision,
            call=call,
            transferee=incoming.leg,
            transferor=None,
            manner=Manner(
                notify=False,
                own_codes=trunk is None or trunk.failure_code == "target",
                names_humans=self._names_humans(call.number.pbx),
            ),
            asked=asked,
        )

    def inquire(self, number: AssignedNumber, peer: Peer, called: Target | None) -> Reason | None:
        """Why a fresh INVITE of a trunk would be refused now; None: it would not."""
        if called is None:
            return Reason.BAD_REQUEST
        decision = gate.decide(
            gate.Request(called, number, peer, Entry.INVITE), self._config().routes, self._situation()
        )
        return None if decision.accepted else decision.reason

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
        message: str | None = None,
    ) -> TransferRecord:
        target: Target | None = None
        try:
            target = parse_target(text, self._config().gateway.default_country)
        except TargetError as error:
            problem = problem or (error.reason, f"target: {error}")
        transferee = call.other(transferor) if call and call.up else None
        problem = self._obstacle(call, transferee) or problem
        record = self._record(call, entry, target.user if target else text[:128], context)
        asked = None
        hand_down = False
        if call is None or target is None or problem is not None:
            reason, why = problem or (Reason.NOT_BRIDGED, "")
            decision = Decision(False, reason, None, (why,) if why else ())
        else:
            request = gate.Request(target, call.number, call.legs.get(transferor), entry)
            decision = gate.decide(request, self._config().routes, self._situation())
            asked = self._config().routes.destination(call.number, target)
            self._observer.gate_decision(asked.id if asked else None, decision.accepted, decision.reason)
            if decision.accepted and message:
                decision = replace(decision, trail=(*decision.trail, _unspoken(decision.destination)))
            if decision.accepted and self._is_for_pbx(call, transferee):
                hand_down = self._is_certain(call, decision)
                if not hand_down:
                    decision = replace(decision, trail=(*decision.trail, NOT_CERTAIN))
        return self._transfers.begin(
            record,
            decision,
            call=call,
            transferee=transferee or transferor,
            transferor=transferor,
            manner=replace(
                manner, names_humans=call is not None and self._names_humans(call.number.pbx), hand_down=hand_down
            ),
            asked=asked,
            handle=handle,
        )

    def _is_for_pbx(self, call: Call, transferee: LegId | None) -> bool:
        """Whether the caller is on the number's own PBX, and that is to carry out transfers by itself."""
        pbx = self._config().pbxs.get(call.number.pbx)
        if pbx is None:
            return False
        on_it = transferee is not None and call.legs.get(transferee) == Peer(pbx.name, PeerKind.PBX)
        return on_it and pbx.transfer_mode == "hand-down"

    def _is_certain(self, call: Call, decision: Decision) -> bool:
        situation = self._situation()
        found = decision.destination
        return found is not None and is_certain(found, situation.pbx(call.number.pbx), situation.now)

    def _attended(self, request: ReferRequest, call: Call | None, consultation: LegId, manner: Manner) -> None:
        """Join the caller with whom the transferor has consulted on another call with us (RFC 3891, RFC 5589 §7)."""
        transferee = call.other(request.leg) if call and call.up else None
        consulted = self._calls.of(consultation)
        far_end = consulted.other(consultation) if consulted and consulted.up else None
        problem = self._obstacle(call, transferee) or self._obstacle(consulted, far_end)
        destination = consulted.destination if consulted else None
        record = replace(self._record(call, Entry.REFER, destination or "", request.context), destination=destination)
        if call is None or transferee is None or consulted is None or far_end is None or problem is not None:
            reason, why = problem or (Reason.NOT_BRIDGED, "")
            self._transfers.begin(
                record,
                Decision(False, reason, None, (why,)),
                call=call,
                transferee=transferee or request.leg,
                transferor=request.leg,
                manner=manner,
                asked=None,
                handle=request.handle,
            )
            return
        trail = (f"attended: joined with call {consulted.id}, nothing is dialled",)
        self._transfers.join(
            replace(record, trail=trail),
            call=call,
            consulted=consulted,
            consultation=consultation,
            transferee=transferee,
            transferor=request.leg,
            manner=manner,
            handle=request.handle,
        )

    def _obstacle(self, call: Call | None, far_end: LegId | None) -> tuple[Reason, str] | None:
        """Why this call cannot be transferred now, whatever was asked for."""
        pending = self._transfers.of_call(call) if call else None
        if pending is not None and pending.holds_transferee:
            return Reason.TRANSFER_PENDING, f"transfer {pending.record.transfer} is still under way"
        if far_end is None:
            return Reason.NOT_BRIDGED, "the call has nobody to transfer"
        return None

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
            locale=number.locale if number else self._config().gateway.locale,
        )


def _unspoken(destination: Destination | None) -> str:
    """The line of the trail that says what becomes of a command's message."""
    if destination is not None and destination.announcement is not None:
        return f"message: not spoken, the gateway speaks no text; the announcement of {destination.id} is played"
    return "message: not spoken, the gateway speaks no text; the destination has no announcement"
