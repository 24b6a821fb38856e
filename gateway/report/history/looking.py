# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of what is asked for, newest first, through whichever index has the fewest entries to pass over.

| asked for | way |
|---|---|
| nothing but times | the rows themselves |
| number, destination, outcome, reason | the index of kinds, one list for each kind |
| a caller | the index of callers, which has the kinds too |
| words, with a caller who has few transfers | the index of callers: the words are then looked for in these few |
| words, else | the index of words, which has the kinds too |
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

_FEW = 16  # kinds
_PASSED_OVER = 2000  # rows
_READ_WHOLE = 1500
"""Transfers of a caller that are read one by one, some 10 microseconds each, where more have the words."""
_MATCHING = "FROM trails WHERE trails MATCH ? AND rowid >= ? AND rowid < ?"


@dataclass(frozen=True, slots=True)
class Looking:
    """See the module; each way may raise sqlite3.Error."""

    db: sqlite3.Connection
    table: str
    between: tuple[int, int]
    """Keys, the second no longer among them."""
    kinds: Collection[int] | None
    """Only these, where there are any."""

    def callers_are_fewer(self, callers: Sequence[str], match: str) -> bool:
        """Whether so few of these kinds are theirs that each can be read, and fewer than have these words."""
        theirs = f"SELECT 1 FROM {self.table} WHERE caller IN ({_places(callers)}) AND at >= ? AND at < ?"  # noqa: S608
        theirs += f" {self._of_kinds}"
        found = self._count(theirs, callers, _READ_WHOLE + 1)
        if found > _READ_WHOLE:
            return False
        return found <= _FEW or self._count(f"SELECT 1 {_MATCHING}", (match,), found) == found

    def _count(self, chosen: str, values: Sequence[str], most: int) -> int:
        counted = self.db.execute(f"SELECT count(*) FROM ({chosen} LIMIT ?)", (*values, *self.between, most))  # noqa: S608
        return int(counted.fetchone()[0])

    def by_caller(self, callers: Sequence[str]) -> Iterator[int]:
        """Of these callers, each in the forms in which they are kept."""
        return self._merged("caller", callers, self._of_kinds)

    def by_words(self, match: str, callers: Sequence[str] | None) -> Iterator[int]:
        """What this query of the index of words finds; `callers`: only theirs."""
        chosen = "SELECT trails.rowid FROM trails"
        if callers is not None:
            chosen += (
                f" CROSS JOIN {self.table} AS rows ON rows.at = trails.rowid AND rows.caller IN ({_places(callers)})"
            )
        chosen += " WHERE trails MATCH ? AND trails.rowid >= ? AND trails.rowid < ? ORDER BY trails.rowid DESC"
        return _keys(self.db.execute(chosen, (*(callers or ()), match, *self.between)))

    def by_kind(self) -> Iterator[int]:
        """Of these kinds, or all.

        Many kinds hold most of what there is, so that the newest rows are likely to be enough; and to begin with each
        of hundreds takes as long as to pass over some thousand rows.
        """
        newest = f"SELECT at FROM {self.table} WHERE at >= ? AND at < ?"  # noqa: S608 -- one of two
        if self.kinds is None:
            yield from _keys(self.db.execute(f"{newest} ORDER BY at DESC", self.between))
            return
        low, high = self.between
        if len(self.kinds) > _FEW:
            edge = self.db.execute(f"{newest} ORDER BY at DESC LIMIT 1 OFFSET ?", (low, high, _PASSED_OVER)).fetchone()
            (found,) = edge or (low,)
            yield from _keys(self.db.execute(f"{newest} {self._of_kinds} ORDER BY at DESC", (found, high)))
            high = found
        rest = Looking(self.db, self.table, (low, high), self.kinds)
        yield from rest._merged("kind", self.kinds)

    @property
    def _of_kinds(self) -> str:
        # The plus keeps SQLite from the index of kinds, out of which the keys would have to be sorted.
        return "" if self.kinds is None else f"AND +kind IN ({', '.join(map(str, self.kinds))})"

    def _merged(self, column: str, values: Iterable[object], more: str = "") -> Iterator[int]:
        chosen = f"SELECT at FROM {self.table} WHERE {column} = ? AND at >= ? AND at < ? {more} ORDER BY at DESC"  # noqa: S608
        found = (_keys(self.db.execute(chosen, (value, *self.between))) for value in values)
        return heapq.merge(*found, reverse=True)


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _keys(rows: Iterable[tuple[int]]) -> Iterator[int]:
    return (key for (key,) in rows)
