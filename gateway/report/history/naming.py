# SPDX-License-Identifier: GPL-2.0-or-later
"""Has rows that were stored in full name callers as `[history] callers` says by now, some rows at a time.

Functions on the open database, each a transaction of its own, so that the rest can be written between two of them; all
of them may raise sqlite3.Error. What is to be done stands in the file: `naming` holds the form in which rows are
written, and below which keys older ones may still be in full. A kill in the midst of it loses nothing, and another
change of the setting begins anew, at the newest row.

A mask cannot become a hash, nor a hash a mask: from neither of them the number can be told.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateway.report.history import cleaning, index
from gateway.report.history.callers import CallerForm, Callers, is_full, without_caller
from gateway.report.history.retention import TABLES
from gateway.report.history.rows import TRANSFER, pack_record, trail_text, unpack

AT_ONCE = 200  # rows of one transaction: some 10 ms


@dataclass(frozen=True, slots=True)
class Renamed:
    """What has come of a part of the work."""

    rows: int = 0  # that named their caller in full
    more: bool = False  # there may be more to be done


def note(db: sqlite3.Connection, form: CallerForm) -> None:
    """From now on rows are written in this form. Belongs into the transaction that writes the first of them."""
    (before,) = db.execute("SELECT form FROM naming").fetchone()
    if before == form:
        return
    ends = [
        0 if form == "full" else db.execute(f"SELECT coalesce(max(at) + 1, 0) FROM {table}").fetchone()[0]  # noqa: S608
        for table in TABLES.values()
    ]
    columns = ", ".join(f"{table} = ?" for table in TABLES.values())
    db.execute(f"UPDATE naming SET form = ?, {columns}", (form, *ends))  # noqa: S608 -- names of ours


def left(db: sqlite3.Connection) -> int:
    """How many rows have not been looked at yet."""
    found = db.execute(f"SELECT {', '.join(TABLES.values())} FROM naming").fetchone()  # noqa: S608 -- names of ours
    counted = [
        db.execute(f"SELECT count(*) FROM {table} WHERE at < ?", (below,)).fetchone()[0] if below else 0  # noqa: S608
        for table, below in zip(TABLES.values(), found, strict=True)
    ]
    return sum(counted)


def rename(db: sqlite3.Connection, callers: Callers, form: CallerForm) -> Renamed:
    """Do some of it. Raises OSError, too, where the key of the hashes can be neither read nor made."""
    db.execute("BEGIN IMMEDIATE")
    try:
        note(db, form)
        done = _rename(db, callers, form)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return done if done.more else Renamed(more=cleaning.clean(db))


def _rename(db: sqlite3.Connection, callers: Callers, form: CallerForm) -> Renamed:
    for what, table in TABLES.items():
        (below,) = db.execute(f"SELECT {table} FROM naming").fetchone()  # noqa: S608 -- one of ours
        if not below:
            continue
        chosen = f"SELECT at, kind, caller, record FROM {table} WHERE at < ? ORDER BY at DESC LIMIT ?"  # noqa: S608
        rows = db.execute(chosen, (below, AT_ONCE)).fetchall()
        renamed = sum(_rename_row(db, what, row, callers, form) for row in rows)
        reached = rows[-1][0] if len(rows) == AT_ONCE else 0
        db.execute(f"UPDATE naming SET {table} = ?", (reached,))  # noqa: S608 -- one of ours
        cleaning.note(db, renamed)
        return Renamed(renamed, more=True)
    return Renamed()


def _rename_row(
    db: sqlite3.Connection, what: str, row: tuple[int, int, str | None, bytes], callers: Callers, form: CallerForm
) -> bool:
    at, kind, caller, record = row
    try:
        before, events = unpack(record)
    except ValueError:
        before, events = {}, []  # it cannot be read any more, by anybody
    full = is_full(caller)
    if not full and not before.get("context"):
        return False
    shown = callers.kept(caller, form) if full else caller
    data = without_caller(before, caller if full else None, shown or "…")
    db.execute(
        f"UPDATE {TABLES[what]} SET caller = ?, record = ? WHERE at = ?",  # noqa: S608 -- one of ours
        (shown, pack_record(data, events) if before else record, at),
    )
    old, new = trail_text(before), trail_text(data)
    if what == TRANSFER and old != new:
        index.remove(db, at, kind, old)
        index.add(db, at, kind, new)
    return True
