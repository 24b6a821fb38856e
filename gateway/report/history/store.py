# SPDX-License-Identifier: GPL-2.0-or-later
"""What writes the history: events that the journal holds become rows, each once however often it comes.

Synchronous, for one thread at a time. What `apply` returned from survives a killed process and a power cut, so that
the journal may let go of it. Killed before, the same events come again: a row is known by the id of its transfer or
call, and an event by its own, so nothing is stored twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.core.event_types import CALL_ENDED, PLATFORM_CALL, TRANSFER_ENDED
from gateway.report.cursors import StoredEvent
from gateway.report.history import chain, hunts, index, naming, platform_calls, retention
from gateway.report.history.callers import CallerForm, Callers, without_caller
from gateway.report.history.forgetting import Forgetting, forget_some
from gateway.report.history.keys import key_of, moment_of
from gateway.report.history.naming import Renamed
from gateway.report.history.retention import Keep
from gateway.report.history.rows import (
    TRANSFER,
    Row,
    Told,
    in_order,
    pack,
    pack_record,
    read_row,
    stored_id,
    trail_text,
)
from gateway.report.history.rows import unpack as unpacked
from gateway.report.history.state import HistorySize
from gateway.report.history.tables import HistoryFile

_ABOUT_THE_EVENT = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


class HistoryStore:
    """See the module."""

    def __init__(self, directory: Path) -> None:
        self._file = HistoryFile(directory)
        self._callers = Callers(directory)
        self._surplus = retention.Surplus()

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._file.path

    def open(self) -> None:
        """Open or make the file; a broken one is moved aside. Raises StoreError."""
        self._file.open()

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self._file.close()

    def is_new(self) -> bool:
        """Whether nothing was ever stored in it. Raises as `apply` does."""
        with self._file.recovering():
            self._file.keep()
            return self._file.db.execute("SELECT 1 FROM kinds LIMIT 1").fetchone() is None

    def apply(self, events: Sequence[StoredEvent], keep: Keep) -> list[tuple[int, str]]:
        """Store what these events tell, all of them or none; which can't be, and why.

        Raises sqlite3.Error, OSError, StoreError: then nothing is stored, and later it may be.
        """
        with self._file.recovering():
            self._file.keep()
            try:
                return self._apply(events, keep)
            except _ABOUT_THE_EVENT as error:
                if len(events) == 1:
                    return [(events[0].seq, str(error))]
            return [refused for event in events for refused in self.apply([event], keep)]

    def _apply(self, events: Sequence[StoredEvent], keep: Keep) -> list[tuple[int, str]]:
        refused = []
        with self._transaction() as db:
            naming.note(db, keep.callers)
            for event in events:
                try:
                    self._take(db, event.event_id, json.loads(event.payload), keep)
                except _UNREADABLE as error:
                    refused.append((event.seq, f"{type(error).__name__}: {error}"))
        return refused

    def _take(self, db: sqlite3.Connection, event_id: str, event: Mapping[str, Any], keep: Keep) -> None:
        kind, data = event.get("type", TRANSFER_ENDED), event["data"]
        if kind == PLATFORM_CALL:
            row = read_row(data, [(event_id, kind, event["time"])])
            caller = self._callers.kept(row.caller, keep.callers)
            if keep.callers != "full":
                row = replace(row, data=without_caller(row.data, row.caller, caller or "…"))
            platform_calls.take(db, row, caller, self._kind(db, row))
            return
        is_call = kind == CALL_ENDED
        which = data["call" if is_call else "transfer"]
        told: list[Told] = [(event_id, kind, event["time"])] if event_id else []
        if is_call or kind == TRANSFER_ENDED:
            row = read_row(data, told)  # before anything is changed: it may be unreadable
            before = () if is_call else self._milestones(db, stored_id(which))
            self._insert(db, replace(row, events=in_order((*before, *told))), keep)
        elif not self._add_to_row(db, which, told):
            db.executemany(
                "INSERT OR IGNORE INTO milestones VALUES (?, ?, ?, ?)", [(stored_id(which), *each) for each in told]
            )

    @staticmethod
    def _milestones(db: sqlite3.Connection, which: bytes | str) -> list[Told]:
        chosen = "SELECT event, type, time FROM milestones WHERE transfer = ?"
        found = db.execute(chosen, (which,)).fetchall()
        db.execute("DELETE FROM milestones WHERE transfer = ?", (which,))
        return found

    def _insert(self, db: sqlite3.Connection, row: Row, keep: Keep) -> None:
        table = retention.TABLES[row.what]
        which = stored_id(row.which)
        if db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (which,)).fetchone():  # noqa: S608 -- one of two
            return
        caller = self._callers.kept(row.caller, keep.callers)
        if keep.callers != "full":
            row = replace(row, data=without_caller(row.data, row.caller, caller or "…"))
        at = key_of(row.begun, row.which)
        while db.execute(f"SELECT 1 FROM {table} WHERE at = ?", (at,)).fetchone():  # noqa: S608
            at += 1
        kind = self._kind(db, row)
        columns = {
            "at": at, "id": which, "kind": kind, "caller": caller, **row.moments, "record": pack(row)
        }  # fmt: skip
        if row.what == TRANSFER:
            columns["returned"] = bool(row.data.get("returned_to_transferor"))
            chain.append(db, row, kind)
            index.add(db, at, kind, trail_text(row.data))
            hunts.add(db, at, row.data)
        names = ", ".join(columns)
        places = ", ".join("?" * len(columns))
        db.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(columns.values()))  # noqa: S608

    @staticmethod
    def _kind(db: sqlite3.Connection, row: Row) -> int:
        found = db.execute(
            "SELECT id FROM kinds WHERE what = ? AND number = ? AND trunk = ? AND pbx = ? AND entry = ?"
            " AND destination = ? AND outcome = ? AND reason = ?",
            (row.what, *row.kind),
        ).fetchone()
        if found:
            return int(found[0])
        made = db.execute(
            "INSERT INTO kinds (what, number, trunk, pbx, entry, destination, outcome, reason, failed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (row.what, *row.kind, row.failed),
        )
        return int(made.lastrowid or 0)

    @staticmethod
    def _add_to_row(db: sqlite3.Connection, which: str, told: Iterable[Told]) -> bool:
        """Add events to a transfer that is over already; whether there is one."""
        found = db.execute("SELECT at, record FROM transfers WHERE id = ?", (stored_id(which),)).fetchone()
        if found is None:
            return False
        data, events = unpacked(found[1])
        new = [each for each in told if each[0] not in {event for event, _, _ in events}]
        if new:
            db.execute(
                "UPDATE transfers SET record = ? WHERE at = ?", (pack_record(data, in_order((*events, *new))), found[0])
            )
        return True

    def expire(self, keep: Keep, now: datetime) -> bool:
        """Delete some of what is too old, or too much; whether there may be more. Raises as `apply` does."""
        with self._file.recovering():
            self._file.keep()
            db = self._file.db
            expired = retention.delete_expired(db, keep, now) > 0
            more = expired or self._surplus.work(db, keep, deleted=expired)
            retention.give_back(db)
            return more

    def rename(self, form: CallerForm) -> Renamed:
        """Have some older rows name their callers in this form. Raises as `apply` does."""
        with self._file.recovering():
            self._file.keep()
            return naming.rename(self._file.db, self._callers, form)

    def forget(self, forms: Collection[str], done: Forgetting) -> Forgetting:
        """Take a caller, in all these forms, out of some more rows, until it is over. Raises as `apply` does."""
        with self._file.recovering():
            self._file.keep()
            return forget_some(self._file.db, forms, done)

    def size(self) -> HistorySize:
        """How much there is. Raises as `apply` does."""
        with self._file.recovering():
            return self._size(self._file.db)

    @staticmethod
    def _size(db: sqlite3.Connection) -> HistorySize:
        oldest = [db.execute(f"SELECT min(at) FROM {table}").fetchone()[0] for table in retention.TABLES.values()]  # noqa: S608
        begun = min((at for at in oldest if at is not None), default=None)
        return HistorySize(
            transfers=db.execute("SELECT count(*) FROM transfers").fetchone()[0],
            calls=db.execute("SELECT count(*) FROM calls").fetchone()[0],
            platform_calls=db.execute("SELECT count(*) FROM platform_calls").fetchone()[0],
            bytes=retention.used_bytes(db),
            oldest_at=None if begun is None else moment_of(begun).timestamp(),
            deleted=retention.deleted(db),
            head=chain.head(db),
            in_full=naming.left(db),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._file.db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
