# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes a caller out of the history. The rows stay, so that what became of transfers counts as before."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from gateway.report.history import index
from gateway.report.history.callers import erased
from gateway.report.history.retention import AT_ONCE, TABLES
from gateway.report.history.rows import TRANSFER, pack_record, trail_text, unpack
from gateway.report.history.words import match_of, phrases


def forget(db: sqlite3.Connection, what: str, forms: Collection[str]) -> int:
    """Take a caller out of every row of which they are the caller, or whose trail names them; how many there were.

    Raises sqlite3.Error; what is done by then is done.
    """
    changed = 0
    reworded = False
    keys = _keys(db, what, forms)
    for begin in range(0, len(keys), AT_ONCE):
        db.execute("BEGIN IMMEDIATE")
        try:
            for at in keys[begin : begin + AT_ONCE]:
                found, words = _forget_row(db, what, at, forms)
                changed += found
                reworded |= words
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    if reworded:
        # A word that was taken out is in the index, marked as such, until that is merged.
        db.execute("INSERT INTO trails (trails) VALUES ('optimize')")
    # … and what a page held before is in the log (WAL) until that is written anew.
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return changed


def _keys(db: sqlite3.Connection, what: str, forms: Collection[str]) -> list[int]:
    found: dict[int, None] = {}
    for form in forms:
        by_caller = f"SELECT at FROM {TABLES[what]} WHERE caller = ?"  # noqa: S608 -- one of two
        found |= dict.fromkeys(at for (at,) in db.execute(by_caller, (form,)))
        if what == TRANSFER and (match := match_of(phrases(f'"{form}"'))):
            by_word = "SELECT rowid FROM trails WHERE trails MATCH ?"
            found |= dict.fromkeys(at for (at,) in db.execute(by_word, (match,)))
    return list(found)


def _forget_row(db: sqlite3.Connection, what: str, at: int, forms: Collection[str]) -> tuple[bool, bool]:
    """Whether anything was to be taken out of this row, and whether out of its trail."""
    table = TABLES[what]
    row = db.execute(f"SELECT kind, caller, record FROM {table} WHERE at = ?", (at,)).fetchone()  # noqa: S608 -- one of two
    if row is None:
        return False, False
    kind, caller, record = row
    try:
        before, events = unpack(record)
    except ValueError:
        before, events = {}, []  # it cannot be read any more, by anybody
    data = erased(before, forms, caller)
    if data is None:
        return False, False
    db.execute(
        f"UPDATE {table} SET caller = ?, record = ? WHERE at = ?",  # noqa: S608 -- one of two
        (None if caller in forms else caller, pack_record(data, events), at),
    )
    old, new = trail_text(before), trail_text(data)
    if what != TRANSFER or old == new:
        return True, False
    index.remove(db, at, kind, old)
    index.add(db, at, kind, new)
    return True, True
