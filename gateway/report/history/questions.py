# SPDX-License-Identifier: GPL-2.0-or-later
"""What the history answers: rows in the order of time, through an index whatever is asked for.

Filters on number, destination, outcome and reason become a set of kinds. `looking.py` has the index for each question;
nothing is sorted, and nothing before the page is read. The file is read over a connection of its own, beside whoever
writes.

    history = HistoryReader(state_dir, callers)
    for found in history.find(TRANSFER, HistoryQuery(limit=50, reason="queue-unstaffed")): ...
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from gateway.ports.history import HistoryQuery
from gateway.report.history import index
from gateway.report.history.callers import Callers
from gateway.report.history.keys import first_key
from gateway.report.history.looking import Looking
from gateway.report.history.retention import TABLES
from gateway.report.history.rows import (
    TRANSFER,
    Document,
    Told,
    document,
    may_have,
    read_id,
    stored_id,
    trail_text,
    unpack,
)
from gateway.report.history.tables import FILE_NAME, STEPS
from gateway.report.history.words import has, match_of, phrases
from gateway.report.store_file import StoreError

log = structlog.get_logger(__name__)

_HUNT = "(SELECT json_group_array(json_array(h.destination, h.reason)) FROM hunts AS h WHERE h.at = transfers.at)"
_NONE = "[]"
_LAST = (1 << 63) - 1
_CHECK_EVERY = 10_000  # steps of SQLite's machine


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the history: its key, the record as the outside sees it, and the events that told of it."""

    key: int
    document: Document
    events: list[Told]


class Overview(NamedTuple):
    """A transfer in the figures: ids (empty where there is none), and milliseconds from the request on."""

    at: int  # the key: tables.moment_of() has the time of the request
    number: str
    trunk: str
    pbx: str
    entry: str
    destination: str
    outcome: str
    reason: str
    decided_ms: int | None
    ringing_ms: int | None
    answered_ms: int | None
    human_ms: int | None
    ended_ms: int | None
    returned: int
    hunt: tuple[tuple[str, str], ...] = ()
    """Destination and reason of each that was rung, in order, where there was more than one."""


class NoHistoryError(StoreError):
    """There is no file yet."""


class HistoryReader:
    """See the module; for one thread at a time. `callers` turns a number into the forms in which it may be kept."""

    def __init__(self, directory: Path, callers: Callers | None = None) -> None:
        self._path = directory / FILE_NAME
        self._callers = callers or Callers(directory)
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._deadline = float("inf")

    def find(self, what: str, query: HistoryQuery, *, within_s: float = float("inf")) -> list[Found]:
        """The first `query.limit` transfers or calls (`rows.TRANSFER`, `rows.CALL`), newest first.

        Raises StoreError, after `within_s` too.
        """
        return list(itertools.islice(self.walk(what, query, within_s=within_s), query.limit))

    def walk(self, what: str, query: HistoryQuery, *, within_s: float = float("inf")) -> Iterator[Found]:
        """All of them, one after the other, whatever the query's limit. Raises StoreError."""
        self._deadline = time.monotonic() + within_s
        try:
            db = self._connected()
            yield from self._rows(db, what, query)
        except (sqlite3.Error, OSError, ValueError) as error:
            self.close()
            slow = time.monotonic() > self._deadline
            raise StoreError(f"that takes longer than {within_s:g} s; ask for less" if slow else str(error)) from error

    def overview(self, since: datetime, until: datetime) -> Iterator[Overview]:
        """All transfers that were asked for in between, oldest first, without their records. Raises StoreError."""
        self._deadline = float("inf")
        chosen = f"SELECT {', '.join(Overview._fields[:-1])}, {_HUNT} FROM transfers JOIN kinds ON kinds.id = kind"  # noqa: S608
        chosen += " WHERE at >= ? AND at < ? ORDER BY at"
        try:
            for row in self._connected().execute(chosen, (first_key(since), first_key(until))):
                hunt = () if row[-1] == _NONE else tuple(map(tuple, json.loads(row[-1])))
                yield Overview._make((*row[:-1], hunt))
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreError(str(error)) from error

    def get(self, what: str, which: str) -> Found | None:
        """The one of this id. Raises StoreError."""
        self._deadline = float("inf")
        try:
            row = self._row(self._connected(), what, "id", stored_id(which))
            return None if row is None else _found(what, row)
        except (sqlite3.Error, OSError, ValueError) as error:
            self.close()
            raise StoreError(str(error)) from error

    def snapshot(self) -> sqlite3.Connection:
        """The open file, for one who asks several things of the same moment. Raises StoreError, sqlite3.Error."""
        self._deadline = float("inf")
        try:
            db = self._connected()
            db.execute("BEGIN")
        except OSError as error:
            raise StoreError(str(error)) from error
        return db

    def close(self) -> None:
        """Let go of the file; the next question opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connected(self) -> sqlite3.Connection:
        try:
            found = self._path.stat()
        except FileNotFoundError as error:
            raise NoHistoryError(f"there is no {self._path} yet") from error
        file = found.st_dev, found.st_ino
        if self._db is not None and self._file != file:
            self.close()  # it was moved aside, or deleted
        if self._db is None:
            self._db = db = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
            self._file = file
            db.set_progress_handler(lambda: time.monotonic() > self._deadline, _CHECK_EVERY)
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version < len(STEPS):
                # It is being made; or it is of an older release, and nothing has been stored by this one yet.
                self.close()
                raise NoHistoryError(
                    f"{self._path} is of version {version}: the gateway has yet to bring it to {len(STEPS)}"
                )
            if version != len(STEPS):
                raise StoreError(f"{self._path} is of version {version}; this release reads {len(STEPS)}")
        return self._db

    def _rows(self, db: sqlite3.Connection, what: str, query: HistoryQuery) -> Iterator[Found]:
        low = first_key(query.since) if query.since else 0
        high = min(_LAST if query.before is None else query.before, first_key(query.until) if query.until else _LAST)
        wanted = {name: value for name in index.FILTERS if (value := getattr(query, name)) is not None}
        kinds = _kinds(db, what, wanted) if wanted else None
        callers = tuple(self._callers.forms(query.caller)) if query.caller is not None else None
        words = phrases(query.text) if query.text is not None else None
        if (words is not None and (not words or what != TRANSFER)) or kinds == frozenset():
            return
        looking = Looking(db, TABLES[what], (low, high), kinds)
        match = index.among(match_of(words), kinds, wanted) if words is not None else None
        if callers is not None and (match is None or looking.callers_are_fewer(callers, match)):
            keys = looking.by_caller(callers)
        elif match is not None:
            keys, words = looking.by_words(match, callers), None
        else:
            keys = looking.by_kind()
        plain = [word for phrase in words or () for word in phrase]
        for key in keys:
            row = self._row(db, what, "at", key)
            if row is None:
                continue  # deleted meanwhile, or words whose row is gone
            try:
                if plain and not may_have(row[-1], plain):
                    continue
                found = _found(what, row)
            except ValueError as error:  # one that a disk has garbled hides no other
                log.warning("history-record-unreadable", what=what, id=read_id(row[1]), why=str(error))
                continue
            if words is None or has(trail_text(found.document), words):
                yield found

    @staticmethod
    def _row(db: sqlite3.Connection, what: str, column: str, value: object) -> tuple[Any, ...] | None:
        chosen = f"SELECT at, id, kind, caller, record FROM {TABLES[what]} WHERE {column} = ?"  # noqa: S608 -- ours
        row: tuple[Any, ...] | None = db.execute(chosen, (value,)).fetchone()
        return row


def _found(what: str, row: tuple[Any, ...]) -> Found:
    key, which, _, caller, record = row
    data, events = unpack(record)
    return Found(key, document(what, read_id(which), caller, data), events)


def _kinds(db: sqlite3.Connection, what: str, wanted: Mapping[str, str]) -> frozenset[int]:
    chosen = " AND ".join(["what = ?", *(f"{name} = ?" for name in wanted)])
    found = db.execute(f"SELECT id FROM kinds WHERE {chosen}", (what, *wanted.values()))  # noqa: S608 -- names of ours
    return frozenset(kind for (kind,) in found)
