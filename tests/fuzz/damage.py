# SPDX-License-Identifier: GPL-2.0-or-later
"""What a disk may give back beside the calls that were written down on it: copies of rows, with mistakes in them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.mutator import Mutator

ODD: tuple[Any, ...] = (
    None, "", 0, -1, 1.5, 2**31 - 1, 2**31, 2**63, 10**40, True, [], {}, "\0", "x" * 3000, "sip:", "<sip:@>", "*",
    "sip:x@127.0.0.99:9", "sip:x@127.0.0.99;transport=tls", "sips:x@[::1]", "2026-03-02T11:00:00",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
)  # fmt: skip
"""What stands in the place of a value."""


def copies(rows: list[dict[str, Any]], mutator: Mutator) -> list[tuple[str, str]]:
    """Of each row a copy under another name, as id and payload: with another value somewhere, or with bytes gone."""
    made = []
    for number, row in enumerate(rows):
        name = f"{row['call'][:-4]}{number:04}"
        made.append((name, garbled(json.dumps(row | {"call": name}), mutator)))
    return made


def garbled(text: str, mutator: Mutator) -> str:
    """Of a document of JSON one with another value somewhere, or with bytes gone; the same now and then."""
    document = json.loads(text)
    if mutator.may(0.7):
        for _ in range(mutator.random.choice((1, 1, 2, 5))):
            _change(document, mutator)
    text = json.dumps(document)
    return mutator.raw(text.encode()).decode(errors="replace") if mutator.may(0.3) else text


def write(state: Path, made: list[tuple[str, str]]) -> None:
    """Into the journal of a gateway that does not run."""
    with closing(sqlite3.connect(state / "outbox.db")) as db, db:
        db.executemany("INSERT INTO kept_calls (call, payload) VALUES (?, ?)", made)


def _change(row: dict[str, Any], mutator: Mutator) -> None:
    """Of one field anywhere in it: it is gone, has an odd value, or a text with mistakes."""
    holder, key = mutator.random.choice(list(_places(row)))
    value = holder[key]
    if mutator.may(0.1):
        del holder[key]
    elif isinstance(value, str) and mutator.may(0.6):
        holder[key] = mutator.raw(value.encode()).decode(errors="replace")
    elif isinstance(value, int) and mutator.may(0.5):
        holder[key] = value + mutator.random.choice((1, -1, 1000, -(10**6), 2**31, 2**32))
    else:
        holder[key] = mutator.random.choice(ODD)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each field of it, however deep, as what holds it and where."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *_places(value[key])]]
