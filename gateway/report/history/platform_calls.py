# SPDX-License-Identifier: GPL-2.0-or-later
"""A call of a platform in the history: one row, which the newest event of it replaces.

The rows of the transfers and calls that belong to it say what the platform told, too.

Functions on the open database, inside the transaction that stores the event; all of them may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from gateway.core.platform_calls import MatchedBy
from gateway.report.history.keys import key_of
from gateway.report.history.rows import CALL, TRANSFER, Row, in_order, pack, pack_record, stored_id, unpack

MOST_EVENTS = 20  # of one call that are named in its row
_TABLES = {TRANSFER: "transfers", CALL: "calls"}


def take(db: sqlite3.Connection, row: Row, caller: str | None, kind: int) -> None:
    """Store what an event tells, unless a newer one, or this one, has been stored; `caller` as it is kept."""
    [told] = row.events
    found = db.execute("SELECT at, caller, record FROM platform_calls WHERE id = ?", (row.which,)).fetchone()
    if found is None:
        at = key_of(row.begun, row.which)
        while db.execute("SELECT 1 FROM platform_calls WHERE at = ?", (at,)).fetchone():
            at += 1
        made = (at, row.which, kind, caller, pack(row))
        db.execute("INSERT INTO platform_calls (at, id, kind, caller, record) VALUES (?, ?, ?, ?, ?)", made)
        before: Mapping[str, Any] = {}
    else:
        at, was, record = found
        before, events = unpack(record)
        if any(told[0] == event for event, _, _ in events) or any(told[2] < time for _, _, time in events):
            return  # it comes again
        kept = {name: value for name, value in row.data.items() if name not in {"id", "caller"}}
        events = list(in_order((*events, told)))[-MOST_EVENTS:]
        # After a restart the gateway may not know any more who called.
        changed = (kind, caller or was, pack_record(kept, events), at)
        db.execute("UPDATE platform_calls SET kind = ?, caller = ?, record = ? WHERE at = ?", changed)
    for what, joined in ((TRANSFER, "transfers"), (CALL, "calls")):
        views = {each[what]: _view(row.data, each) for each in row.data[joined]}
        for gone in {each[what] for each in before.get(joined) or ()} - views.keys():
            _tell(db, what, gone, None)
        for which, view in views.items():
            _tell(db, what, which, view)


def _view(data: Mapping[str, Any], joined: Mapping[str, Any]) -> dict[str, Any]:
    """`platform` in the data of a transfer or call, as `core.record.PlatformView`."""
    view = dict.fromkeys(("call_id", "status", "ended_reason", "error", "ended_at"))
    if joined["matched_by"] != MatchedBy.AMBIGUOUS:
        view = {name: data[name] for name in view}
    return {
        "platform": data["platform"], "matched_by": joined["matched_by"], "candidates": joined["candidates"], **view
    }  # fmt: skip


def _tell(db: sqlite3.Connection, what: str, which: str, view: Mapping[str, Any] | None) -> None:
    table = _TABLES[what]
    found = db.execute(f"SELECT at, record FROM {table} WHERE id = ?", (stored_id(which),)).fetchone()  # noqa: S608
    if found is None:
        return  # it goes on: its own last event will tell
    at, record = found
    try:
        data, events = unpack(record)
    except ValueError:
        return  # it cannot be read any more, by anybody
    if data.get("platform") != view:
        packed = pack_record({**data, "platform": view}, events)
        db.execute(f"UPDATE {table} SET record = ? WHERE at = ?", (packed, at))  # noqa: S608 -- one of two
