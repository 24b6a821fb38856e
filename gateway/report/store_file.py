# SPDX-License-Identifier: GPL-2.0-or-later
"""A file of the journal or the history: opened by one gateway alone, moved aside when damaged, written anew when gone.

SQLite in WAL mode with synchronous=FULL: what was committed survives a killed process and a power cut.
"""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO, TypeAlias

import structlog

from gateway.core.system_error import in_words
from gateway.report.migrations import STEPS, NewerVersionError, migrate

FILE_NAME = "outbox.db"
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

log = structlog.get_logger(__name__)


class StoreError(Exception):
    """The journal, or the history, can't be used; the message says why and what helps."""


class BrokenFileError(StoreError):
    """The file is no database of ours, or damaged."""


class StoreFile:
    """See the module; for one thread at a time. This one is the journal's."""

    name = FILE_NAME
    steps: Sequence[str] = STEPS
    """What makes its tables: see migrations.py."""
    lost = "what waits in it is then not sent"
    """What comes of it when the file of a newer gateway is moved away."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / self.name
        self._lock: TextIO | None = None
        self._file: _Identities = (None, None)
        self._is_copied = False
        self._connection: sqlite3.Connection | None = None

    @property
    def db(self) -> sqlite3.Connection:
        """The open database, in autocommit mode. Raises sqlite3.ProgrammingError when it is closed."""
        if self._connection is None:
            raise sqlite3.ProgrammingError(f"{self.name} is closed")
        return self._connection

    @contextlib.contextmanager
    def recovering(self) -> Iterator[None]:
        """Put the file aside when it turns out to be damaged, for the caller to try again. Raises StoreError too."""
        try:
            yield
        except NewerVersionError as error:
            raise StoreError(str(error)) from error
        except sqlite3.DatabaseError as error:
            if is_broken(error):
                self.move_aside(str(error))
            raise

    def open(self) -> None:
        """Open or make the database; a broken one is moved aside first. Raises StoreError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._connect_or_begin_anew()
        except (OSError, sqlite3.Error, NewerVersionError) as error:
            self.close()
            raise StoreError(f"{self.path}: {in_words(error)}") from error
        except StoreError:
            self.close()
            raise

    def _take_lock(self) -> None:
        path = self.path.with_suffix(".lock")
        self._lock = path.open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{path} is held by another process: each gateway needs a state_dir of its own") from None

    def _connect_or_begin_anew(self) -> None:
        try:
            self._connect()
        except (BrokenFileError, sqlite3.DatabaseError) as error:
            if not is_broken(error):
                raise
            self.move_aside(str(error))

    def _connect(self) -> None:
        try:
            self._connect_to_it()
        except BaseException:
            self.disconnect()
            raise

    def _connect_to_it(self) -> None:
        # Callers' numbers are in it.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        # Each call comes from one thread at a time, though not always from the same.
        self._connection = db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.prepare(db)
        db.execute("PRAGMA synchronous = FULL")
        # What is deleted is overwritten: somebody may have asked for that.
        db.execute("PRAGMA secure_delete = ON")
        # Before anything that writes: a newer file is left as it is.
        migrate(db, self.steps, self.lost)
        db.execute("PRAGMA journal_mode = WAL")
        self._file = _identities(self.path)

    def prepare(self, db: sqlite3.Connection) -> None:
        """What comes first with an open file. Raises BrokenFileError, sqlite3.Error."""
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise BrokenFileError("the file is damaged")

    def tell_moved(self, why: str, aside: Path) -> None:
        """A broken file was put out of the way."""
        log.error(
            "outbox-moved-aside",
            why=why, moved_to=str(aside), help="sqlite3's .recover may still read it",
        )  # fmt: skip

    def tell_gone(self) -> None:
        """The file was deleted or replaced while it was in use."""
        log.error("outbox-file-gone", file=str(self.path), help="it was deleted or replaced; it is written anew")

    def move_aside(self, why: str) -> None:
        """Put a broken file out of the way, under a name that tells when, and start with an empty one."""
        self.disconnect()
        self.tell_moved(why, self._put_aside("broken"))
        self._connect()

    def keep(self) -> bool:
        """Write the file anew if it or its log was deleted or replaced while in use: we can still read all of it.

        Opens it again, too, where that has failed on the way: here, or when a broken file was moved aside. Returns
        whether it did either. Raises OSError, sqlite3.Error, StoreError.
        """
        if self._connection is not None:
            if self._is_there():
                return False
            self.tell_gone()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._lock is not None:
                # Whoever holds a lock of this name by now has the directory.
                self._lock.close()
            self._take_lock()
            self._copy()
            # Closing takes the log files away by their names: only then may there be new ones.
            self.disconnect()
            self._is_copied = True
        if self._is_copied:
            self._put_aside("replaced")
            self._copied_to.replace(self.path)
            self._is_copied = False
        try:
            self._connect_or_begin_anew()
        except NewerVersionError as error:
            raise StoreError(f"{self.path}: {in_words(error)}") from error
        return True

    def _is_there(self) -> bool:
        _, log_file = now = _identities(self.path)
        if self._file[1] is None:
            # It comes with the first thing that is written.
            self._file = self._file[0], log_file
        return now == self._file

    @property
    def _copied_to(self) -> Path:
        return self.path.with_suffix(".new")

    def _copy(self) -> None:
        self._copied_to.unlink(missing_ok=True)
        os.close(os.open(self._copied_to, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(self._copied_to)) as target:
            self.db.backup(target)

    def _put_aside(self, suffix: str) -> Path:
        aside = self.path.with_name(f"{self.path.name}.{suffix}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        for part_suffix in ("", "-wal", "-shm"):
            part = Path(f"{self.path}{part_suffix}")
            if part.exists():
                part.replace(f"{aside}{part_suffix}")
        return aside

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self.disconnect()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def disconnect(self) -> None:
        """Let go of the database; `keep` opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_Identities: TypeAlias = tuple[tuple[int, int] | None, tuple[int, int] | None]
"""Of the database and of its log (SQLite's WAL), in which the newest transactions are."""


def _identities(path: Path) -> _Identities:
    return _identity(path), _identity(Path(f"{path}-wal"))


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
