# SPDX-License-Identifier: GPL-2.0-or-later
"""The transition table in the call machine's header against the machine: every cell is reached, and nothing else is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.core.call import events as ev
from gateway.core.call import machine
from gateway.core.call.commands import DialOrder
from gateway.core.call.state import Call, CallState, Leg
from gateway.core.caller import Party
from gateway.core.model import (
    AnsweredBy,
    AssignedNumber,
    CallBack,
    Decision,
    Destination,
    Entry,
    LegId,
    Peer,
    PeerKind,
    TransferId,
    WhileWaiting,
)
from gateway.core.moment import Moment
from gateway.core.outcome import Reason
from gateway.core.record import TransferRecord
from gateway.core.transfer import Manner
from gateway.core.transfer.commands import Timer
from tests.support.state_tables import Rows, documented

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMING = frozenset({"asterisk"})
TRUNK, PBX = Peer("platform", PeerKind.TRUNK), Peer("asterisk", PeerKind.PBX)
NOW = Moment(datetime(2026, 3, 2, 11, 0, tzinfo=UTC), 0.0)
SALES, SUPPORT = Destination("sales", "6500", queue="sales"), Destination("support", "6501")
NUMBER = AssignedNumber(
    "main", "+31201234567", "platform", "asterisk", {"sales": SALES, "support": SUPPORT}, fallback="support"
)
CALLER, ASSISTANT, OTHER, REPLACING = LegId("in-1"), LegId("out-1"), LegId("in-2"), LegId("in-9")
PARTY = Party("+31201112222")
ASKED = Destination("asked", "6502", accept="1")
HELD = Destination(
    "held", "6503", queue="sales", while_waiting=WhileWaiting.ASSISTANT, hold_place=timedelta(seconds=60)
)
TO_HELD, UNTIL = Decision(True, Reason.ACCEPTED, HELD), Manner(deadline=timedelta(seconds=30))
TO_ASKED = Decision(True, Reason.ACCEPTED, ASKED)
TO_BACK = Decision(True, Reason.ACCEPTED, replace(SUPPORT, call_back=CallBack("asterisk", ("+31",), attempts=1)))
TO_SALES, TO_SUPPORT = Decision(True, Reason.ACCEPTED, SALES), Decision(True, Reason.ACCEPTED, SUPPORT)
CLOSED = Decision(False, Reason.OUTSIDE_HOURS, SALES)
MOST_STATES = 6_000


def first() -> Call:
    leg = Leg(CALLER, PBX, "one@pbx")
    return Call("c1", NUMBER, NOW, legs={CALLER: leg}, parties={CALLER: PARTY})


def absent() -> Call:
    """One whose caller is not there, and is to be called back."""
    return Call("c2", NUMBER, NOW, caller="+31201112222")


def events(call: Call) -> Iterator[ev.Event]:
    """Whatever can happen to a call."""
    if call == absent():
        yield replace(requested(LegId("T/caller-0"), None, entry=Entry.CALLBACK, decision=TO_BACK), calls_back=True)
    if not call.legs and not call.transfers:
        return
    if call == first():
        yield ev.AssistantWanted(NOW, DialOrder(ASSISTANT, TRUNK, NUMBER.number, beside=CALLER), PARTY)
        yield requested(CALLER, None, entry=Entry.INVITE)
        yield requested(CALLER, None, entry=Entry.INVITE, decision=CLOSED)
    yield from requests(call)
    if call.transfer is None and len(call.legs) == 2 and REPLACING not in call.legs:
        for replaced in call.legs:
            yield ev.LegReplaced(NOW, replaced, Leg(REPLACING, TRUNK), PARTY)
    yield ev.EndWanted(NOW, "crm")
    for leg in sorted(call.involved | {LegId("unknown")}):
        yield from of_leg(leg)
    pairs = [(leg, call.other(leg)) for leg in call.legs]
    pairs += [(one.machine.transferee, one.machine.target) for one in call.transfers]
    for one, other in pairs:
        if other is not None:
            yield ev.Joined(NOW, one, other, PARTY)
            yield ev.JoinFailed(NOW, one, other, next=CLOSED)
    yield ev.HumansUnknown(NOW, "asterisk")
    yield from of_what_is_known(call)
    for running in call.transfers:
        yield from of_transfer(running.id, running.machine.target)


def requests(call: Call) -> Iterator[ev.Event]:
    """The transfers that may be asked for."""
    if call.up and call.transfer is None:  # one transfer, and one replacement, show all that more of them do
        for transferor in call.legs:
            transferee = call.other(transferor)
            if transferee is not None:
                yield requested(transferee, transferor)
                yield requested(transferee, transferor, decision=CLOSED)
                yield requested(transferee, transferor, decision=TO_ASKED)
                yield requested(transferee, transferor, decision=TO_HELD, manner=UNTIL)
                yield requested(transferee, transferor, manner=Manner(hand_down=True))
                target = Leg(OTHER, PBX, "two@pbx")
                yield requested(transferee, transferor, consultation=ev.Consultation(LegId("out-2"), target))
    if call.state in (CallState.MOVING, CallState.ENDING):
        for transferor in call.legs:
            yield requested(call.other(transferor) or transferor, transferor, decision=CLOSED, which=TransferId("T2"))


def of_what_is_known(call: Call) -> Iterator[ev.Event]:
    """What changes nothing but what is known of a call."""
    yield ev.Reconfigured(NOW, replace(NUMBER, locale="nl"))
    for leg in call.legs:
        yield ev.PartyChanged(NOW, leg, Party("+31203333333"))


def requested(
    transferee: LegId,
    transferor: LegId | None,
    *,
    entry: Entry = Entry.REFER,
    decision: Decision = TO_SALES,
    manner: Manner | None = None,
    consultation: ev.Consultation | None = None,
    which: TransferId = TransferId("T"),  # noqa: B008  # a name
) -> ev.TransferRequested:
    record = TransferRecord(
        transfer=which, entry=entry, requested_target="+31612345678", requested_at=NOW.wall,
        number="main", trunk="platform", pbx="asterisk",
    )  # fmt: skip
    manner = replace(manner or Manner(), names_humans=NAMING)
    return ev.TransferRequested(NOW, record, decision, transferee, transferor, manner, SALES, consultation)


def of_leg(leg: LegId) -> Iterator[ev.Event]:
    """What can happen to a leg."""
    yield ev.LegProgress(NOW, leg, 180)
    yield ev.LegEarlyMedia(NOW, leg)
    yield ev.LegAnswered(NOW, leg)
    for key in "12":
        yield ev.LegPressed(NOW, leg, key, next=TO_SUPPORT)
    yield ev.LegPressed(NOW, leg, "2", next=CLOSED)
    for code, by_peer in ((200, True), (486, True), (200, False)):
        yield ev.LegEnded(NOW, leg, code, by_peer, next=TO_SUPPORT)
    yield ev.LegEnded(NOW, leg, 404, next=CLOSED)
    yield ev.LegFailed(NOW, leg, "respond failed")
    yield ev.LegTaken(NOW, leg)
    yield ev.DialFailed(NOW, leg, no_room=True)
    yield ev.DialFailed(NOW, leg, no_room=False, next=TO_SUPPORT)
    for code in (180, 200, 486):
        yield ev.HandDownTold(NOW, leg, code, accepted=True, next=CLOSED)


def of_transfer(which: TransferId, target: LegId) -> Iterator[ev.Event]:
    """What can happen to a transfer."""
    for timer in Timer:
        yield ev.TimerFired(NOW, which, timer, next=CLOSED)
        yield ev.TimerFired(NOW, which, timer, heard=True, next=TO_BACK if timer is Timer.TURN else TO_SUPPORT)
    yield ev.HumanAnswered(NOW, which, target, NOW.wall)
    for by in (None, AnsweredBy.OUTSIDE, AnsweredBy.VOICEMAIL):
        yield ev.Identified(NOW, which, target, by, next=TO_SUPPORT)
    yield ev.Identified(NOW, which, target, AnsweredBy.VOICEMAIL, next=CLOSED)
    yield ev.CallerLost(NOW, which, Reason.CALLER_HUNG_UP, NOW.wall)
    yield ev.NotifyFailed(NOW, which)
    yield ev.Cancelled(NOW, which)
    yield ev.Fault(NOW, which, "broken")
    yield ev.Stop(NOW, which)


def pruned(call: Call) -> Call:
    """As the engine keeps it: without transfers that have ended."""
    return replace(call, transfers=tuple(one for one in call.transfers if not one.over))


def likeness(call: Call) -> object:
    """What of a call decides what comes next."""
    transfers = tuple(
        (
            one.machine.state,
            one.machine.dialled,
            one.machine.transferor is None,
            one.present,
            one.handed,
            one.machine.holds_back,
            one.machine.may_keep_place,
            one.machine.called,
        )
        for one in call.transfers
    )
    return frozenset(call.legs), call.up, call.connected_at is None, call.transfer, transfers


def observed() -> Rows:
    """Every transition there is: all events, in every state that any of them leads to."""
    rows: Rows = defaultdict(set)
    reached = [first(), absent()]
    seen = {likeness(each) for each in reached}
    while reached:
        call = reached.pop()
        for event in events(call):
            after, commands = machine.step(call, event)
            after = pruned(after)
            if after == call and not commands:
                continue
            rows[call.state.value, type(event).__name__].add(after.state.value)
            if any(one.machine.dialled > 1 for one in after.transfers):
                continue
            if (left := likeness(after)) not in seen:
                seen.add(left)
                reached.append(after)
        assert len(seen) < MOST_STATES
    return rows


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_the_table_is_what_the_machine_does() -> None:
    came = observed()
    wanted = documented(machine.__doc__)
    differing = {key: (wanted.get(key), came.get(key)) for key in came.keys() | wanted.keys()}
    assert not {key: both for key, both in differing.items() if both[0] != both[1]}
