# SPDX-License-Identifier: GPL-2.0-or-later
"""How far each sink has come in the journal, and the dead letters: what a sink will not have, so that the rest goes on.

All before a sink's cursor is done, all behind it waits, but for what the table `apart` says. Functions on the open
database, inside the caller's transaction; all of them may raise sqlite3.Error.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

import structlog

MAX_REFUSED = 10_000  # dead letters of one sink

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """The sink has the event with this sequence number."""

    sink: str
    seq: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The sink will not have the event with this sequence number: it becomes a dead letter."""

    sink: str
    seq: int
    at: float  # seconds since 1970
    why: str
    ends_connection: bool = False  # the sink hung up on it, instead of an answer


@dataclass(frozen=True, slots=True)
class Resend:
    """Let what was refused wait again, in its old place; without `everything`, only what is safe to try."""

    sink: str
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How many events wait for a sink, how many are its dead letters, and why the newest of them."""

    waiting: int = 0
    refused: int = 0
    because: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that waits for a sink."""

    seq: int
    event_id: str
    topic: str
    payload: str


def register(db: sqlite3.Connection, sink: str) -> None:
    """Give a sink a cursor; one that is new begins with what happens from now on."""
    db.execute("INSERT OR IGNORE INTO sinks SELECT ?, max(0, coalesce(max(seq), 0)) FROM journal", (sink,))


def keep_only(db: sqlite3.Connection, sinks: Collection[str]) -> None:
    """Give each of `sinks` its place, and keep nothing for any other: or what waits for it would stay for ever."""
    known = {name for (name,) in db.execute("SELECT name FROM sinks")}
    for sink in sinks:
        if sink not in known:
            register(db, sink)
    for sink in known.difference(sinks):
        waiting = standing(db, sink)
        log.warning("sink-gone", sink=sink, given_up=waiting.waiting + waiting.refused)
        # The triggers take away what nobody needs any more.
        db.execute("UPDATE sinks SET cursor = max(cursor, ?) WHERE name = ?", (newest(db), sink))
        db.execute("DELETE FROM apart WHERE sink = ?", (sink,))
        db.execute("DELETE FROM sinks WHERE name = ?", (sink,))


def newest(db: sqlite3.Connection) -> int:
    """The highest sequence number there was."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
    return int(found[0]) if found else 0


def number_from(db: sqlite3.Connection, seq: int) -> None:
    """Number events from above `seq`: some that are in flight may be of a file that was moved aside."""
    if newest(db) < seq:
        db.execute("DELETE FROM sqlite_sequence WHERE name = 'journal'")
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('journal', ?)", (seq,))


def place(db: sqlite3.Connection, sink: str) -> int:
    """The sequence number up to which the sink is done."""
    (seq,) = db.execute("SELECT cursor FROM sinks WHERE name = ?", (sink,)).fetchone()
    return int(seq)


def standing(db: sqlite3.Connection, sink: str) -> Standing:
    """Count what waits and what was refused. Takes a while where very much waits."""
    (ahead,) = db.execute("SELECT count(*) FROM ahead WHERE sink = ?", (sink,)).fetchone()
    (again,) = db.execute("SELECT count(*) FROM again WHERE sink = ?", (sink,)).fetchone()
    return Standing(ahead + again, *refused(db, sink))


def fetch(db: sqlite3.Connection, sink: str, after: int, limit: int) -> list[StoredEvent]:
    """The oldest `limit` events that wait for the sink with a sequence number above `after`."""
    again = "SELECT seq, id, topic, payload FROM again WHERE sink = ? AND seq > ? ORDER BY seq LIMIT ?"
    events = [StoredEvent(*row) for row in db.execute(again, (sink, after, limit))]
    # Not by the view `ahead`: with two bounds SQLite looks up the one and walks to the other.
    ahead = (
        "SELECT seq, id, topic, payload FROM journal WHERE seq > max(?, (SELECT cursor FROM sinks WHERE name = ?))"
        " AND NOT EXISTS (SELECT 1 FROM apart WHERE apart.sink = ? AND apart.seq = journal.seq) ORDER BY seq LIMIT ?"
    )
    rows = db.execute(ahead, (after, sink, sink, limit - len(events)))
    return [*events, *(StoredEvent(*row) for row in rows)]


def oldest_at(db: sqlite3.Connection, sink: str) -> float | None:
    """When the oldest event that waits for the sink was stored, in seconds since 1970."""
    found = db.execute(
        "SELECT stored_at FROM journal WHERE seq = coalesce((SELECT min(seq) FROM again WHERE sink = :sink),"
        " (SELECT seq FROM ahead WHERE sink = :sink ORDER BY seq LIMIT 1))",
        {"sink": sink},
    ).fetchone()
    return float(found[0]) if found else None


def refused(db: sqlite3.Connection, sink: str) -> tuple[int, str]:
    """How many dead letters the sink has, and why the newest of them."""
    # With max() the other column is that of the same row.
    chosen = "SELECT count(*), max(refused_at), why FROM apart WHERE sink = ? AND state = 'refused'"
    count, _, because = db.execute(chosen, (sink,)).fetchone()
    return count, because or ""


def move_all(db: sqlite3.Connection, sink: str, writes: Sequence[Taken | Refuse | Resend]) -> int:
    """Carry out `writes`, all of this sink, in order; how many more events wait then.

    The cursor follows with `advance`.
    """
    more = 0
    for is_taken, group in groupby(writes, lambda write: isinstance(write, Taken)):
        if is_taken:
            more -= _take(db, sink, {write.seq for write in group if isinstance(write, Taken)})
        else:
            more += sum(_move(db, write) for write in group if not isinstance(write, Taken))
    return more


def _take(db: sqlite3.Connection, sink: str, seqs: Collection[int]) -> int:
    """The sink has these events; how many of them have waited."""
    cursor = place(db, sink)
    again = "DELETE FROM apart WHERE sink = ? AND seq = ? AND state = 'again'"
    count = sum(db.execute(again, (sink, seq)).rowcount for seq in seqs if seq <= cursor)
    above = [seq for seq in seqs if seq > cursor]
    if not above:
        return count
    # Not from the cursor on: where one event waits for long, very many may have been taken behind it.
    ahead = "SELECT seq FROM journal WHERE seq >= ? AND seq <= ?"
    ahead += " AND NOT EXISTS (SELECT 1 FROM apart WHERE apart.sink = ? AND apart.seq = journal.seq) ORDER BY seq"
    waiting = [seq for (seq,) in db.execute(ahead, (min(above), max(above), sink))]
    first = db.execute("SELECT seq FROM ahead WHERE sink = ? ORDER BY seq LIMIT 1", (sink,)).fetchone()
    in_a_row = list(takewhile(seqs.__contains__, waiting)) if first is not None and first[0] in waiting[:1] else []
    if in_a_row:
        # The rule, and it costs one row, however many events that are.
        db.execute("UPDATE sinks SET cursor = ? WHERE name = ?", (in_a_row[-1], sink))
    apart = [(sink, seq) for seq in waiting[len(in_a_row) :] if seq in seqs]
    db.executemany("INSERT INTO apart (sink, seq, state) VALUES (?, ?, 'taken')", apart)
    return count + len(in_a_row) + len(apart)


def _move(db: sqlite3.Connection, write: Refuse | Resend) -> int:
    match write:
        case Refuse(sink, seq, at, why, ends_connection):
            if seq <= place(db, sink):
                chosen = "UPDATE apart SET state = 'refused', refused_at = ?, why = ?, ends_connection = ?"
                chosen += " WHERE sink = ? AND seq = ? AND state = 'again'"
            else:
                chosen = "INSERT OR IGNORE INTO apart (state, refused_at, why, ends_connection, sink, seq)"
                chosen += " SELECT 'refused', ?, ?, ?, ?, seq FROM journal WHERE seq = ?"
            return -db.execute(chosen, (at, why, ends_connection, sink, seq)).rowcount
        case Resend(sink, everything):
            about = {"sink": sink, "everything": everything, "cursor": place(db, sink)}
            before = "UPDATE apart SET state = 'again' WHERE sink = :sink AND state = 'refused' AND seq <= :cursor"
            behind = "DELETE FROM apart WHERE sink = :sink AND state = 'refused' AND seq > :cursor"
            safe = " AND (:everything OR NOT ends_connection)"
            return sum(db.execute(chosen + safe, about).rowcount for chosen in (before, behind))


def drop_oldest_refused(db: sqlite3.Connection, sink: str) -> None:
    """Keep no more dead letters than `MAX_REFUSED`, the newest."""
    surplus = db.execute(
        "UPDATE apart SET state = 'taken' WHERE sink = :sink AND seq IN (SELECT seq FROM apart"
        " WHERE sink = :sink AND state = 'refused' ORDER BY seq DESC LIMIT -1 OFFSET :limit)",
        {"sink": sink, "limit": MAX_REFUSED},
    ).rowcount
    if surplus > 0:
        log.error("refused-events-dropped", dropped=surplus, limit=MAX_REFUSED)


def skip(db: sqlite3.Connection, sink: str, count: int) -> None:
    """Give up the oldest `count` events that wait for the sink."""
    gone = db.execute(
        "DELETE FROM apart WHERE sink = :sink AND seq IN"
        " (SELECT seq FROM again WHERE sink = :sink ORDER BY seq LIMIT :count)",
        {"sink": sink, "count": count},
    ).rowcount
    if count > gone:
        db.execute(
            "UPDATE sinks SET cursor = coalesce("
            "(SELECT seq FROM ahead WHERE sink = :sink ORDER BY seq LIMIT 1 OFFSET :count - 1), cursor)"
            " WHERE name = :sink",
            {"sink": sink, "count": count - gone},
        )


def advance(db: sqlite3.Connection, sink: str) -> None:
    """Bring the cursor to where the first event waits behind it."""
    db.execute(
        "UPDATE sinks SET cursor = coalesce("
        "(SELECT seq - 1 FROM ahead WHERE sink = :sink ORDER BY seq LIMIT 1),"
        " (SELECT seq FROM journal WHERE seq > cursor ORDER BY seq DESC LIMIT 1), cursor) WHERE name = :sink",
        {"sink": sink},
    )
    db.execute(
        "DELETE FROM apart WHERE sink = :sink AND state = 'taken'"
        " AND seq <= (SELECT cursor FROM sinks WHERE name = :sink)",
        {"sink": sink},
    )
