# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages of transfers that are over, in a file: one row a transfer, deleted by age and size.

Synchronous, for one thread at a time. All of it may raise sqlite3.Error, OSError and StoreError.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from gateway.report.history.callers import Callers
from gateway.report.history.retention import used_bytes
from gateway.report.store_file import StoreFile

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAME = "messages.db"
AT_ONCE = 50  # rows of one transaction
PART = 20  # of all rows: so many go when there are too many

# `begun` is when the transfer was asked for, in seconds since 1970. `caller` is a keyed hash, whatever `callers` says:
# it is there to be forgotten by. `form` is "full", or "masked" where `document` has no whole phone numbers.
_FIRST = """
CREATE TABLE messages (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, begun REAL NOT NULL, completed INTEGER NOT NULL,
                       caller TEXT, form TEXT NOT NULL, document BLOB NOT NULL);
CREATE INDEX messages_by_time ON messages (completed, begun);
"""

log = structlog.get_logger(__name__)

Document: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Document], Document]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is to be kept of one transfer."""

    transfer: str
    begun: datetime
    completed: bool
    caller: str | None
    document: Document


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept."""

    days: int  # of what was completed
    failures_days: int  # of all else
    max_bytes: int


class MessagesFile(StoreFile):
    """The file; it is not read through when it is opened, as it may be large."""

    name = FILE_NAME
    steps = (_FIRST,)
    lost = "the SIP messages of what is over by now are then gone"

    def prepare(self, db: sqlite3.Connection) -> None:
        """Before there is a table, have what is deleted make the file smaller."""
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")

    def tell_moved(self, why: str, aside: Path) -> None:
        """A broken file was put out of the way."""
        log.error("messages-moved-aside", why=why, moved_to=str(aside), help="sqlite3's .recover may still read it")

    def tell_gone(self) -> None:
        """The file was deleted or replaced while it was in use."""
        log.error("messages-file-gone", file=str(self.path), help="it was deleted or replaced; it is written anew")


class MessageStore:
    """See the module."""

    def __init__(self, directory: Path) -> None:
        self._file = MessagesFile(directory)
        self._callers = Callers(directory)
        self._is_open = False
        self._masking = False

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._file.path

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self._file.close()
        self._is_open = False

    def remove(self) -> None:
        """Delete the file, with all that was kept."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def put(self, kept: Kept, bounds: Bounds) -> tuple[int, int]:
        """Keep it in place of what there was of this transfer; the oldest make room. Returns as `expire` does."""
        form = "masked" if kept.document["masked"] else "full"
        caller = self._callers.kept(kept.caller, "hashed")
        row = (kept.transfer, kept.begun.timestamp(), kept.completed, caller, form, packed(kept.document))
        with self._database() as db:
            db.execute(
                "INSERT INTO messages (id, begun, completed, caller, form, document) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET caller = excluded.caller, form = excluded.form,"
                " document = excluded.document",
                row,
            )
            _make_room(db, bounds.max_bytes)
            return _counts(db)

    def get(self, transfer: str) -> Document | None:
        """What is kept of a transfer; None: nothing."""
        with self._database() as db:
            return _found(db, transfer)

    def expire(self, bounds: Bounds, now: datetime) -> tuple[int, int]:
        """Delete what is too old, or too much. Returns how many transfers are left, and how many bytes they take."""
        with self._database() as db:
            for completed, days in ((1, bounds.days), (0, bounds.failures_days)):
                before = (now - timedelta(days=days)).timestamp()
                db.execute("DELETE FROM messages WHERE completed = ? AND begun < ?", (completed, before))
            _make_room(db, bounds.max_bytes)
            db.executescript("PRAGMA incremental_vacuum(2000)")
            return _counts(db)

    def mask(self, masked: Change) -> bool:
        """Have some more rows without whole phone numbers; whether there may be more."""
        with self._database() as db:
            chosen = "SELECT n, document FROM messages WHERE form = 'full' LIMIT ?"
            rows = db.execute(chosen, (AT_ONCE,)).fetchall()
            changed = [(packed(masked(unpacked(document))), n) for n, document in rows]
            for change in changed:
                db.execute("UPDATE messages SET form = 'masked', document = ? WHERE n = ?", change)
            self._masking = self._masking or bool(rows)
            if self._masking and len(rows) < AT_ONCE:
                _clean(db)
                self._masking = False
            return len(rows) == AT_ONCE

    def forget(self, caller: str, texts: list[str]) -> int:
        """Delete every row of a caller, and each in whose messages one of these texts stands: how many that were."""
        forms = self._callers.forms(caller, alone=True)
        gone = 0
        with self._database() as db:
            last = 0
            while rows := db.execute(
                "SELECT n, caller, document FROM messages WHERE n > ? ORDER BY n LIMIT ?", (last, AT_ONCE)
            ).fetchall():
                last = rows[-1][0]
                theirs = [(n,) for n, whose, held in rows if whose in forms or names(unpacked(held), texts)]
                db.executemany("DELETE FROM messages WHERE n = ?", theirs)
                gone += len(theirs)
            if gone:
                _clean(db)
        return gone

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with self._file.recovering():
            if not self._is_open:
                self._file.open()
                self._is_open = True
            self._file.keep()
            yield self._file.db


def stored(directory: Path, transfer: str) -> Document | None:
    """What the file of a gateway that does not run has of a transfer; None: nothing, or there is no file to be read."""
    path = directory / FILE_NAME
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return _found(db, transfer)
    except (sqlite3.Error, ValueError, zlib.error):
        return None


def packed(document: Document) -> bytes:
    """As it is stored: compressed JSON."""
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 6)


def unpacked(stored_as: bytes) -> Document:
    """What was stored; without anything where it cannot be read."""
    try:
        read = json.loads(zlib.decompress(stored_as))
    except (ValueError, zlib.error):
        return {}
    return read if isinstance(read, dict) else {}


def names(document: Mapping[str, Any], texts: list[str]) -> bool:
    """Whether one of these texts stands in the messages, or in what was decided between them."""
    said = (*document.get("messages", ()), *document.get("marks", ()))
    return any(text in one["text"] for one in said for text in texts)


def _found(db: sqlite3.Connection, transfer: str) -> Document | None:
    row = db.execute("SELECT document FROM messages WHERE id = ?", (transfer,)).fetchone()
    return (unpacked(row[0]) or None) if row else None


def _make_room(db: sqlite3.Connection, most: int) -> None:
    while used_bytes(db) > most:
        (rows,) = db.execute("SELECT count(*) FROM messages").fetchone()
        if not rows:
            return
        db.execute(
            "DELETE FROM messages WHERE n IN (SELECT n FROM messages ORDER BY begun LIMIT ?)", (max(1, rows // PART),)
        )


def _counts(db: sqlite3.Connection) -> tuple[int, int]:
    (rows,) = db.execute("SELECT count(*) FROM messages").fetchone()
    return rows, used_bytes(db)


def _clean(db: sqlite3.Connection) -> None:
    """Have no byte of the file hold what was deleted: SQLite leaves some behind when it moves rows between pages."""
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
