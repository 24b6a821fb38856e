# SPDX-License-Identifier: GPL-2.0-or-later
"""Call backs: whether one may be promised, and whose turn it is when somebody is free."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ulid import ULID

from gateway.config.emergency import country_of, is_emergency
from gateway.core import gate
from gateway.core.call.events import TransferRequested
from gateway.core.call.state import Call, Running
from gateway.core.caller import Party
from gateway.core.hours import opening
from gateway.core.model import AssignedNumber, Decision, Destination, Entry, LegId, TransferId
from gateway.core.numbers import e164, national_digits
from gateway.core.outcome import Reason
from gateway.core.record import TransferRecord
from gateway.core.routing import destination_meant
from gateway.core.sentence import sentence
from gateway.core.transfer import Manner, State
from gateway.engine.requests import Judged

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.moment import Moment
    from gateway.engine.last_callers import LastCaller
    from gateway.engine.registry import Calls
    from gateway.engine.surroundings import Surroundings

MOST = 500
"""So many callers can be promised to be called back at a time."""
HOUR_S = 3600.0
_RINGS = (State.DIALLING, State.RINGING, State.ANSWERED, State.WHISPERING)


@dataclass(frozen=True, slots=True)
class Begun:
    """A call back that was asked for: what is to be begun, and the call for it; None: it is refused."""

    judged: Judged
    call: Call | None


class CallBacks:
    """Judges them; what they are is in the calls, each a call without legs of which one transfer is left."""

    def __init__(self, calls: Calls, surroundings: Surroundings) -> None:
        self._calls = calls
        self._surroundings = surroundings
        self._promised: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)  # when, of each destination

    # --- asked for

    def ask(self, who: LastCaller, text: str, author: str | None) -> Begun:
        """Judge a command to call somebody back, for a destination as it may be named in a transfer."""
        config, now = self._surroundings.config, self._surroundings.clock.now()
        number = config.routes.number(who.number.id) or who.number
        asked = destination_meant(text, number, config.routes)
        record = TransferRecord(
            transfer=TransferId(str(ULID())),
            entry=Entry.CALLBACK,
            requested_target=text[:128],
            requested_at=now.wall,
            number=number.id,
            trunk=number.trunk,
            pbx=number.pbx,
            caller=who.caller,
            locale=number.locale,
            author=author,
        )
        decision = self._judge(number, asked, who.caller, private=who.private, now=now)
        if not decision.accepted or asked is None:
            told = sentence(decision.reason, number.locale, name=asked.spoken_name if asked else None, now=now.wall)
            return Begun(Judged(_request(now, record, replace(decision, sentence=told), asked)), None)
        self._promised[number.id, asked.id].append(now.steady)
        call = Call(str(ULID()), number, now, caller=who.caller)
        return self._begun(call, record, decision, asked, now, kept=False)

    def keep(self, record: TransferRecord) -> Begun | None:
        """A call back that was promised in another life; None: its number or its caller is not known any more."""
        config, now = self._surroundings.config, self._surroundings.clock.now()
        number = config.routes.number(record.number) if record.number else None
        if number is None or record.caller is None:
            return None
        asked = number.destinations.get(record.destination or "")
        if asked is not None:
            self._promised[number.id, asked.id].append(now.steady)
        decision = Decision(asked is not None, Reason.ACCEPTED, asked)
        call = Call(str(ULID()), number, now, caller=record.caller)
        return self._begun(call, record, decision, asked, now, kept=True)

    def _begun(
        self,
        call: Call,
        record: TransferRecord,
        decision: Decision,
        asked: Destination | None,
        now: Moment,
        *,
        kept: bool,
    ) -> Begun:
        event = replace(_request(now, record, decision, asked), kept=kept)
        call = replace(call, parties={event.transferee: Party(call.caller)})
        return Begun(Judged(event), call)

    def _judge(
        self, number: AssignedNumber, asked: Destination | None, caller: str | None, *, private: bool, now: Moment
    ) -> Decision:
        if asked is None:
            line = f"destination: {number.id} has none by that number or name"
            return Decision(False, Reason.UNKNOWN_DESTINATION, None, (line,))
        may = self._allowed(number, asked, caller, private=private)
        if not may.accepted or asked.call_back is None:
            return may
        for found in self._obstacles(number, asked, caller, now):
            return replace(found, trail=may.trail + found.trail)
        return may

    def _allowed(
        self, number: AssignedNumber, asked: Destination, caller: str | None, *, private: bool = False
    ) -> Decision:
        """Whether this caller may be called for this destination at all, as configured now."""
        plan = asked.call_back
        if plan is None:
            line = f"call back: {asked.id} has no callback_prefixes, and so nobody is called back for it"
            return Decision(False, Reason.FORBIDDEN_TARGET, asked, (line,))
        if private or caller is None or e164(caller) is None:
            why = "withheld" if private else "none that can be called"
            return Decision(False, Reason.CALLER_WITHHELD, asked, (f"call back: the caller's number is {why}",))
        if not caller.startswith(plan.prefixes):
            line = f"call back: the caller's number begins with none of {', '.join(plan.prefixes)}"
            return Decision(False, Reason.FORBIDDEN_TARGET, asked, (line,))
        countries = tuple(filter(None, {number.country, country_of(number.number), country_of(caller)}))
        if is_emergency(caller, *countries) or is_emergency(national_digits(caller), *countries):
            return Decision(False, Reason.FORBIDDEN_TARGET, asked, ("call back: that is an emergency number",))
        if (own := self._surroundings.config.routes.number(caller)) is not None:
            line = f"call back: the caller's number is {own.id}, one of ours"
            return Decision(False, Reason.FORBIDDEN_TARGET, asked, (line,))
        line = f"call back: allowed for {asked.id}, through {plan.pbx}"
        return Decision(True, Reason.ACCEPTED, asked, (line,))

    def _obstacles(
        self, number: AssignedNumber, asked: Destination, caller: str | None, now: Moment
    ) -> Iterator[Decision]:
        """What speaks against a promise at this moment."""
        plan = asked.call_back
        if plan is None:
            return
        waiting = list(self._waiting())
        if other := next((each for each in waiting if each.record.caller == caller), None):
            line = f"call back: {other.id} is under way for this caller"
            yield Decision(False, Reason.TRANSFER_PENDING, asked, (line,))
        if self._surroundings.drain.begun:
            yield Decision(False, Reason.AT_CAPACITY, asked, ("capacity: the gateway is stopping and takes no more",))
        if len(waiting) >= MOST:
            yield Decision(False, Reason.AT_CAPACITY, asked, (f"call back: {MOST} callers wait for one, the most",))
        if closed := _stays_closed(asked, now.wall, plan.within):
            yield Decision(False, Reason.OUTSIDE_HOURS, asked, (f"hours: {closed}, for {asked.id}",))
        lately = self._promised[number.id, asked.id]
        while lately and now.steady - lately[0] >= HOUR_S:
            lately.popleft()
        if len(lately) >= plan.per_hour:
            again = max(1, math.ceil(lately[0] + HOUR_S - now.steady))
            line = f"call back: {len(lately)} were promised for {asked.id} in the last hour, its limit"
            yield Decision(False, Reason.AT_CAPACITY, asked, (line,), retry_after_s=again)

    # --- their turn

    def turn(self, running: Running, situation: gate.Situation) -> Decision:
        """Whether somebody is to be rung for a caller who waits, now."""
        record, config = running.record, self._surroundings.config
        number = config.routes.number(record.number) if record.number else None
        asked = number.destinations.get(record.destination or "") if number else None
        if number is None or asked is None:
            line = f"destination: {record.destination} of {record.number} is not configured any more"
            return Decision(False, Reason.UNKNOWN_DESTINATION, None, (line,))
        may = self._allowed(number, asked, record.caller)
        if not may.accepted:
            return may
        if self._surroundings.drain.begun:
            return Decision(False, Reason.AT_CAPACITY, asked)
        if any(call.caller == record.caller for call in self._calls):
            return Decision(False, Reason.TRANSFER_PENDING, asked)  # the caller talks with us
        if self._others_first(running):
            return Decision(False, Reason.AGENTS_BUSY, asked)
        return gate.turn(number, asked, situation)

    def _others_first(self, running: Running) -> bool:
        """Whether somebody is rung for another caller of this destination, or another one waits for longer."""
        record, now = running.record, self._surroundings.clock.now()
        for other in self._waiting():
            same = other.record.number == record.number and other.record.destination == record.destination
            if other.id == running.id or not same:
                continue
            due_at, older = other.machine.due_at, other.id < running.id
            if other.machine.state in _RINGS:
                return True
            if older and other.machine.state is State.PROMISED and due_at is not None and due_at <= other.at(now):
                return True
        return False

    def _waiting(self) -> Iterator[Running]:
        """All that are under way, and their callers not with anybody yet."""
        return (running for _, running in self._calls.running if running.machine.calls_back)

    def of_caller(self, caller: str) -> list[TransferId]:
        """Those of a caller."""
        return [running.id for running in self._waiting() if running.record.caller == caller]


def _request(now: Moment, record: TransferRecord, decision: Decision, asked: Destination | None) -> TransferRequested:
    return TransferRequested(
        now,
        record,
        decision,
        transferee=LegId(f"{record.transfer}/caller-0"),
        transferor=None,
        manner=Manner(notify=False),
        asked=asked,
        calls_back=True,
    )


def _stays_closed(asked: Destination, now: datetime, within: timedelta) -> str | None:
    """Why nobody will be there in time; None: somebody may be."""
    if asked.hours is None:
        return None
    found = opening(asked.hours, now)
    if found.open or (found.changes_at is not None and found.changes_at < now + within):
        return None
    return found.text
