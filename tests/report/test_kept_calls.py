# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that are up, in the journal: what a process has left that was killed, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gateway.core.caller import Party
from gateway.core.kept_call import KeptCall, KeptDialog, KeptLeg
from gateway.core.model import PeerKind
from gateway.report import kept_calls
from gateway.report.erasing import forget_offline
from gateway.report.journal import Journal
from gateway.report.kept_calls import Keep, keeping
from gateway.report.store_file import StoreFile

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.keeps("22.19"), pytest.mark.asyncio]

AT = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
DIALOG = KeptDialog(
    call_id="a@test", local_tag="ours", remote_tag="theirs", local='"Müller" <sip:gw@gw.example>',
    remote="<sip:eve@far.example>", local_cseq=7, remote_cseq=-1, target="sip:eve@192.0.2.7",
    routes=("<sip:192.0.2.1;lr>",), call_id_is_ours=True,
)  # fmt: skip
CALL = KeptCall(
    call="01A", number="main-line", begun_by="asterisk", caller="+31201112222", max_forwards=69, began_at=AT,
    connected_at=AT, transfer=None, destination=None, answered_by=None, kept_at=AT,
    legs=(
        KeptLeg(peer="asterisk", kind=PeerKind.PBX, party=Party("+31201112222", "Eve", diverted=("9",)), dialog=DIALOG),
        KeptLeg(peer="platform", kind=PeerKind.TRUNK, party=None, dialog=DIALOG),
    ),
)  # fmt: skip


FOUND = replace(CALL, attempts=1)
"""As the first process finds it that takes it up."""


async def written(directory: Path, *writes: Keep) -> list[KeptCall]:
    """What is left of these once a journal has taken them, as the next process finds it."""
    journal = Journal(directory, {"mqtt": lambda _state: None})
    await journal.open()
    for write in writes:
        journal.put(write)
    await journal.flush()
    await journal.close()
    return left(directory)


def left(directory: Path) -> list[KeptCall]:
    """What a process finds."""
    file = StoreFile(directory)
    file.open()
    with closing(file):
        return kept_calls.read(file.db)


async def test_what_is_kept_is_found_again_to_the_letter(tmp_path: Path) -> None:
    second = replace(CALL, call="01B", transfer="01T", destination="sales")
    assert await written(tmp_path, keeping(CALL), keeping(second)) == [FOUND, replace(second, attempts=1)]


async def test_each_process_that_finds_it_is_counted_until_it_is_written_anew(tmp_path: Path) -> None:
    await written(tmp_path, keeping(CALL))
    assert [one.attempts for _ in range(3) for one in left(tmp_path)] == [2, 3, 4]
    assert await written(tmp_path, keeping(CALL)) == [FOUND]


async def test_what_is_struck_out_is_gone(tmp_path: Path) -> None:
    assert await written(tmp_path, keeping(CALL), Keep(CALL.call)) == []
    assert await written(tmp_path, keeping(CALL)) == [FOUND]
    assert await written(tmp_path, Keep(CALL.call)) == []


async def test_of_a_journal_that_has_never_had_any_nothing_is_made(tmp_path: Path) -> None:
    assert await written(tmp_path) == []
    file = StoreFile(tmp_path)
    file.open()
    with closing(file):
        assert file.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'kept_calls'").fetchone() is None


async def test_what_cannot_be_read_takes_nothing_along(tmp_path: Path) -> None:
    broken = Keep("00", keeping(CALL).payload and '{"call": "00"}')
    assert await written(tmp_path, broken, keeping(CALL)) == [FOUND]
    assert await written(tmp_path) == [replace(CALL, attempts=2)]


@pytest.mark.keeps("22.66")
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('"2026-03-02T11:00:00Z"', '"2026-03-02T11:00:00"'),
        ('"2026-03-02T11:00:00Z"', '"9999-12-31T23:59:59Z"'),
        ('"2026-03-02T11:00:00Z"', '"0001-01-01T00:00:00Z"'),
        ('"max_forwards":69', '"max_forwards":100000'),
        ('"attempts":0', '"attempts":-5'),
        ('"call":"01A"', '"call":"01C"'),
        ('"transfer":null', f'"transfer":"{"x" * 3000}"'),
        ('"transfer":null', '"transfer":""'),
        ('"remote_cseq":-1', '"remote_cseq":"x"'),
        ('"legs":[{', '"legs":[{},{'),
        ("{", "\0{"),
        ("}", ""),
    ],
)
async def test_a_row_with_a_mistake_takes_nothing_along(tmp_path: Path, was: str, becomes: str) -> None:
    """... as a disk may have it that was restored, or written by something else."""
    payload = keeping(CALL).payload
    assert payload
    assert was in payload
    other = replace(CALL, call="01B")
    await written(tmp_path, Keep(CALL.call, payload.replace(was, becomes)), keeping(other))
    assert await written(tmp_path) == [replace(other, attempts=2)]


@pytest.mark.keeps("22.66")
async def test_a_row_of_another_kind_takes_nothing_along(tmp_path: Path) -> None:
    await written(tmp_path, keeping(CALL))
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db, db:
        rows = [(b"01B", b"\xff\xfe"), (7, 8), ("", "null"), ("01D", "[" * 10_000)]
        db.executemany("INSERT INTO kept_calls (call, payload) VALUES (?, ?)", rows)
    assert left(tmp_path) == [replace(CALL, attempts=2)]
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        assert db.execute("SELECT call FROM kept_calls").fetchall() == [(CALL.call,)]


async def test_who_is_erased_is_not_kept(tmp_path: Path) -> None:
    other = replace(CALL, call="01B", caller=None, legs=(replace(CALL.legs[1]), CALL.legs[1]))
    await written(tmp_path, keeping(CALL), keeping(other))
    forget_offline(tmp_path, "+31201112222")
    assert left(tmp_path) == [replace(other, attempts=2)]


async def test_who_is_erased_before_it_is_written_is_not_either(tmp_path: Path) -> None:
    file = StoreFile(tmp_path)
    file.open()
    with closing(file):
        unwritten = [keeping(CALL)]
        kept_calls.forget(file.db, unwritten, ("+31201112222",))
        assert unwritten == [Keep(CALL.call)]


async def test_a_row_of_a_gateway_that_did_not_note_whose_call_id_it_is(tmp_path: Path) -> None:
    row = keeping(CALL)
    assert row.payload
    earlier = Keep(CALL.call, row.payload.replace(',"call_id_is_ours":true', ""))
    assert earlier != row
    (found,) = await written(tmp_path, earlier)
    assert [leg.dialog.call_id_is_ours for leg in found.legs] == [False, False]


@pytest.mark.keeps("22.66")
async def test_a_row_of_a_gateway_that_notes_more(tmp_path: Path) -> None:
    """A later release was here, and is no more."""
    row = keeping(CALL)
    assert row.payload
    later = Keep(CALL.call, row.payload.replace('{"', '{"noted_since":{"a":1},"'))
    assert await written(tmp_path, later) == [FOUND]
