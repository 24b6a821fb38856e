# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that are up, in the journal: one row each, for the process that comes after this one (decision 0122)."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from pydantic import TypeAdapter, ValidationError

from gateway.core.kept_call import KeptCall
from gateway.core.moment import can_be
from gateway.documents import LONGEST_ID

# Not a step of migrations.py: an earlier gateway would refuse a file that has had one more, and has no use for this.
_TABLE = "CREATE TABLE IF NOT EXISTS kept_calls (call TEXT PRIMARY KEY, payload TEXT NOT NULL) WITHOUT ROWID"
_FORM = TypeAdapter(KeptCall)
MOST_FORWARDS = 255
"""RFC 3261 §20.22."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Keep:
    """Write a call down, in the place of what is there of it; no payload: strike it out."""

    call: str
    payload: str | None = None


def keeping(kept: KeptCall) -> Keep:
    """What writes this call down."""
    return Keep(kept.call, _FORM.dump_json(kept).decode())


def apply(db: sqlite3.Connection, writes: Sequence[Keep]) -> None:
    """Carry these out, in order, within a transaction. Raises sqlite3.Error."""
    last = {write.call: write.payload for write in writes}
    if last:
        db.execute(_TABLE)
    for call, payload in last.items():
        if payload is None:
            db.execute("DELETE FROM kept_calls WHERE call = ?", (call,))
        else:
            db.execute("INSERT OR REPLACE INTO kept_calls (call, payload) VALUES (?, ?)", (call, payload))


def read(db: sqlite3.Connection) -> list[KeptCall]:
    """All that are written down, oldest first, for a process that is about to take them up, within a transaction.

    Each has this attempt counted, on disk too: a process that dies of one leaves that behind. What cannot be read is
    struck out. Raises sqlite3.Error.
    """
    if not _is_there(db):
        return []
    found = []
    for call, payload in db.execute("SELECT call, payload FROM kept_calls ORDER BY call").fetchall():
        try:
            kept = _FORM.validate_json(payload)
            _check(kept, call)
        except ValueError as error:  # a ValidationError is one, too
            log.error("kept-call-unreadable", call=call, why=_told(error))
            db.execute("DELETE FROM kept_calls WHERE call = ?", (call,))
        else:
            found.append(replace(kept, attempts=kept.attempts + 1))
    apply(db, [keeping(kept) for kept in found])
    return found


def _told(error: ValueError) -> str:
    """Where the first mistake is and what; not what stands there, which may be somebody's number."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


def _check(kept: KeptCall, call: object) -> None:
    """What a gateway writes is so; of a file that was restored, or written by hand, nobody knows. Raises ValueError."""
    times = (kept.began_at, kept.connected_at, kept.kept_at)
    if kept.call != call:
        raise ValueError(f"it says that it is call {kept.call}")
    if not all(0 < len(name) <= LONGEST_ID for name in (kept.call, kept.transfer) if name is not None):
        raise ValueError("it has an id that none can be")  # an event with it would not be as its schema says
    if not all(map(can_be, times)):
        raise ValueError("it has a time that none can be")
    if kept.attempts < 0 or not 0 <= kept.max_forwards <= MOST_FORWARDS:
        raise ValueError("it has a number that none can be")


def forget(db: sqlite3.Connection, unwritten: list[Any], forms: Collection[str]) -> None:
    """Strike out each call that names a caller in one of these forms, written or not. Raises sqlite3.Error."""
    digits = [form.removeprefix("+") for form in forms]
    for place, write in enumerate(unwritten):
        if isinstance(write, Keep) and write.payload and any(each in write.payload for each in digits):
            unwritten[place] = Keep(write.call)
    if _is_there(db):
        for each in digits:
            db.execute("DELETE FROM kept_calls WHERE instr(payload, ?)", (each,))


def _is_there(db: sqlite3.Connection) -> bool:
    found = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'kept_calls'")
    return found.fetchone() is not None
