# SPDX-License-Identifier: GPL-2.0-or-later
"""The history's tables, as a list of steps like the journal's (`report.migrations`), and its file.

The key of a row, `at`, is its time (`keys.py`). So the rows lie in the order of time, every index ends with the time,
and a page goes on where the one before it ended, whatever is added meanwhile.

`kinds` has a row for each combination of number, destination, outcome, reason and so on that has occurred: a few
hundred, whatever the number of transfers. A transfer names its kind, and the one index on that answers every
combination of such filters.
"""

import sqlite3
from pathlib import Path

import structlog

from gateway.report.history.hunts import stored_hunt
from gateway.report.history.index import kind_words, text_of
from gateway.report.store_file import StoreFile

FILE_NAME = "history.db"
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

# The kind of a transfer stands in the index of words too, as words of its own: see index.py. `trail_text` and
# `kind_words` are that module's. By caller, the index has all that a question looks at before it reads a row: a mask is
# that of ten thousands of transfers.
_KIND_IN_WORDS = """
DROP TABLE trails;
CREATE VIRTUAL TABLE trails USING fts5 (trail, kind, content = '', columnsize = 0, tokenize = 'unicode61');
INSERT INTO trails (rowid, trail, kind)
    SELECT at, trail_text(record), kind_words(kinds.id, number, destination, outcome, reason)
    FROM transfers JOIN kinds ON kinds.id = kind ORDER BY at;
DROP INDEX transfers_by_caller;
CREATE INDEX transfers_by_caller ON transfers (caller, at, kind) WHERE caller IS NOT NULL;
DROP INDEX calls_by_caller;
CREATE INDEX calls_by_caller ON calls (caller, at, kind) WHERE caller IS NOT NULL;
"""

# In which form callers are written, and below which keys rows may name them in full: see naming.py. Out of `changed`
# rows something was taken of which there may still be bytes: see cleaning.py. What older releases have written may be
# in full, whatever they were told.
_NAMING = """
CREATE TABLE naming (form TEXT NOT NULL, transfers INTEGER NOT NULL, calls INTEGER NOT NULL,
                     changed INTEGER NOT NULL, merging INTEGER NOT NULL);
INSERT INTO naming VALUES ('full', 0, 0, 0, 0);
"""

# Of a transfer that rang more than one destination, each of them in its order, and what came of it; `hunt` is from
# hunts.py.
_HUNTS = """
CREATE TABLE hunts (at INTEGER NOT NULL, place INTEGER NOT NULL, destination TEXT NOT NULL, reason TEXT NOT NULL,
                    PRIMARY KEY (at, place)) WITHOUT ROWID;
INSERT INTO hunts SELECT at, key, value ->> 0, value ->> 1 FROM transfers JOIN json_each(hunt(record));
"""

# The calls of platforms are a third thing that rows tell of; their promise stands where a transfer has its outcome.
# SQLite changes no CHECK, so the few hundred kinds move.
_PLATFORM_CALLS = """
CREATE TABLE new_kinds (id INTEGER PRIMARY KEY, what TEXT NOT NULL,
                        number TEXT NOT NULL, trunk TEXT NOT NULL, pbx TEXT NOT NULL, entry TEXT NOT NULL,
                        destination TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, failed INTEGER NOT NULL,
                        UNIQUE (what, number, trunk, pbx, entry, destination, outcome, reason));
INSERT INTO new_kinds SELECT * FROM kinds;
DROP TABLE kinds;
ALTER TABLE new_kinds RENAME TO kinds;
CREATE TABLE platform_calls (at INTEGER PRIMARY KEY, id NOT NULL UNIQUE, kind INTEGER NOT NULL REFERENCES kinds,
                             caller TEXT, record BLOB NOT NULL);
CREATE INDEX platform_calls_by_kind ON platform_calls (kind);
CREATE INDEX platform_calls_by_caller ON platform_calls (caller, at, kind) WHERE caller IS NOT NULL;
ALTER TABLE naming ADD COLUMN platform_calls INTEGER NOT NULL DEFAULT 0;
"""

STEPS = (_FIRST, _CHAIN, _KIND_IN_WORDS, _NAMING, _HUNTS, _PLATFORM_CALLS)

log = structlog.get_logger(__name__)


class HistoryFile(StoreFile):
    """The history's file. It is not read through when it is opened, as it may be large."""

    name = FILE_NAME
    steps = STEPS
    lost = "what is over by now is then in no report"

    def prepare(self, db: sqlite3.Connection) -> None:
        """Before there is a table, have what is deleted make the file smaller; have what the steps call."""
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.create_function("trail_text", 1, text_of, deterministic=True)
        db.create_function("kind_words", 5, kind_words, deterministic=True)
        db.create_function("hunt", 1, stored_hunt, deterministic=True)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if 0 < version < len(STEPS):
            log.info("history-upgrade", file=str(self.path), version=version, to=len(STEPS))

    def tell_moved(self, why: str, aside: Path) -> None:
        """A broken file was put out of the way."""
        log.error("history-moved-aside", why=why, moved_to=str(aside), help="sqlite3's .recover may still read it")

    def tell_gone(self) -> None:
        """The file was deleted or replaced while it was in use."""
        log.error("history-file-gone", file=str(self.path), help="it was deleted or replaced; it is written anew")
