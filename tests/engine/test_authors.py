# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands have authors: the record names them, and some may command the calls of some numbers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.outcome import Reason
from gateway.ports import Author, NotAllowedError
from tests.bench import Bench
from tests.config_directory import write

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.record import TransferRecord

CRM = Author("crm")
OURS, THEIRS = Author("ours", frozenset({"main-line"})), Author("theirs", frozenset({"other-line"}))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A caller who talks to the assistant."""
    made = Bench(load(write(tmp_path)))
    made.bridged()
    return made


def transferred(bench: Bench, author: Author | None, command_id: str | None = None) -> TransferRecord:
    """Have the call transferred."""
    [call] = bench.engine.call_records()
    return bench.engine.transfer_call(call.call, "sales", None, command_id, author)


@pytest.mark.parametrize(("author", "name"), [(CRM, "crm"), (OURS, "ours"), (None, None)])
def test_the_record_names_who_gave_the_command(bench: Bench, author: Author | None, name: str | None) -> None:
    assert transferred(bench, author).author == name


def test_what_a_peer_asks_for_has_no_author(tmp_path: Path) -> None:
    bench = Bench(load(write(tmp_path)))
    _, assistant = bench.bridged()
    bench.refer(assistant)
    [running] = bench.engine.transfers
    assert running.record.author is None


def test_a_call_of_another_number_is_not_theirs_to_command(bench: Bench) -> None:
    with pytest.raises(NotAllowedError, match=r"^theirs may not command calls of main-line$"):
        transferred(bench, THEIRS)
    assert not bench.engine.transfers
    running = transferred(bench, OURS)
    with pytest.raises(NotAllowedError):
        bench.engine.cancel_transfer(running.transfer, None, THEIRS)
    cancelled = bench.engine.cancel_transfer(running.transfer, None, CRM)
    assert cancelled.reason is Reason.CANCELLED
    assert "cancelled: by command of crm" in cancelled.trail


def test_nobody_gets_at_anothers_answer_by_its_id(bench: Bench) -> None:
    first = transferred(bench, CRM, "crm-7")
    assert transferred(bench, CRM, "crm-7") == first
    with pytest.raises(NotAllowedError):
        transferred(bench, THEIRS, "crm-7")
    assert transferred(bench, OURS, "crm-7") != first  # another command, which finds the first under way
