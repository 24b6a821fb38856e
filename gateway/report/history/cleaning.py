# SPDX-License-Identifier: GPL-2.0-or-later
"""After a number was taken out of rows: have no byte of the file hold it any more.

`secure_delete` overwrites what is deleted, and not what SQLite leaves behind when it moves rows from one page to
another; the index of words keeps what was removed from it, marked as such, until it is merged. So the index is merged
and the file written anew. That this is to be done stands in the file, in the table `naming`, until it is done.
"""

from __future__ import annotations

import sqlite3

from gateway.report.history import index


def note(db: sqlite3.Connection, rows: int) -> None:
    """Of so many rows something was taken out. Belongs into the transaction that did it."""
    if rows:
        db.execute("UPDATE naming SET changed = changed + ?", (rows,))


def clean(db: sqlite3.Connection) -> bool:
    """Do a part of it; whether there may be more. The last part takes some seconds for a million rows.

    Raises sqlite3.Error, as where there is no room for the file to be written anew.
    """
    changed, merging = db.execute("SELECT changed, merging FROM naming").fetchone()
    if not changed:
        return False
    if index.merge(db, begin=not merging):
        db.execute("UPDATE naming SET merging = 1")
        return True
    db.execute("VACUUM")
    db.execute("UPDATE naming SET changed = 0, merging = 0")
    # What a page held before is in the log (WAL) until that is written anew.
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return False
