# SPDX-License-Identifier: GPL-2.0-or-later
"""What the history no longer keeps: what is too old, and what does not fit any more.

Functions on the open database, each a transaction of its own that deletes a part, so that the rest can be written
between two of them; all of them may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.report.history import chain, hunts, index
from gateway.report.history.callers import CallerForm
from gateway.report.history.keys import first_key
from gateway.report.history.rows import CALL, PLATFORM_CALL, TRANSFER

AT_ONCE = 500  # rows of one transaction
PART = 20  # of all rows: so many go when there are too many
TABLES = {TRANSFER: "transfers", CALL: "calls", PLATFORM_CALL: "platform_calls"}
AGE, SIZE, FORGOTTEN = "age", "size", "forgotten"


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of the history is kept, and how callers are named in it."""

    days: int = 90  # what was completed, and calls that were hung up
    failures_days: int = 365  # all else
    max_bytes: int = 1_000_000_000  # of the file
    callers: CallerForm = "full"


def delete_expired(db: sqlite3.Connection, keep: Keep, now: datetime) -> int:
    """Delete up to `AT_ONCE` of the rows that are too old; how many there were."""
    limits = {False: first_key(now - timedelta(days=keep.days)), True: first_key(now - timedelta(keep.failures_days))}
    for what, table in TABLES.items():
        for kind, failed in db.execute("SELECT id, failed FROM kinds WHERE what = ?", (what,)).fetchall():
            chosen = f"SELECT at FROM {table} WHERE kind = ? AND at < ? ORDER BY at LIMIT ?"  # noqa: S608 -- one of ours
            keys = [at for (at,) in db.execute(chosen, (kind, limits[bool(failed)], AT_ONCE))]
            if keys:
                return _delete(db, what, keys, AGE)
    if lines := chain.expire(db, keep.max_bytes, now):
        return lines
    oldest = (now - timedelta(days=max(keep.days, keep.failures_days))).isoformat()
    return db.execute("DELETE FROM milestones WHERE time < ?", (oldest,)).rowcount


class Surplus:
    """Has the file fit into its bound again. What is deleted takes up room in the index of words until it is merged."""

    def __init__(self) -> None:
        self._left = 0  # rows that are to be deleted before it is looked again
        self._merging = False
        self._merged = False  # nothing was deleted since

    def work(self, db: sqlite3.Connection, keep: Keep, *, deleted: bool) -> bool:
        """Do some of what is to be done; whether there may be more. `deleted`: something has gone by its age."""
        if deleted:
            self._merged = False
        if self._merging:
            return self._merge(db)
        if not self._left:
            if used_bytes(db) <= keep.max_bytes:
                return False
            if not self._merged:
                return self._merge(db)
            self._left = max(AT_ONCE, sum(_rows(db).values()) // PART)
        gone = _delete_oldest(db, min(AT_ONCE, self._left))
        self._merged = False
        self._left = self._left - gone if gone else 0
        return gone > 0

    def _merge(self, db: sqlite3.Connection) -> bool:
        """Merge a part of the index of words; True: there is always more to be done."""
        self._merging = index.merge(db, begin=not self._merging)
        self._merged = not self._merging
        return True


def _rows(db: sqlite3.Connection) -> dict[tuple[str, int], int]:
    """How many rows there are, by their table and whether they failed."""
    found: Counter[tuple[str, int]] = Counter()
    for what, table in TABLES.items():
        counted = f"SELECT failed, count(*) FROM {table} JOIN kinds ON kinds.id = kind GROUP BY kind"  # noqa: S608
        for failed, count in db.execute(counted):
            found[what, failed] += count
    return found


def _delete_oldest(db: sqlite3.Connection, most: int) -> int:
    """Delete the oldest of what succeeded or of what did not, whichever is more: no flood takes the other away."""
    rows = _rows(db)
    sums = {failed: sum(count for (_, of), count in rows.items() if of == failed) for failed in (0, 1)}
    more = max(sums, key=lambda failed: sums[failed])
    oldest = []
    for what, table in TABLES.items():
        for (kind,) in db.execute("SELECT id FROM kinds WHERE what = ? AND failed = ?", (what, more)).fetchall():
            chosen = f"SELECT at FROM {table} WHERE kind = ? ORDER BY at LIMIT ?"  # noqa: S608 -- one of ours
            oldest += [(at, what) for (at,) in db.execute(chosen, (kind, most))]
    oldest = sorted(oldest)[:most]
    return sum(_delete(db, what, [at for at, of in oldest if of == what], SIZE) for what in TABLES)


def give_back(db: sqlite3.Connection) -> None:
    """Return some of the pages that are free to the disk."""
    # It gives one page back at each step, and execute() makes but one.
    db.executescript("PRAGMA incremental_vacuum(2000)")


def used_bytes(db: sqlite3.Connection) -> int:
    """What rows and indexes take up."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def deleted(db: sqlite3.Connection) -> Mapping[str, int]:
    """How many rows were deleted since the file was made, by why."""
    counted = db.execute("SELECT why, sum(count) FROM deleted GROUP BY why")
    return {AGE: 0, SIZE: 0} | {why: count for why, count in counted if why != FORGOTTEN}


def _delete(db: sqlite3.Connection, what: str, keys: list[int], why: str) -> int:
    if not keys:
        return 0
    db.execute("BEGIN IMMEDIATE")
    try:
        for at in keys:
            if what == TRANSFER:
                kind, record = db.execute("SELECT kind, record FROM transfers WHERE at = ?", (at,)).fetchone()
                index.remove(db, at, kind, index.text_of(record))
                hunts.remove(db, at)
            db.execute(f"DELETE FROM {TABLES[what]} WHERE at = ?", (at,))  # noqa: S608 -- one of ours
        db.execute(
            "INSERT INTO deleted VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (why, what, len(keys)),
        )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return len(keys)
