# SPDX-License-Identifier: GPL-2.0-or-later
"""The transition table in the machine's header against the machine: every row is reached, and nothing else is."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import product

import pytest

from gateway.core.model import AnsweredBy, Entry, FinalNotify
from gateway.core.outcome import Reason
from gateway.core.transfer import (
    Manner,
    State,
    Transfer,
    accepting,
    calling_back,
    hand_down,
    identifying,
    keeping,
    machine,
    step,
)
from gateway.core.transfer.events import Event, PlaceLeft, PlaceTimeout
from tests.support.playbook import (
    ACCEPTING,
    ANNOUNCED,
    BEGIN,
    BY_COMMAND,
    CALLER_ANSWERS,
    CALLER_GONE,
    CANCELLED,
    DEADLINE,
    EXPIRED,
    FAULT,
    GONE,
    GREETED,
    HOLDING,
    HUMAN_TIMEOUT,
    IN_30_S,
    KEEPING,
    KEPT_PLACES,
    NAMING,
    NONE_LEFT,
    NOTIFY_FAILED,
    PLANNED,
    QUEUED,
    RELEASE_TIMEOUT,
    SALES,
    STOP,
    SUPPORT,
    TALKING,
    VOICEMAIL,
    WHISPERED,
    WHO_TIMEOUT,
    Playbook,
    answers,
    caller_fails,
    cannot_switch,
    does_not_accept,
    fails,
    hears,
    human,
    is_switched,
    is_told,
    loses_caller,
    presses,
    promised,
    refusal,
    rings,
    rings_out,
    to,
    turn_comes,
)
from tests.support.state_tables import Rows, documented

MOST_DIALLED = 2
KINDS_OF_NOTIFY = [when for when in FinalNotify if when is not FinalNotify.ON_ACCEPT]
"""To the machine `on-accept` is `on-human`."""
TABLES = documented(
    *(each.__doc__ for each in (machine, accepting, identifying, keeping, hand_down, calling_back)),
)


@cache
def observed(entry: Entry, when: FinalNotify) -> Rows:
    """Every transition there is: all events, in every state that any of them leads to, for every kind of transfer."""
    rows: Rows = defaultdict(set)
    reached = list(kinds(entry, when))
    seen = {_without_history(transfer) for transfer in reached}
    while reached:
        transfer = reached.pop()
        for event in events(transfer.dialled, calls_back=transfer.calls_back):
            after, commands = step(transfer, event)
            if not commands and (after is transfer or after == transfer):
                continue
            rows[transfer.state.value, type(event).__name__].add(after.state.value)
            if (left := _without_history(after)) not in seen:
                seen.add(left)
                reached.append(after)
    return rows


def kinds(entry: Entry, when: FinalNotify) -> Iterator[Transfer]:
    """A transfer of each kind with this entry and this final NOTIFY, just begun."""
    if entry is Entry.CALLBACK:
        if when is not FinalNotify.ON_ANSWER:
            return  # nobody is told by NOTIFY
        yield from (promised(each) for each in (SUPPORT, QUEUED, KEEPING, WHISPERED))
        yield promised(SUPPORT, within_s=0)
        return
    for notify, cancel, down, names, fallback in product(
        (True, False), (True, False), (True, False), (True, False), (VOICEMAIL, None)
    ):
        manner = Manner(
            notify,
            when,
            deadline=IN_30_S,
            cancel_at_deadline=cancel,
            hand_down=down,
            names_humans=NAMING if names else frozenset(),
        )
        always_bridged = () if down else (WHISPERED, ACCEPTING, QUEUED, TALKING, HOLDING)
        for first in (SALES, GREETED, KEEPING, *always_bridged):
            yield Playbook(to(first), entry=entry, manner=manner, fallback=fallback).transfer
        taken_up = entry is not Entry.INVITE and not down and cancel and fallback is None
        for place in KEPT_PLACES if taken_up else ():
            yield Playbook(to(HOLDING), entry=entry, manner=manner, fallback=fallback, place=place).transfer


@cache
def events(last: int, *, calls_back: bool) -> tuple[Event, ...]:
    """Everything that can happen to a transfer, to the target dialled last and to the one before it."""
    return (*_events(last), *(_of_call_back(last) if calls_back else ()))


def _events(last: int) -> Iterator[Event]:
    for then in (NONE_LEFT,) if last >= MOST_DIALLED else (NONE_LEFT, to(SUPPORT)):
        yield from (fails(last, then=then), rings_out(then=then), cannot_switch(last, then=then))
        yield is_told(last, AnsweredBy.VOICEMAIL, then=then)
        yield from (does_not_accept(then=then), presses(last, "2", then=then), presses(last, "7", then=then))
    for target in (last, last - 1):
        yield from (rings(target), answers(target), is_switched(target), human(target), presses(target))
        yield from (hears(target), hears(target, False), fails(target, moved=True))
        yield from (loses_caller(target), loses_caller(target, Reason.BUSY))
        yield from (is_told(target, by) for by in (None, AnsweredBy.APPLICATION, AnsweredBy.OUTSIDE))
    yield fails(last - 1)
    yield from (ANNOUNCED, HUMAN_TIMEOUT, CALLER_GONE, CANCELLED, GONE, NOTIFY_FAILED, DEADLINE, RELEASE_TIMEOUT, STOP)
    yield from (FAULT, WHO_TIMEOUT, PlaceTimeout(BEGIN), PlaceLeft(BEGIN, True), PlaceLeft(BEGIN, False))


def _of_call_back(last: int) -> Iterator[Event]:
    yield from (EXPIRED, CALLER_ANSWERS, BY_COMMAND, caller_fails(), caller_fails(Reason.DECLINED))
    if last < MOST_DIALLED:
        yield from (turn_comes(to(each), names) for each in PLANNED for names in (NAMING, frozenset()))
    yield from (turn_comes(NONE_LEFT), turn_comes(refusal(Reason.UNKNOWN_DESTINATION, None)))
    yield turn_comes(refusal(Reason.OUTSIDE_HOURS))


def _without_history(transfer: Transfer) -> tuple[object, ...]:
    """A transfer as far as what comes next can depend on it."""
    now = tuple(getattr(transfer, field.name) for field in fields(transfer) if field.name != "record")
    record = transfer.record
    return (
        *now,
        record.entry,
        record.ringing_at is None,
        record.human_at is None,
        record.answered_by is None,
        record.caller_calls,
        record.expires_at,
    )


@pytest.mark.thorough
@pytest.mark.timeout(400)
@pytest.mark.parametrize("when", KINDS_OF_NOTIFY)
@pytest.mark.parametrize("entry", Entry)
def test_nothing_happens_that_the_table_does_not_tell(entry: Entry, when: FinalNotify) -> None:
    table = TABLES
    untold = {row: found - table.get(row, set()) for row, found in observed(entry, when).items()}
    assert {row: found for row, found in untold.items() if found} == {}


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_all_that_the_table_tells_can_happen() -> None:
    reached: Rows = defaultdict(set)
    for entry, when in product(Entry, KINDS_OF_NOTIFY):
        for row, found in observed(entry, when).items():
            reached[row] |= found
    assert reached == TABLES


def test_every_state_but_the_last_has_a_column() -> None:
    assert {state for state, _ in TABLES} == {state.value for state in State if state is not State.ENDED}
