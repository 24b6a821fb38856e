# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of words: of each transfer the words of its trail, and what kind of transfer it is, as words of their own.

The kind stands beside the trail because a page for words and a kind is found where both lists meet: SQLite goes down
the shorter of two lists and looks up each of its entries in the longer one. A kind that is looked up in another table,
for each transfer that has the words, takes as long as there are such transfers.

FTS5 keeps no text here (`content = ''`), so whoever removes an entry gives the same text again; `tables.py` has it.
All functions may raise sqlite3.Error, and belong into the transaction that writes the row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

from gateway.report.history.rows import trail_text, unpack

FILTERS = {"number": "n", "destination": "d", "outcome": "o", "reason": "r"}
"""What a question may choose by, and what the word for it begins with."""
_MERGED_PAGES = 500
_SOMETHING_MERGED = 2  # changes at least; see FTS5
_FEW = 16  # kinds, each of them a list that has to be begun


def kind_words(kind: int, number: str, destination: str, outcome: str, reason: str) -> str:
    """The words of a kind of transfer, which have the same form for ever: they are stored."""
    values = {"number": number, "destination": destination, "outcome": outcome, "reason": reason}
    return " ".join((_of_kind(kind), *(_of_value(name, value) for name, value in values.items())))


def text_of(record: bytes) -> str:
    """The words of a stored record; none, where it can't be read any more."""
    try:
        return trail_text(unpack(record)[0])
    except (ValueError, KeyError, TypeError):
        return ""


def add(db: sqlite3.Connection, at: int, kind: int, text: str) -> None:
    """Enter a transfer with this key; `text` is its `rows.trail_text`."""
    db.execute("INSERT INTO trails (rowid, trail, kind) VALUES (?, ?, ?)", (at, text, _stored_kind_words(db, kind)))


def remove(db: sqlite3.Connection, at: int, kind: int, text: str) -> None:
    """Take an entry out; `text` as it was entered."""
    db.execute(
        "INSERT INTO trails (trails, rowid, trail, kind) VALUES ('delete', ?, ?, ?)",
        (at, text, _stored_kind_words(db, kind)),
    )


def merge(db: sqlite3.Connection, *, begin: bool) -> bool:
    """Merge a part of the index (FTS5, "The 'merge' Command"), so that what was removed goes; whether there is more."""
    before = db.total_changes
    db.execute("INSERT INTO trails (trails, rank) VALUES ('merge', ?)", (-_MERGED_PAGES if begin else _MERGED_PAGES,))
    return db.total_changes - before >= _SOMETHING_MERGED


def among(match: str, kinds: Collection[int] | None, wanted: Mapping[str, str]) -> str:
    """The FTS5 query for what has the words of `match` and is of these kinds: those with the values `wanted`."""
    trail = f"trail : ({match})"
    if kinds is None:
        return trail
    if len(kinds) <= _FEW:
        chosen = " OR ".join(_of_kind(kind) for kind in kinds)
    else:
        chosen = " AND ".join(_of_value(name, value) for name, value in wanted.items())
    return f"kind : ({chosen}) AND {trail}"


def _stored_kind_words(db: sqlite3.Connection, kind: int) -> str:
    chosen = "SELECT id, number, destination, outcome, reason FROM kinds WHERE id = ?"
    return kind_words(*db.execute(chosen, (kind,)).fetchone())


def _of_kind(kind: int) -> str:
    return f"k{kind}"


def _of_value(name: str, value: str) -> str:
    # In hexadecimal it is one word, whatever it is made of.
    return f"{FILTERS[name]}{value.encode(errors='replace').hex()}"
