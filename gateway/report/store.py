# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal on disk: every event once, how far each sink has come, and which event is the newest of each transfer.

Synchronous, for one thread. What `apply` returned from survives a killed process and a power cut.

An event stays as long as it waits for a sink, is a dead letter of one, or is the newest of a transfer that is under
way or remembered: what is known of a transfer is that event's data, and nowhere else.
"""

import contextlib
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import structlog

from gateway.report import cursors, kept_calls
from gateway.report.cursors import Refuse, Resend, Standing, StoredEvent, Taken
from gateway.report.kept_calls import Keep
from gateway.report.store_file import StoreError, StoreFile

HISTORY_OF_EACH = 500  # ended transfers that are remembered: this many completed ones, and this many others
KEPT_WITHOUT_BROKER = 10_000  # events kept for inspection when no broker is configured
DROP_NOTICE_EVERY_S = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TransferChange:
    """Whose transfer an event tells of, and whether it is the last to do so."""

    transfer: str
    requested_at: str  # RFC 3339 in UTC, by which the history is in order
    ended: bool
    completed: bool = False

    @property
    def state(self) -> str:
        """As it stands in the table."""
        if not self.ended:
            return "running"
        return "completed" if self.completed else "other"


@dataclass(frozen=True, slots=True)
class Put:
    """Store one event; `stored_at` in seconds since 1970. Of a transfer its `data` is all that is known of it."""

    event_id: str
    topic: str
    payload: str
    stored_at: float
    change: TransferChange | None = None
    kind: str = ""  # its `type`; empty: whatever a sink asks for, it gets this


Write: TypeAlias = Put | Taken | Refuse | Resend | Keep


@dataclass(frozen=True, slots=True)
class Remembered:
    """The newest event of a transfer."""

    change: TransferChange
    payload: str


class Store:
    """See the module. `max_events` bounds what may wait for a sink: beyond it the oldest are dropped.

    `idle` sinks are those for which nobody is there who takes anything: only the newest are kept for them, and nobody
    complains.
    """

    def __init__(self, directory: Path, sinks: Sequence[str], *, max_events: int, idle: Collection[str] = ()) -> None:
        self._file = StoreFile(directory)
        self._max_events = max_events
        self._idle = idle
        self._dropped = 0
        self._drop_notice_at = float("-inf")
        self._newest = 0  # the highest sequence number there was
        self._wanted: dict[str, Collection[str]] = {}  # by those sinks that do not take all
        self.standing = dict.fromkeys(sinks, Standing())

    def open(self) -> list[Remembered]:
        """Open or make the file; the transfers that were left under way, oldest first. Raises StoreError."""
        self._file.open()
        try:
            self._newest = cursors.newest(self._file.db)
            self._look()
            return self.history(running=True)[::-1]
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"{self._file.path}: {error}") from error

    def _look(self) -> None:
        cursors.number_from(self._file.db, self._newest)
        cursors.keep_only(self._file.db, self.standing)
        for sink in self.standing:
            self.standing[sink] = cursors.standing(self._file.db, sink)

    def enlist(self, sink: str, wanted: Collection[str] | None = None) -> None:
        """Keep for one more sink all that happens from the next `apply` on, and whatever waited for it before.

        `wanted`: only events of these types. One that is there already wants these from now on.
        """
        self._wanted.pop(sink, None)
        if wanted is not None:
            self._wanted[sink] = wanted
        self.standing[sink] = Standing()
        with contextlib.suppress(sqlite3.Error):  # it has no place yet where the file cannot tell
            self.standing[sink] = cursors.standing(self._file.db, sink)

    def discharge(self, sink: str) -> None:
        """Keep nothing more for a sink; what waits for it goes with the next `apply`."""
        self.standing.pop(sink, None)
        self._wanted.pop(sink, None)

    def move_aside(self, why: str) -> None:
        """Start with an empty file. Raises OSError, sqlite3.Error."""
        self._file.move_aside(why)
        self._look_anew()

    def keep(self) -> None:
        """Write the file anew if it was deleted or replaced. Raises OSError, sqlite3.Error, StoreError."""
        if self._file.keep():
            self._look_anew()
            log.warning("outbox-file-restored", file=str(self._file.path), events=self._most_waiting)

    def _look_anew(self) -> None:
        try:
            self._look()
        except BaseException:
            # Or a file would be written to in which no sink has its place.
            self._file.disconnect()
            raise

    @property
    def _most_waiting(self) -> int:
        return max(standing.waiting for standing in self.standing.values())

    def history(
        self, *, running: bool = False, untaken_by: str | None = None, limit: int = -1, transfer: str | None = None
    ) -> list[Remembered]:
        """The transfers that are remembered, newest first; those under way alone, or one. Raises sqlite3.Error.

        `untaken_by` a sink: those under way, and those of whose newest event that sink has said nothing yet.
        """
        chosen = "SELECT transfer, requested_at, state <> 'running', state = 'completed', payload"
        chosen += " FROM transfers JOIN journal USING (seq)"
        if transfer is not None:
            chosen += " WHERE transfer = :transfer"
        elif running:
            chosen += " WHERE state = 'running'"
        elif untaken_by is not None:
            chosen += " WHERE state = 'running' OR seq > (SELECT cursor FROM sinks WHERE name = :sink)"
            chosen += " OR seq IN (SELECT seq FROM apart WHERE sink = :sink AND state <> 'taken')"
        chosen += " ORDER BY requested_at DESC, transfer DESC LIMIT :limit"
        rows = self._file.db.execute(chosen, {"transfer": transfer, "sink": untaken_by, "limit": limit})
        return [
            Remembered(TransferChange(which, at, ended=bool(ended), completed=bool(completed)), payload)
            for which, at, ended, completed, payload in rows
        ]

    def apply(self, writes: Sequence[Write]) -> None:
        """Carry out all of `writes`, in order, or none. Raises sqlite3.Error."""
        db = self._file.db
        dropped = 0
        db.execute("BEGIN IMMEDIATE")
        try:
            kept_calls.apply(db, [write for write in writes if isinstance(write, Keep)])
            cursors.keep_only(db, self.standing)
            added = {seq: put for put in writes if isinstance(put, Put) and (seq := self._put(db, put)) is not None}
            if any(isinstance(write, Put) and write.change and write.change.ended for write in writes):
                _trim_history(db)
            found = {}
            for sink, before in self.standing.items():
                moves = [write for write in writes if not isinstance(write, Put | Keep) and write.sink == sink]
                # What a sink does not ask for never waits for it.
                moves += [Taken(sink, seq) for seq, put in added.items() if not self.is_wanted(sink, put)]
                waiting = before.waiting + len(added) + cursors.move_all(db, sink, moves)
                surplus = max(0, waiting - self._limit(sink))
                if surplus:
                    cursors.skip(db, sink, surplus)
                refused = before.refused, before.because
                if any(not isinstance(write, Taken) for write in moves):
                    cursors.drop_oldest_refused(db, sink)
                    refused = cursors.refused(db, sink)
                if moves or surplus:
                    cursors.advance(db, sink)
                found[sink] = Standing(waiting - surplus, *refused)
                dropped += 0 if sink in self._idle else surplus
            newest = cursors.newest(db)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self.standing, self._newest = found, newest
        self._tell_dropped(dropped)

    def _limit(self, sink: str) -> int:
        return min(self._max_events, KEPT_WITHOUT_BROKER) if sink in self._idle else self._max_events

    def is_wanted(self, sink: str, put: Put) -> bool:
        """Whether the sink asks for this event."""
        wanted = self._wanted.get(sink)
        return wanted is None or not put.kind or put.kind in wanted

    @staticmethod
    def _put(db: sqlite3.Connection, put: Put) -> int | None:
        """The event's number; None where it is not stored."""
        change = put.change
        has_ended = False
        if change is not None:
            ended = "SELECT 1 FROM transfers WHERE transfer = ? AND state <> 'running'"
            has_ended = db.execute(ended, (change.transfer,)).fetchone() is not None
        if change is not None and change.ended and has_ended:
            log.error("second-outcome-dropped", transfer=change.transfer)
            return None
        seq = db.execute(
            "INSERT INTO journal (id, topic, payload, stored_at) VALUES (?, ?, ?, ?)",
            (put.event_id, put.topic, put.payload, put.stored_at),
        ).lastrowid
        # A milestone that comes after the end must not make the transfer look as if it ran.
        if change is not None and not has_ended:
            db.execute(
                "INSERT INTO transfers (transfer, seq, requested_at, state) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (transfer) DO UPDATE SET seq = excluded.seq, state = excluded.state",
                (change.transfer, seq, change.requested_at, change.state),
            )
        return seq

    def _tell_dropped(self, surplus: int) -> None:
        self._dropped += surplus
        if self._dropped and time.monotonic() - self._drop_notice_at >= DROP_NOTICE_EVERY_S:
            log.error("outbox-full", dropped=self._dropped, limit=self._max_events)
            self._dropped = 0
            self._drop_notice_at = time.monotonic()

    @property
    def attended(self) -> list[str]:
        """The sinks for which somebody is there."""
        return [sink for sink in self.standing if sink not in self._idle]

    def let_go(self, stored_before: float) -> None:
        """Keep for idle sinks nothing that was stored before then (seconds since 1970). Raises sqlite3.Error."""
        for sink in self.standing.keys() & set(self._idle):
            self.db.execute(
                "UPDATE sinks SET cursor = max(cursor, coalesce((SELECT max(seq) FROM journal WHERE stored_at < ?), 0))"
                " WHERE name = ?",
                (stored_before, sink),
            )
            self.standing[sink] = cursors.standing(self.db, sink)

    def let_go_of(self, transfer: str) -> None:
        """Remember nothing more of a transfer that is under way: another has told its end. Raises sqlite3.Error."""
        self.db.execute("DELETE FROM transfers WHERE transfer = ? AND state = 'running'", (transfer,))

    @property
    def db(self) -> sqlite3.Connection:
        """The open database. Raises sqlite3.Error."""
        return self._file.db

    def fetch(self, sink: str, after: int, limit: int) -> list[StoredEvent]:
        """The oldest `limit` events that wait for a sink, with sequence numbers above `after`. Raises sqlite3.Error."""
        return cursors.fetch(self._file.db, sink, after, limit)

    def oldest_at(self, sink: str) -> float | None:
        """When the oldest event that waits was stored, in seconds since 1970. Raises sqlite3.Error."""
        return cursors.oldest_at(self._file.db, sink)

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self._file.close()


def _trim_history(db: sqlite3.Connection) -> None:
    for state in ("completed", "other"):
        db.execute(
            "DELETE FROM transfers WHERE state = :state AND seq <="
            " (SELECT seq FROM transfers WHERE state = :state ORDER BY seq DESC LIMIT 1 OFFSET :kept)",
            {"state": state, "kept": HISTORY_OF_EACH},
        )
