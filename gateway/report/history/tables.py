# SPDX-License-Identifier: GPL-2.0-or-later
"""The history's tables, as a list of steps like the journal's (`report.migrations`), and its file.

A row's key, `at`, is its time: milliseconds since 1970, shifted by 20 bits that tell apart what begins in the same
millisecond. So the rows lie in the order of time, every index ends with the time, and a page goes on where the one
before it ended, whatever is added meanwhile.

`kinds` has a row for each combination of number, destination, outcome, reason and so on that has occurred: a few
hundred, whatever the number of transfers. A transfer names its kind, and the one index on that answers every
combination of such filters.
"""

import sqlite3
import zlib
from datetime import UTC, datetime
from pathlib import Path

import structlog

from gateway.report.store_file import StoreFile

FILE_NAME = "history.db"
KEY_BITS = 20
PAGE_BYTES = 4096

# `milestones` holds what was reported of transfers that are still under way; it goes into `record` at their end.
# Times are in milliseconds: `at` since 1970, the others since the request or the beginning of the call.
# `trails` indexes the words of the trail and holds no text: whoever deletes a row gives it the same text again.
_FIRST = """
CREATE TABLE kinds (id INTEGER PRIMARY KEY, what TEXT NOT NULL CHECK (what IN ('transfer', 'call')),
                    number TEXT NOT NULL, trunk TEXT NOT NULL, pbx TEXT NOT NULL, entry TEXT NOT NULL,
                    destination TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, failed INTEGER NOT NULL,
                    UNIQUE (what, number, trunk, pbx, entry, destination, outcome, reason));
CREATE TABLE transfers (at INTEGER PRIMARY KEY, id NOT NULL UNIQUE, kind INTEGER NOT NULL REFERENCES kinds,
                        caller TEXT, decided_ms INTEGER, ringing_ms INTEGER, answered_ms INTEGER, human_ms INTEGER,
                        ended_ms INTEGER, returned INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX transfers_by_kind ON transfers (kind);
CREATE INDEX transfers_by_caller ON transfers (caller) WHERE caller IS NOT NULL;
CREATE TABLE calls (at INTEGER PRIMARY KEY, id NOT NULL UNIQUE, kind INTEGER NOT NULL REFERENCES kinds,
                    caller TEXT, connected_ms INTEGER, ended_ms INTEGER, record BLOB NOT NULL);
CREATE INDEX calls_by_kind ON calls (kind);
CREATE INDEX calls_by_caller ON calls (caller) WHERE caller IS NOT NULL;
CREATE TABLE milestones (transfer NOT NULL, event TEXT NOT NULL, type TEXT NOT NULL, time TEXT NOT NULL,
                         PRIMARY KEY (transfer, event)) WITHOUT ROWID;
CREATE TABLE deleted (why TEXT NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL,
                      PRIMARY KEY (why, what)) WITHOUT ROWID;
CREATE VIRTUAL TABLE trails USING fts5 (trail, content = '', columnsize = 0, tokenize = 'unicode61');
"""

# A line for each transfer that has ended, in the order in which they were stored: see chain.py. `chain_begun` says how
# many transfers there were before the chain.
_CHAIN = """
CREATE TABLE chain (n INTEGER PRIMARY KEY, id NOT NULL, at_ms INTEGER NOT NULL, kind INTEGER NOT NULL REFERENCES kinds,
                    decided_ms INTEGER, ringing_ms INTEGER, answered_ms INTEGER, human_ms INTEGER, ended_ms INTEGER,
                    returned INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE TABLE chain_begun (transfers INTEGER NOT NULL);
INSERT INTO chain_begun SELECT (SELECT count(*) FROM transfers)
    + (SELECT coalesce(sum(count), 0) FROM deleted WHERE what = 'transfer' AND why IN ('age', 'size'));
"""

STEPS = (_FIRST, _CHAIN)

log = structlog.get_logger(__name__)


class HistoryFile(StoreFile):
    """The history's file. It is not read through when it is opened, as it may be large."""

    name = FILE_NAME
    steps = STEPS

    def prepare(self, db: sqlite3.Connection) -> None:
        """Before there is a table, have what is deleted make the file smaller."""
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")

    def tell_moved(self, why: str, aside: Path) -> None:
        """A broken file was put out of the way."""
        log.error("history-moved-aside", why=why, moved_to=str(aside), help="sqlite3's .recover may still read it")

    def tell_gone(self) -> None:
        """The file was deleted or replaced while it was in use."""
        log.error("history-file-gone", file=str(self.path), help="it was deleted or replaced; it is written anew")


def key_of(moment: datetime, which: str) -> int:
    """The key of what began at that moment; `which` is its id."""
    return first_key(moment) | zlib.crc32(which.encode(errors="replace")) & ((1 << KEY_BITS) - 1)


def first_key(moment: datetime) -> int:
    """The lowest key of that millisecond."""
    return max(0, round((moment - _EPOCH).total_seconds() * 1000)) << KEY_BITS


def moment_of(key: int) -> datetime:
    """When what has this key began."""
    return datetime.fromtimestamp((key >> KEY_BITS) / 1000, UTC)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
