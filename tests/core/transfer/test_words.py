# SPDX-License-Identifier: GPL-2.0-or-later
"""What whoever asked is told of a failure in words: the same sentence in a response, a NOTIFY and the record."""

from dataclasses import replace

from gateway.core.model import Decision, Entry
from gateway.core.outcome import Reason
from gateway.core.record import TransferRecord
from gateway.core.transfer import Manner, Transfer, step
from gateway.core.transfer.commands import AnswerRequest, Command, HangUp, Notify
from gateway.core.transfer.events import Event
from gateway.core.transfer.machine import start
from tests.support.playbook import (
    ASSISTANT,
    BEGIN,
    CALLER,
    CALLER_GONE,
    CANCELLED,
    SALES,
    STOP,
    TRANSFER,
    fails,
    refusal,
    to,
)

CLOSED = "Sales is closed until 09:00."


def begun(
    decision: Decision, *, entry: Entry = Entry.REFER, manner: Manner | None = None, locale: str = "en"
) -> tuple[Transfer, tuple[Command, ...]]:
    """A transfer, and what it wants done first."""
    record = TransferRecord(transfer=TRANSFER, entry=entry, requested_target="sales", requested_at=BEGIN, locale=locale)
    transferor = None if entry is Entry.INVITE else ASSISTANT
    return start(record, decision, transferee=CALLER, transferor=transferor, manner=manner or Manner(), at=BEGIN)


def words(commands: tuple[Command, ...]) -> list[str | None]:
    """The sentence of each response and final NOTIFY among them."""
    told = [each for each in commands if isinstance(each, AnswerRequest | HangUp | Notify)]
    return [each.sentence for each in told if not isinstance(each, Notify) or each.final]


def told_at(event: Event, *, entry: Entry = Entry.REFER, locale: str = "en") -> list[str | None]:
    """What is said in words when a transfer that was accepted ends by this event."""
    transfer, commands = begun(to(SALES), entry=entry, locale=locale)
    assert not any(words(commands))
    ended, commands = step(transfer, replace(event, at=BEGIN))
    assert {each for each in words(commands) if each} <= {ended.record.sentence}
    return words(commands)


def test_a_refusal_has_the_gates_own_words_wherever_it_is_told() -> None:
    refused = replace(refusal(Reason.OUTSIDE_HOURS, SALES), sentence=CLOSED)
    in_notify = Manner(refuse_in_notify=True)
    for entry, manner, expected in (
        (Entry.REFER, None, [CLOSED]),
        (Entry.INVITE, None, [CLOSED]),
        (Entry.COMMAND, None, [CLOSED]),
        (Entry.REFER, in_notify, [None, CLOSED]),  # the 202 before it says nothing
    ):
        transfer, commands = begun(refused, entry=entry, manner=manner)
        assert words(commands) == expected
        assert transfer.record.sentence == CLOSED


def test_where_the_gate_knows_no_number_it_is_said_in_general_words() -> None:
    _, commands = begun(Decision(False, Reason.NOT_ASSIGNED, None), locale="nl")
    assert words(commands) == ["Daarheen kan niet worden doorverbonden."]


def test_a_failure_is_told_in_the_callers_language() -> None:
    busy = fails(1, Reason.BUSY, 486)
    assert told_at(busy) == ["Sales is busy right now."]
    assert told_at(busy, locale="nl") == ["Sales is op dit moment in gesprek."]
    assert told_at(busy, entry=Entry.INVITE, locale="nl") == ["Sales is op dit moment in gesprek."]


def test_who_calls_a_transfer_off_is_told_that() -> None:
    assert told_at(CANCELLED) == [None, "The transfer was cancelled."]  # the first ends the target's leg
    assert told_at(STOP) == [None, "Sales can't be reached right now."]


def test_of_a_caller_who_hung_up_there_is_nothing_to_say() -> None:
    assert not any(told_at(CALLER_GONE))
