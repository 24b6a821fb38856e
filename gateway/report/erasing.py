# SPDX-License-Identifier: GPL-2.0-or-later
"""Who called, in the journal: forgotten where somebody asks for that, and named no longer than the history does.

A caller who is forgotten is taken out of what waits, what was refused and what is remembered. The events stay, with
their ids, and are told of once as before. What nobody waits for any more is as old at most as `[history]` says, and
names callers as it says.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from gateway.core.json_form import timestamp
from gateway.report import kept_calls
from gateway.report.history.callers import Callers, erased, without_caller
from gateway.report.history.forgetting import Forgetting
from gateway.report.history.retention import Keep
from gateway.report.history.store import HistoryStore
from gateway.report.store import Put, Store, Write
from gateway.report.store_file import StoreFile

Change: TypeAlias = Callable[[str], str | None]
"""Makes another payload of an event's; None: it stays as it is."""

_ASIDE = ("outbox.db.*-*Z", "history.db.*-*Z", "messages.db.*-*Z")
"""Files that were damaged or replaced: nobody reads them, and nobody but a person may delete them."""

_NO_EVENT = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""Raised by what is done to a payload that is none, as a disk may have it that was restored."""

_OUT_OF_REACH = (
    "what the broker, webhooks and the log's readers were told before; the broker retains no caller, but for those of"
    " transfers under way where orphan_after_s is set"
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was changed so that a caller is no longer in it."""

    transfers: int = 0  # of the history
    calls: int = 0
    platform_calls: int = 0
    events: int = 0  # of the journal, that wait or are remembered
    refused: int = 0  # … that are dead letters of a sink
    others: int = 0  # transfers and calls among those of the history that are others', and named them somewhere

    def with_history(self, done: Forgetting) -> Erased:
        """The same, with what was found in the history."""
        return replace(
            self, transfers=done.transfers, calls=done.calls, platform_calls=done.platform_calls, others=done.others
        )

    @property
    def document(self) -> dict[str, int]:
        """By where it was."""
        return {
            "history_transfers": self.transfers,
            "history_calls": self.calls,
            "history_platform_calls": self.platform_calls,
            "history_others": self.others,
            "outbox_events": self.events,
            "outbox_refused": self.refused,
        }


def forgotten_document(erased: Erased, aside: Sequence[str], under_way: Mapping[str, int]) -> dict[str, Any]:
    """What `POST /api/forget` and `transfer-gateway forget` say."""
    return {
        "erased": erased.document,
        "under_way": dict(under_way),
        "not_reached": [
            *(f"{name} in the state directory, which was put aside: delete it" for name in aside),
            _OUT_OF_REACH,
        ],
    }


def without(forms: Collection[str]) -> Change:
    """The change that takes a caller out, in whichever of `forms` they are named."""

    def change(payload: str) -> str | None:
        try:
            event: dict[str, Any] = json.loads(payload)
            data = erased(event["data"], forms)
        except _NO_EVENT:
            return _blotted(payload, forms)
        return None if data is None else json.dumps({**event, "data": data})

    return change


def _blotted(payload: str, forms: Collection[str]) -> str | None:
    """What is no event, and names them all the same, without their digits."""
    found = payload
    for form in forms:
        found = found.replace(form.removeprefix("+"), "")
    return None if found == payload else found


def forget(forms: Collection[str]) -> Callable[[Store, list[Write]], Erased]:
    """To be done in the journal's thread: take a caller out of all of it. Raises sqlite3.Error."""
    return lambda store, unwritten: rewrite_all(store.db, unwritten, forms)


def tidy(keep: Keep, callers: Callers, now: datetime) -> Callable[[Store, list[Write]], None]:
    """To be done in the journal's thread, to what no sink waits for. Raises sqlite3.Error, OSError."""

    def work(store: Store, _unwritten: list[Write]) -> None:
        for state, days in (("completed", keep.days), ("other", keep.failures_days)):
            before = timestamp(now - timedelta(days=days))
            # The triggers take its event away where nobody else needs it.
            store.db.execute("DELETE FROM transfers WHERE state = ? AND requested_at < ?", (state, before))
        # Without a broker the newest events are kept for inspection, of whatever outcome.
        store.let_go((now - timedelta(days=min(keep.days, keep.failures_days))).timestamp())
        if keep.callers == "full":
            return
        places = ", ".join("?" * len(store.attended))
        chosen = store.db.execute(
            "SELECT seq, payload FROM journal"  # noqa: S608 -- question marks alone
            f" WHERE seq <= (SELECT min(cursor) FROM sinks WHERE name IN ({places}))"
            " AND seq NOT IN (SELECT seq FROM apart WHERE state <> 'taken')"
            " AND seq NOT IN (SELECT seq FROM transfers WHERE state = 'running')"
            " AND json_valid(payload) AND coalesce(json_extract(payload, '$.data.caller'), 'hmac:') NOT LIKE 'hmac:%'"
            " AND json_extract(payload, '$.data.caller') NOT LIKE '%…%'",
            store.attended,
        )
        _rewrite(store.db, dict(chosen), _named(keep, callers))
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    return work


def _named(keep: Keep, callers: Callers) -> Change:
    def change(payload: str) -> str | None:
        event: dict[str, Any] = json.loads(payload)
        was = event["data"]["caller"]
        shown = callers.kept(was, keep.callers)
        return json.dumps({**event, "data": {**without_caller(event["data"], was, shown or "…"), "caller": shown}})

    return change


def rewrite_all(db: sqlite3.Connection, unwritten: list[Write], forms: Collection[str]) -> Erased:
    """Take a caller out of all that the journal holds, and of what the disk has not taken yet. Raises sqlite3.Error."""
    change = without(forms)
    in_memory = _rewrite_unwritten(unwritten, change)
    rows: dict[int, str] = {}
    for form in forms:
        # Whatever holds the number has its digits.
        chosen = "SELECT seq, payload FROM journal WHERE instr(payload, ?)"
        rows.update(db.execute(chosen, (form.removeprefix("+"),)))
    refused = {seq for (seq,) in db.execute("SELECT seq FROM apart WHERE state = 'refused'")}
    changed = _rewrite(db, rows, change)
    # A call that is up goes on, and does not outlive the process any more.
    kept_calls.forget(db, unwritten, forms)
    # What was there before stands in the log (WAL) until that is written anew.
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Erased(events=len(changed - refused) + in_memory, refused=len(changed & refused))


def _rewrite(db: sqlite3.Connection, rows: Mapping[int, str], change: Change) -> set[int]:
    changed = set()
    db.execute("BEGIN IMMEDIATE")
    try:
        for seq, payload in rows.items():
            try:
                new = change(payload)
            except _NO_EVENT:
                continue
            if new is not None:
                db.execute("UPDATE journal SET payload = ? WHERE seq = ?", (new, seq))
                changed.add(seq)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return changed


def _rewrite_unwritten(unwritten: list[Write], change: Change) -> int:
    count = 0
    for place, write in enumerate(unwritten):
        if isinstance(write, Put) and (new := change(write.payload)) is not None:
            unwritten[place] = replace(write, payload=new)
            count += 1
    return count


def left_aside(directory: Path) -> Sequence[str]:
    """The files that may hold callers, and that nobody reads any more."""
    found = {path.name for pattern in _ASIDE for path in directory.glob(pattern)}
    return sorted(found)


def forget_offline(directory: Path, caller: str) -> Erased:
    """Take a caller out of the files of a gateway that does not run. Raises StoreError, sqlite3.Error or OSError.

    StoreError also where it does run: then it has to be asked.
    """
    forms = Callers(directory).forms(caller, alone=True)
    found, done = Erased(), Forgetting()
    journal, history = StoreFile(directory), HistoryStore(directory)
    # What is not there is not made: it would belong to whoever runs this, and not to the gateway.
    there: list[StoreFile | HistoryStore] = [store for store in (journal, history) if store.path.exists()]
    with ExitStack() as held:
        # Both, before anything is changed: a lock that another process holds must not leave half of it done.
        for store in there:
            held.callback(store.close)
            store.open()
        if journal in there:
            found = rewrite_all(journal.db, [], forms)
        while history in there and not done.over:
            done = history.forget(forms, done)
    return found.with_history(done)
