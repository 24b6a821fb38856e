# SPDX-License-Identifier: GPL-2.0-or-later
"""Which destinations a transfer rang that went on from one to the next, and what came of each.

They stand in a table of their own, so that a report needs no records. A transfer that rang one destination has no row
there: its kind says as much.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from gateway.report.history.rows import unpack


def hunt_of(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Destination and reason of each that was rung, in order; empty where there were fewer than two."""
    attempts = [each for each in data.get("attempts") or () if each["extension"]]
    if len(attempts) < 2:
        return []
    return [(each["destination"], each["reason"] or "") for each in attempts]


def add(db: sqlite3.Connection, at: int, data: Mapping[str, Any]) -> None:
    """Store those of a transfer. Raises sqlite3.Error."""
    rows = [(at, place, *each) for place, each in enumerate(hunt_of(data))]
    db.executemany("INSERT INTO hunts VALUES (?, ?, ?, ?)", rows)


def remove(db: sqlite3.Connection, at: int) -> None:
    """Delete those of a transfer. Raises sqlite3.Error."""
    db.execute("DELETE FROM hunts WHERE at = ?", (at,))


def stored_hunt(record: bytes) -> str | None:
    """As JSON, of a stored record; None where that can't be read any more."""
    try:
        return json.dumps(hunt_of(unpack(record)[0]))
    except (ValueError, KeyError, TypeError):
        return None
