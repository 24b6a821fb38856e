# SPDX-License-Identifier: GPL-2.0-or-later
"""The chain that proves what became of every transfer: a line for each, made in the transaction that stores it.

Each line's hash is the SHA-256 of the hash before it, a newline, and the line. A line names no caller and nothing that
a caller said, so that it outlives the transfer's row and stays as it is when a caller is forgotten: only the oldest
lines ever go, and those that are left still fit one another. Of a line its columns are stored, and the text is made
anew from them: whoever changes a column, or a kind, breaks it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from gateway.core.json_form import timestamp
from gateway.report.history.keys import KEY_BITS, first_key
from gateway.report.history.rows import Row, read_id, stored_id

GENESIS = "0" * 64
"""What stands for the hash before the first line."""
KEPT_DAYS = 1830  # five years
SHARE = 4  # of the file's bound, the chain has one part of so many
LINE_BYTES = 100  # of the file, at most; measured: 78
_AT_ONCE = 500
_COLUMNS = ("decided", "ringing", "answered", "human", "ended")
_KIND = ("number", "trunk", "pbx", "entry", "destination", "outcome", "reason")
KEYS = frozenset(
    ("v", "n", "transfer", *_KIND, "requested_at", *(f"{name}_at" for name in _COLUMNS), "returned_to_transferor")
)
"""What a line has."""
_LINES = (
    f"SELECT n, chain.id, at_ms, {', '.join(_KIND)}, "  # noqa: S608 -- names of ours
    f"{', '.join(f'{name}_ms' for name in _COLUMNS)}, returned, hash FROM chain JOIN kinds ON kinds.id = kind"
)


class Link(NamedTuple):
    """A line of the chain, and its hash in hexadecimal."""

    n: int
    at_ms: int  # when it was asked for, since 1970
    text: str
    hash: str


class Head(NamedTuple):
    """The newest line."""

    n: int
    hash: str


NO_HEAD = Head(0, GENESIS)


def linked(before: str, text: str) -> str:
    """The hash of a line that follows the one with the hash `before`."""
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def append(db: sqlite3.Connection, row: Row, kind: int) -> None:
    """Add the line of a transfer, within the transaction that stores its row. Raises sqlite3.Error."""
    before = head(db)
    n = before.n + 1
    at_ms = first_key(row.begun) >> KEY_BITS
    moments = tuple(row.moments[f"{name}_ms"] for name in _COLUMNS)
    returned = bool(row.data.get("returned_to_transferor"))
    which = stored_id(row.which)
    text = _text(n, read_id(which), at_ms, row.kind, moments, returned)
    db.execute(
        "INSERT INTO chain VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (n, which, at_ms, kind, *moments, returned, bytes.fromhex(linked(before.hash, text))),
    )


def head(db: sqlite3.Connection) -> Head:
    """The newest line; number 0 where there is none yet. Raises sqlite3.Error."""
    found = db.execute("SELECT n, hash FROM chain ORDER BY n DESC LIMIT 1").fetchone()
    return NO_HEAD if found is None else Head(found[0], found[1].hex())


def links(db: sqlite3.Connection, first: int, last: int) -> Iterator[Link]:
    """The lines from one number to another, both among them. Raises sqlite3.Error."""
    for row in db.execute(f"{_LINES} WHERE n BETWEEN ? AND ? ORDER BY n", (first, last)):
        n, which, at_ms, *rest = row
        kind, moments = tuple(rest[: len(_KIND)]), rest[len(_KIND) : -2]
        yield Link(n, at_ms, _text(n, read_id(which), at_ms, kind, moments, bool(rest[-2])), rest[-1].hex())


def expire(db: sqlite3.Connection, max_bytes: int, now: datetime) -> int:
    """Delete up to `_AT_ONCE` of the oldest lines, where they are too old or too many; how many. Raises sqlite3.Error.

    The newest stays, whatever its age: what comes next is linked to it.
    """
    first, last = db.execute("SELECT min(n), max(n) FROM chain").fetchone()
    if first is None:
        return 0
    too_old = first_key(now - timedelta(days=KEPT_DAYS)) >> KEY_BITS
    most = max_bytes // SHARE // LINE_BYTES
    gone = 0
    for n, at_ms in db.execute("SELECT n, at_ms FROM chain WHERE n < ? ORDER BY n LIMIT ?", (last, _AT_ONCE)):
        if at_ms >= too_old and last - n < most:
            break
        gone = n
    return db.execute("DELETE FROM chain WHERE n <= ?", (gone,)).rowcount if gone else 0


def _text(n: int, which: str, at_ms: int, kind: Sequence[str], moments: Sequence[int | None], returned: bool) -> str:
    """The line as it is hashed. Part of the stored form: it never changes; another one gets a `v` of its own."""
    line: dict[str, object] = {"v": 1, "n": n, "transfer": which}
    line |= {name: value or None for name, value in zip(_KIND, kind, strict=True)}
    line["requested_at"] = _time(at_ms)
    for name, since in zip(_COLUMNS, moments, strict=True):
        line[f"{name}_at"] = None if since is None else _time(at_ms + since)
    line["returned_to_transferor"] = returned
    return json.dumps(line, separators=(",", ":"))


def _time(at_ms: int) -> str:
    return timestamp(_EPOCH + timedelta(milliseconds=at_ms))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
