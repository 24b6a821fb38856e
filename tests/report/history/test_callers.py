# SPDX-License-Identifier: GPL-2.0-or-later
"""How callers are named in the history, and how they are found by their number all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.numbers import caller_named
from gateway.core.record import Milestone
from gateway.ports import HistoryQuery
from gateway.report.history.callers import KEY_FILE, Callers, masked
from gateway.report.history.questions import HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, TRANSFER
from gateway.report.history.store import HistoryStore
from tests.report import samples
from tests.report.history.made_up import call_over, ended, told

CALLER = "+31612345678"
NAMING = replace(
    ended(1, caller=CALLER),
    trail=("callback: 31612345678 was asked for", "order 731612345678"),
    context={"X-Summary": "Eve, born 1970"},
)


def stored(directory: Path, form: str) -> HistoryReader:
    store = HistoryStore(directory)
    store.open()
    call = replace(samples.call(), caller=CALLER)
    store.apply([told(Milestone.ENDED, NAMING), call_over(call)], Keep(callers=form))  # type: ignore[arg-type]
    store.close()
    return HistoryReader(directory)


@pytest.mark.parametrize("form", ["masked", "hashed"])
def test_what_is_stored_names_nobody_and_is_found_by_the_number(tmp_path: Path, form: str) -> None:
    reader = stored(tmp_path, form)
    [transfer] = reader.find(TRANSFER, HistoryQuery(caller=CALLER))
    [call] = reader.find(CALL, HistoryQuery(caller=CALLER))
    assert reader.find(TRANSFER, HistoryQuery(caller="+31612345699")) == []
    shown = transfer.document["caller"]
    assert shown == call.document["caller"] == Callers(tmp_path).kept(CALLER, form)  # type: ignore[arg-type]
    assert transfer.document["trail"] == [f"callback: {shown} was asked for", "order 731612345678"]
    assert transfer.document["context"] == {}
    assert "Eve" not in str(transfer.document)
    assert reader.find(TRANSFER, HistoryQuery(text="31612345678")) == []
    reader.close()


def test_without_it_they_are_named_in_full(tmp_path: Path) -> None:
    reader = stored(tmp_path, "full")
    [transfer] = reader.find(TRANSFER, HistoryQuery(caller=CALLER))
    assert (transfer.document["caller"], transfer.document["context"]) == (CALLER, NAMING.context)
    assert not (tmp_path / KEY_FILE).exists()
    reader.close()


def test_who_withholds_their_number_has_none_in_any_form(tmp_path: Path) -> None:
    assert [Callers(tmp_path).kept(None, form) for form in ("full", "masked", "hashed")] == [None] * 3


def test_a_hash_is_the_same_for_the_same_caller_also_after_a_restart_and_another_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    first = Callers(here).kept(CALLER, "hashed")
    assert first == Callers(here).kept(CALLER, "hashed") != Callers(here).kept("+31612345679", "hashed")
    assert first != Callers(there).kept(CALLER, "hashed")
    assert (here / KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "00", "no key"])
def test_a_key_that_is_cut_off_is_not_replaced_by_another(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY_FILE).write_text(content)
    with pytest.raises(OSError, match="does not hold the key"):
        Callers(tmp_path).kept(CALLER, "hashed")
    assert (tmp_path / KEY_FILE).read_text() == content


def test_masks_show_less_of_what_is_short() -> None:
    assert [masked(caller) for caller in ("+31612345678", "2001", "1", "anna.bakker")] == [
        "+31…78", "…1", "…1", "ann…er",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("+31612345678", CALLER), ("+31 6 1234-5678", CALLER), ("0612345678", CALLER), ("tel:+31612345678", CALLER),
        ("sip:+31612345678@platform", CALLER), ("2001", "2001"), ("anna", "anna"),
    ],
)  # fmt: skip
def test_a_caller_may_be_written_as_they_are_dialled(written: str, named: str) -> None:
    assert caller_named(written, "NL") == named


@pytest.mark.parametrize("nobody", ["", ";", "mailto:a@b", "a\nb"])
def test_what_names_nobody_is_refused(nobody: str) -> None:
    with pytest.raises(ValueError, match=r"target|scheme"):
        caller_named(nobody, "NL")
