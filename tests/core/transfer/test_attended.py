# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine when the transferor has spoken to the target: two far ends are joined, nobody is dialled."""

import pytest

from gateway.core.model import AnsweredBy
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner
from gateway.core.transfer.commands import AnswerRequest, Notify, Report, Return, Switch
from gateway.core.transfer.events import Switched, SwitchFailed
from tests.support.playbook import (
    ASSISTANT,
    BEGIN,
    CALLER,
    CALLER_GONE,
    CONSULTED,
    END,
    NAMES_HUMANS,
    NONE_LEFT,
    OVER,
    PARTING,
    STOP,
    Playbook,
    told,
)

JOINED = Switched(BEGIN, CONSULTED)
NOT_JOINED = SwitchFailed(BEGIN, CONSULTED, NONE_LEFT)


@pytest.mark.parametrize("manner", [Manner(), NAMES_HUMANS])
def test_the_far_ends_are_joined_without_dialling(manner: Manner) -> None:
    book = Playbook(CONSULTED, manner=manner)
    book.play(
        AnswerRequest(202, Reason.ACCEPTED),
        Notify(100, Reason.ACCEPTED),
        Report(Milestone.REQUESTED),
        Report(Milestone.ACCEPTED),
        Switch(CALLER, CONSULTED),
        JOINED,
        *told(Reason.ANSWERED),
        Report(Milestone.CONNECTED),
        *PARTING,
    )
    assert (book.record.outcome, book.record.human_at) == (Outcome.COMPLETED, None)
    assert book.attempts == []


@pytest.mark.parametrize("by", AnsweredBy)
def test_whom_the_transferor_has_consulted_is_who_took_that_call(by: AnsweredBy) -> None:
    book = Playbook(CONSULTED, consulted=by).after(JOINED)
    assert book.record.answered_by is by
    assert book.record.human_at == (BEGIN if by.is_person else None)


def test_everybody_stays_where_they_are_when_the_far_ends_cannot_be_joined() -> None:
    book = Playbook(CONSULTED).after()
    book.play(NOT_JOINED, *OVER, *told(Reason.PBX_ERROR), Return(CALLER, ASSISTANT), *END)
    assert book.record.outcome is Outcome.FAILED


def test_the_consulted_party_keeps_its_call_when_the_caller_hangs_up_before() -> None:
    book = Playbook(CONSULTED).after()
    book.play(CALLER_GONE, *told(Reason.CALLER_HUNG_UP), *PARTING)
    assert book.record.outcome is Outcome.ABANDONED


def test_the_consulted_party_keeps_its_call_when_the_gateway_gives_up_the_transfer() -> None:
    Playbook(CONSULTED).after().play(STOP, *told(Reason.GATEWAY_STOPPED), Return(CALLER, ASSISTANT), *END)
