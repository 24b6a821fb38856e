# SPDX-License-Identifier: GPL-2.0-or-later
"""The outbox's database: events that wait for the broker, those it refused, transfers under way, transfers that ended.

Synchronous, for one thread. SQLite in WAL mode with synchronous=FULL: what `apply` returned from survives a killed
process and a power cut.
"""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeAlias

import structlog

from gateway.report import refused
from gateway.report.refused import Refuse, Refused, Resend

FILE_NAME = "outbox.db"
HISTORY_OF_EACH = 500  # ended transfers that are remembered: this many completed ones, and this many others
KEPT_WITHOUT_BROKER = 10_000  # events kept for inspection when no broker is configured
DROP_NOTICE_EVERY_S = 60.0

# A table more is no new version: the release before does without it, so that an upgrade can be taken back.
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, topic TEXT NOT NULL,
                                   payload TEXT NOT NULL, stored_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS running (transfer TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ended (seq INTEGER PRIMARY KEY AUTOINCREMENT, transfer TEXT NOT NULL UNIQUE,
                                  completed INTEGER NOT NULL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS ended_by_outcome ON ended (completed, seq);
"""
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

log = structlog.get_logger(__name__)


class StoreError(Exception):
    """The database can't be used; the message says why and what helps."""


class BrokenFileError(StoreError):
    """The file is no database of ours, or damaged."""


@dataclass(frozen=True, slots=True)
class TransferChange:
    """What an event says of its transfer: stored together with it, so that neither is ever there without the other."""

    transfer: str
    document: str  # JSON of core.document.transfer_document
    ended: bool
    completed: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Store one event; `stored_at` in seconds since 1970."""

    event_id: str
    topic: str
    payload: str
    stored_at: float
    change: TransferChange | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """The broker acknowledged the event with this sequence number."""

    seq: int


Write: TypeAlias = Put | Forget | Refuse | Resend


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that waits for the broker."""

    seq: int
    event_id: str
    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the last run of the gateway left, as JSON documents."""

    running: tuple[str, ...] = ()  # transfers that were under way when it ended, oldest first
    ended: tuple[str, ...] = ()  # newest first


class Store:
    """See the module. `max_events` bounds the file: beyond it the oldest events are dropped, and the log says so."""

    def __init__(self, directory: Path, *, max_events: int, forwarding: bool) -> None:
        self._path = directory / FILE_NAME
        self._limit = max_events if forwarding else min(max_events, KEPT_WITHOUT_BROKER)
        self._forwarding = forwarding
        self._lock: TextIO | None = None
        self._file: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None
        self._dropped = 0
        self._drop_notice_at = float("-inf")
        self.count = 0
        self.refused = Refused()

    def open(self) -> Remembered:
        """Open or make the database; a broken one is moved aside first. Raises StoreError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            try:
                self._connect()
            except (BrokenFileError, sqlite3.DatabaseError) as error:
                if not is_broken(error):
                    raise
                self.move_aside(str(error))
            return self._remembered()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise StoreError(f"{self._path}: {error}") from error
        except StoreError:
            self.close()
            raise

    def _take_lock(self) -> None:
        path = self._path.with_suffix(".lock")
        self._lock = path.open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{path} is held by another process: each gateway needs a state_dir of its own") from None

    def _connect(self) -> None:
        # Callers' numbers are in it.
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._connection = db = sqlite3.connect(self._path, isolation_level=None)
        self._file = _identity(self._path)
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise BrokenFileError("the file is damaged")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise BrokenFileError(f"the file is of version {version}, made by a newer gateway")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(_SCHEMA + refused.SCHEMA)
        db.execute(f"PRAGMA user_version = {_VERSION}")
        (self.count,) = db.execute("SELECT count(*) FROM events").fetchone()
        self.refused = Refused.of(db)

    def move_aside(self, why: str) -> None:
        """Put a broken file out of the way, under a name that tells when, and start with an empty one."""
        self._disconnect()
        aside = self._put_aside("broken")
        log.error(
            "the outbox cannot be read: it was moved aside, and what it held is not sent",
            why=why, moved_to=str(aside), help="sqlite3's .recover may still read it",
        )  # fmt: skip
        self._connect()

    def keep(self) -> None:
        """Write the file anew if it was deleted or replaced while in use: all that it held is still readable to us.

        Raises OSError, sqlite3.Error, StoreError.
        """
        if _identity(self._path) == self._file:
            return
        log.error("outbox-file-gone", file=str(self._path), help="it was deleted or replaced; it is written anew")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._lock is not None:
            # Whoever holds a lock of this name by now has the directory.
            self._lock.close()
        self._take_lock()
        copy = self._path.with_suffix(".new")
        copy.unlink(missing_ok=True)
        os.close(os.open(copy, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(copy)) as target:
            self._db.backup(target)
        # Closing takes the log files away by their names: only then may there be new ones.
        self._disconnect()
        self._put_aside("replaced")
        copy.replace(self._path)
        self._connect()
        log.warning("outbox-file-restored", file=str(self._path), events=self.count)

    def _put_aside(self, suffix: str) -> Path:
        aside = self._path.with_name(f"{self._path.name}.{suffix}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        for part_suffix in ("", "-wal", "-shm"):
            part = Path(f"{self._path}{part_suffix}")
            if part.exists():
                part.replace(f"{aside}{part_suffix}")
        return aside

    def _remembered(self) -> Remembered:
        running = self._db.execute("SELECT document FROM running ORDER BY transfer")
        ended = self._db.execute("SELECT document FROM ended ORDER BY seq DESC")
        return Remembered(tuple(row[0] for row in running), tuple(row[0] for row in ended))

    def apply(self, writes: Sequence[Write]) -> None:
        """Carry out all of `writes`, in order, or none. Raises sqlite3.Error."""
        db = self._db
        added = 0
        has_ended = has_moved = False
        db.execute("BEGIN IMMEDIATE")
        try:
            for write in writes:
                match write:
                    case Put():
                        added += self._put(db, write)
                        has_ended = has_ended or (write.change is not None and write.change.ended)
                    case Forget(seq):
                        added -= db.execute("DELETE FROM events WHERE seq = ?", (seq,)).rowcount
                    case Refuse() | Resend():
                        added += refused.move(db, write)
                        has_moved = True
            if has_ended:
                self._trim_history(db)
            surplus = max(0, self.count + added - self._limit)
            if surplus:
                db.execute("DELETE FROM events WHERE seq IN (SELECT seq FROM events ORDER BY seq LIMIT ?)", (surplus,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self.count += added - surplus
        if has_moved:
            self.refused = Refused.of(db)
        if self._forwarding:
            self._tell_dropped(surplus)

    def _put(self, db: sqlite3.Connection, put: Put) -> int:
        change = put.change
        if change is not None:
            if change.ended:
                new = db.execute(
                    "INSERT OR IGNORE INTO ended (transfer, completed, document) VALUES (?, ?, ?)",
                    (change.transfer, change.completed, change.document),
                ).rowcount
                db.execute("DELETE FROM running WHERE transfer = ?", (change.transfer,))
                if not new:
                    log.error("a second outcome of a transfer was dropped", transfer=change.transfer)
                    return 0
            else:
                # A milestone that comes after the end must not make the transfer look as if it ran.
                db.execute(
                    "INSERT OR REPLACE INTO running (transfer, document)"
                    " SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM ended WHERE transfer = ?)",
                    (change.transfer, change.document, change.transfer),
                )
        db.execute(
            "INSERT INTO events (id, topic, payload, stored_at) VALUES (?, ?, ?, ?)",
            (put.event_id, put.topic, put.payload, put.stored_at),
        )
        return 1

    def _trim_history(self, db: sqlite3.Connection) -> None:
        for completed in (0, 1):
            db.execute(
                "DELETE FROM ended WHERE completed = ? AND seq <="
                " (SELECT seq FROM ended WHERE completed = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (completed, completed, HISTORY_OF_EACH),
            )

    def _tell_dropped(self, surplus: int) -> None:
        self._dropped += surplus
        if self._dropped and time.monotonic() - self._drop_notice_at >= DROP_NOTICE_EVERY_S:
            log.error("the outbox is full: the oldest events were dropped", dropped=self._dropped, limit=self._limit)
            self._dropped = 0
            self._drop_notice_at = time.monotonic()

    def fetch(self, after: int, limit: int) -> list[StoredEvent]:
        """The oldest `limit` events whose sequence number is above `after`. Raises sqlite3.Error."""
        rows = self._db.execute(
            "SELECT seq, id, topic, payload FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        return [StoredEvent(*row) for row in rows]

    def oldest_at(self) -> float | None:
        """When the oldest waiting event was stored, in seconds since 1970. Raises sqlite3.Error."""
        row = self._db.execute("SELECT stored_at FROM events ORDER BY seq LIMIT 1").fetchone()
        return row and float(row[0])

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the outbox is closed")
        return self._connection

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self._disconnect()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to; None: to none. Raises OSError when that can't be told."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def is_broken(error: Exception) -> bool:
    """Whether an error tells that the file itself is unusable (SQLITE_CORRUPT, SQLITE_NOTADB)."""
    # The low byte is the primary result code.
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, BrokenFileError) or (code is not None and code & 0xFF in _BROKEN)
