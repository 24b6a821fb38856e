# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal's tables, as a list of steps: a file of version n (`PRAGMA user_version`) has had the first n of them.

A step is never changed once it was released; a new one goes to the end, with a test that starts from a file of the
version before it.
"""

import sqlite3
from collections.abc import Sequence

_FIRST = """
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, topic TEXT NOT NULL,
                                   payload TEXT NOT NULL, stored_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS running (transfer TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ended (seq INTEGER PRIMARY KEY AUTOINCREMENT, transfer TEXT NOT NULL UNIQUE,
                                  completed INTEGER NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refused (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, topic TEXT NOT NULL,
                                    payload TEXT NOT NULL, stored_at REAL NOT NULL, refused_at REAL NOT NULL,
                                    why TEXT NOT NULL, ends_connection INTEGER NOT NULL);
"""

# An event is in `journal` once. What each sink has taken is a cursor, and in `apart` the events to which the cursor's
# word does not apply: above it "taken"; on either side "refused"; below it "again", to be sent once more. What is
# `again` or `ahead` waits for the sink. `transfers` leads to the newest event of each transfer, which holds all that is
# known of it. The triggers take away what nobody needs any more, whoever it was that needed it last.
#
# Of events that had left the table before, `running` and `ended` kept the data alone. These go before all others, where
# no cursor ever comes.
_JOURNAL = """
CREATE TABLE IF NOT EXISTS refused (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, topic TEXT NOT NULL,
                                    payload TEXT NOT NULL, stored_at REAL NOT NULL, refused_at REAL NOT NULL,
                                    why TEXT NOT NULL, ends_connection INTEGER NOT NULL);
ALTER TABLE events RENAME TO journal;
ALTER TABLE refused RENAME TO refused_before;

CREATE TABLE sinks (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO sinks SELECT 'mqtt', coalesce((SELECT min(seq) - 1 FROM journal),
                                          (SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0);

CREATE TABLE apart (sink TEXT NOT NULL, seq INTEGER NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('taken', 'refused', 'again')),
                    refused_at REAL, why TEXT, ends_connection INTEGER, PRIMARY KEY (sink, seq)) WITHOUT ROWID;
CREATE INDEX apart_by_event ON apart (seq);
CREATE INDEX apart_by_state ON apart (sink, state, seq);
INSERT OR IGNORE INTO journal (seq, id, topic, payload, stored_at)
    SELECT seq, id, topic, payload, stored_at FROM refused_before;
INSERT INTO apart SELECT 'mqtt', seq, 'refused', refused_at, why, ends_connection FROM refused_before;
CREATE VIEW refused AS
    SELECT apart.seq, id, topic, payload, stored_at, refused_at, why, ends_connection, sink
    FROM apart JOIN journal ON journal.seq = apart.seq WHERE state = 'refused';

CREATE TABLE transfers (transfer TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, requested_at TEXT NOT NULL,
                        state TEXT NOT NULL CHECK (state IN ('running', 'completed', 'other'))) WITHOUT ROWID;
CREATE INDEX transfers_by_state ON transfers (state, seq);
INSERT OR IGNORE INTO transfers
    SELECT transfer, -row_number() OVER (ORDER BY place DESC, transfer),
           coalesce(json_extract(document, '$.requested_at'), ''), state
    FROM (SELECT transfer, document, seq AS place, iif(completed, 'completed', 'other') AS state FROM ended
          UNION ALL SELECT transfer, document, 0, 'running' FROM running)
    WHERE json_valid(document) ORDER BY place DESC;
INSERT OR IGNORE INTO journal (seq, id, topic, payload, stored_at)
    SELECT transfers.seq, '', '', '{"data":' || document || '}', 0
    FROM transfers JOIN (SELECT transfer, document FROM ended UNION ALL SELECT transfer, document FROM running)
    USING (transfer);

CREATE VIEW ahead AS
    SELECT sinks.name AS sink, journal.* FROM sinks JOIN journal ON journal.seq > sinks.cursor
    WHERE NOT EXISTS (SELECT 1 FROM apart WHERE apart.sink = sinks.name AND apart.seq = journal.seq);
CREATE VIEW again AS
    SELECT sink, apart.seq, id, topic, payload, stored_at
    FROM apart JOIN journal ON journal.seq = apart.seq WHERE state = 'again';
CREATE VIEW needed AS SELECT seq FROM transfers UNION ALL SELECT seq FROM apart WHERE state <> 'taken';
CREATE TRIGGER cursor_moved AFTER UPDATE OF cursor ON sinks BEGIN
    DELETE FROM journal WHERE seq > OLD.cursor AND seq <= (SELECT min(cursor) FROM sinks)
        AND NOT EXISTS (SELECT 1 FROM needed WHERE needed.seq = journal.seq);
END;
CREATE TRIGGER letter_gone AFTER DELETE ON apart BEGIN
    DELETE FROM journal WHERE seq = OLD.seq AND seq <= (SELECT min(cursor) FROM sinks)
        AND NOT EXISTS (SELECT 1 FROM needed WHERE needed.seq = journal.seq);
END;
CREATE TRIGGER transfer_moved AFTER UPDATE OF seq ON transfers BEGIN
    DELETE FROM journal WHERE seq = OLD.seq AND seq <= (SELECT min(cursor) FROM sinks)
        AND NOT EXISTS (SELECT 1 FROM needed WHERE needed.seq = journal.seq);
END;
CREATE TRIGGER transfer_gone AFTER DELETE ON transfers BEGIN
    DELETE FROM journal WHERE seq = OLD.seq AND seq <= (SELECT min(cursor) FROM sinks)
        AND NOT EXISTS (SELECT 1 FROM needed WHERE needed.seq = journal.seq);
END;

DROP TABLE refused_before;
DROP TABLE running;
DROP TABLE ended;
"""

STEPS = (_FIRST, _JOURNAL)


class NewerVersionError(Exception):
    """The file has had steps that this gateway does not know."""

    def __init__(self, version: int, known: int, lost: str) -> None:
        super().__init__(
            f"the file is of version {version}, made by a newer gateway; this one knows versions up to {known}."
            f" Install the newer gateway again, or move the file away: {lost}"
        )


def migrate(db: sqlite3.Connection, steps: Sequence[str], lost: str = "what is in it is then gone") -> None:
    """Bring the file to the newest version, each step whole or not at all. Raises NewerVersionError, sqlite3.Error.

    `lost` says what comes of it when a file of a newer version is moved away.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise NewerVersionError(version, len(steps), lost)
    for number, step in enumerate(steps[version:], start=version + 1):
        try:
            db.executescript(f"BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {number};\nCOMMIT;")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
