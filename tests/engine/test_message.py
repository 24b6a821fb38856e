# SPDX-License-Identifier: GPL-2.0-or-later
"""A command's message: nobody hears it, and whoever sent it is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.outcome import Outcome
from tests.bench import Bench
from tests.config_directory import write
from tests.test_config_sounds import wav, with_sales

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.record import TransferRecord


def transferred(directory: Path, message: str | None, destination: str = "sales") -> TransferRecord:
    """What a command is answered that moves a caller."""
    bench = Bench(load(directory))
    bench.bridged()
    [call] = bench.engine.call_records()
    return bench.engine.transfer_call(call.call, destination, message)


def said_of_it(record: TransferRecord) -> list[str]:
    return [line for line in record.trail if line.startswith("message: ")]


@pytest.mark.keeps("16.85")
def test_the_trail_says_that_it_is_not_spoken(tmp_path: Path) -> None:
    record = transferred(write(tmp_path), "One moment please.")
    assert record.outcome is None
    assert said_of_it(record) == [
        "message: not spoken, the gateway speaks no text; the destination has no announcement"
    ]


@pytest.mark.keeps("16.85")
def test_the_trail_names_what_is_heard_instead(tmp_path: Path) -> None:
    (tmp_path / "sales.wav").write_bytes(wav())
    record = transferred(with_sales(tmp_path, 'announcement = "sales.wav"'), "One moment please.")
    assert said_of_it(record) == [
        "message: not spoken, the gateway speaks no text; the announcement of sales is played"
    ]


@pytest.mark.parametrize("message", [None, ""])
def test_without_one_the_trail_says_nothing_of_it(tmp_path: Path, message: str | None) -> None:
    assert said_of_it(transferred(write(tmp_path), message)) == []


def test_a_refusal_says_why_it_is_refused(tmp_path: Path) -> None:
    record = transferred(write(tmp_path), "One moment please.", "+31699999999")
    assert record.outcome is Outcome.REFUSED
    assert said_of_it(record) == []
