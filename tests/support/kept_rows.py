# SPDX-License-Identifier: GPL-2.0-or-later
"""The calls that a gateway has written down for the process after it, whether or not it runs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.gateway import Gateway


def kept_rows(gateway: Gateway) -> list[dict[str, Any]]:
    """Each of them, as its journal has it."""
    with closing(sqlite3.connect(f"file:{gateway.directory}/state/outbox.db?mode=ro", uri=True)) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'kept_calls'").fetchone() is None:
            return []
        return [json.loads(payload) for (payload,) in db.execute("SELECT payload FROM kept_calls")]
