# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes a caller out of the history. The rows stay, so that what became of transfers counts as before.

Every row is read, some thousand at a time: a number may stand where no index leads to, in the target that somebody else
asked for or in the headers of their request.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from gateway.report.history import cleaning, index
from gateway.report.history.callers import erased
from gateway.report.history.retention import TABLES
from gateway.report.history.rows import CALL, PLATFORM_CALL, TRANSFER, holds, pack_record, trail_text, unpack

AT_ONCE = 2000  # rows of one part: some 20 ms
_LAST = (1 << 63) - 1
_NEXT = {TRANSFER: CALL, CALL: PLATFORM_CALL}


@dataclass(frozen=True, slots=True)
class Forgetting:
    """How far it has come, and what was found by then: rows of which they were in some place taken out."""

    transfers: int = 0
    calls: int = 0
    platform_calls: int = 0
    others: int = 0  # among all, those of other callers, or of nobody known
    what: str = TRANSFER  # that is read next, below this key
    below: int = _LAST
    over: bool = False


def forget_some(db: sqlite3.Connection, forms: Collection[str], done: Forgetting) -> Forgetting:
    """Take a caller, in all these forms, out of some more rows, until it is over. Raises sqlite3.Error."""
    if done.below:
        return _forget_rows(db, forms, done)
    if (following := _NEXT.get(done.what)) is not None:
        return replace(done, what=following, below=_LAST)
    return replace(done, over=not cleaning.clean(db))


def _forget_rows(db: sqlite3.Connection, forms: Collection[str], done: Forgetting) -> Forgetting:
    # As JSON has them; with or without the plus.
    marks = [json.dumps(form.removeprefix("+"))[1:-1].encode() for form in forms]
    table = TABLES[done.what]
    chosen = f"SELECT at, kind, caller, record FROM {table} WHERE at < ? ORDER BY at DESC LIMIT ?"  # noqa: S608
    found = 0
    others, below = done.others, 0
    db.execute("BEGIN IMMEDIATE")
    try:
        rows = db.execute(chosen, (done.below, AT_ONCE)).fetchall()
        for at, kind, caller, record in rows:
            if caller not in forms and not _may_name(record, marks):
                continue
            if _forget_row(db, done.what, (at, kind, caller, record), forms):
                found += 1
                others += caller not in forms
        cleaning.note(db, found)
        below = rows[-1][0] if len(rows) == AT_ONCE else 0
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    match done.what:
        case "transfer":
            done = replace(done, transfers=done.transfers + found)
        case "call":
            done = replace(done, calls=done.calls + found)
        case _:
            done = replace(done, platform_calls=done.platform_calls + found)
    return replace(done, others=others, below=below)


def _may_name(record: bytes, marks: Sequence[bytes]) -> bool:
    try:
        return holds(record, marks)
    except ValueError:
        return False  # it cannot be read any more, by anybody


def _forget_row(
    db: sqlite3.Connection, what: str, row: tuple[int, int, str | None, bytes], forms: Collection[str]
) -> bool:
    """Whether anything was to be taken out of this row."""
    at, kind, caller, record = row
    try:
        before, events = unpack(record)
    except ValueError:
        before, events = {}, []
    data = erased(before, forms, caller)
    if data is None:
        return False
    db.execute(
        f"UPDATE {TABLES[what]} SET caller = ?, record = ? WHERE at = ?",  # noqa: S608 -- one of ours
        (None if caller in forms else caller, pack_record(data, events), at),
    )
    old, new = trail_text(before), trail_text(data)
    if what == TRANSFER and old != new:
        index.remove(db, at, kind, old)
        index.add(db, at, kind, new)
    return True
