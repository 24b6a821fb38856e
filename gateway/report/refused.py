# SPDX-License-Identifier: GPL-2.0-or-later
"""The outbox's dead letters: events that the broker will not have, set aside so that those behind them go on."""

import sqlite3
from dataclasses import dataclass

import structlog

MAX_REFUSED = 10_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS refused (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, topic TEXT NOT NULL,
                                    payload TEXT NOT NULL, stored_at REAL NOT NULL, refused_at REAL NOT NULL,
                                    why TEXT NOT NULL, ends_connection INTEGER NOT NULL);
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refuse:
    """The broker will not have the event with this sequence number."""

    seq: int
    at: float  # seconds since 1970
    why: str
    ends_connection: bool = False  # the broker hung up on it, instead of an answer


@dataclass(frozen=True, slots=True)
class Resend:
    """Let what was refused wait again, in its old place; without `everything`, only what is safe to try."""

    everything: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """How many are set aside, and why the newest of them."""

    count: int = 0
    because: str = ""

    @classmethod
    def of(cls, db: sqlite3.Connection) -> "Refused":
        """What the database says. Raises sqlite3.Error."""
        # With max() the other column is that of the same row.
        count, _, because = db.execute("SELECT count(*), max(refused_at), why FROM refused").fetchone()
        return cls(count, because or "")


def move(db: sqlite3.Connection, write: Refuse | Resend) -> int:
    """Carry out `write`; how many more events wait then. Raises sqlite3.Error."""
    match write:
        case Refuse(seq, at, why, ends_connection):
            db.execute(
                "INSERT OR REPLACE INTO refused"
                " SELECT seq, id, topic, payload, stored_at, ?, ?, ? FROM events WHERE seq = ?",
                (at, why, ends_connection, seq),
            )
            gone = db.execute("DELETE FROM events WHERE seq = ?", (seq,)).rowcount
            surplus = db.execute(
                "DELETE FROM refused WHERE seq IN (SELECT seq FROM refused ORDER BY seq DESC LIMIT -1 OFFSET ?)",
                (MAX_REFUSED,),
            ).rowcount
            if surplus > 0:
                log.error("refused-events-dropped", dropped=surplus, limit=MAX_REFUSED)
            return -gone
        case Resend(everything):
            chosen = (everything,)
            added = db.execute(
                "INSERT OR IGNORE INTO events (seq, id, topic, payload, stored_at)"
                " SELECT seq, id, topic, payload, stored_at FROM refused WHERE ? OR NOT ends_connection",
                chosen,
            ).rowcount
            db.execute("DELETE FROM refused WHERE ? OR NOT ends_connection", chosen)
            return added
