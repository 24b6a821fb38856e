# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of what is under way and of what is over, as one list: the history's rows, and what it does not have yet."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gateway.ports.history import HistoryPage, HistoryQuery
from gateway.report.history.keys import first_key, key_of
from gateway.report.history.questions import Found, HistoryReader, NoHistoryError
from gateway.report.history.rows import ID_FIELD, PLATFORM_CALL, TRANSFER, Document, begun_at, trail_text
from gateway.report.history.words import has, phrases
from gateway.report.store_file import StoreError
from gateway.report.worker import BusyError, Worker

ANSWER_S = 5.0  # a disk that takes longer hangs
_LOOKING_S = 4.0  # a question that takes longer reads too much
_SAME = ("number", "destination", "outcome", "reason", "caller")

P = ParamSpec("P")
T = TypeVar("T")


class HistoryAsking:
    """See the module; a thread of its own reads, beside the one that writes."""

    def __init__(self, directory: Path) -> None:
        self._reader = HistoryReader(directory)
        self._worker = Worker("history-questions", most=16)

    async def page(self, what: str, query: HistoryQuery, live: Sequence[Document]) -> HistoryPage:
        """A page, newest first; `live` is what may not be in the history yet. Raises StoreError."""
        if not query.limit:
            return HistoryPage((), None)
        try:
            found = await self._ask(self._find, what, replace(query, limit=query.limit + 1))
        except NoHistoryError:
            found = []
        if what == PLATFORM_CALL:
            # What is in memory is newer than what is stored, and may be of another kind by now.
            newer = {document["id"] for document in live}
            found = [each for each in found if each.document["id"] not in newer]
        stored = {each.document[ID_FIELD[what]] for each in found}
        waiting = [
            (key, document)
            for document in live
            if (key := _key(what, document)) is not None
            and document[ID_FIELD[what]] not in stored
            and _is_asked_for(what, key, document, query)
        ]
        rows = heapq.merge(
            [(each.key, each.document) for each in found],
            sorted(waiting, key=lambda row: row[0], reverse=True),
            key=lambda row: row[0],
            reverse=True,
        )
        page = [row for row, _ in zip(rows, range(query.limit + 1), strict=False)]
        rest = page[query.limit - 1][0] if len(page) > query.limit else None
        return HistoryPage([document for _, document in page[: query.limit]], rest)

    async def get(self, what: str, which: str) -> Found | None:
        """The one of this id, once it is over and stored. Raises StoreError."""
        try:
            return await self._ask(self._reader.get, what, which)
        except NoHistoryError:
            return None

    async def stop(self) -> None:
        """Let go of the file, in the background."""
        await self._quietly(self._reader.close)
        self._worker.stop()

    def _find(self, what: str, query: HistoryQuery) -> list[Found]:
        return self._reader.find(what, query, within_s=_LOOKING_S)

    async def _quietly(self, work: Callable[[], object]) -> None:
        try:
            await self._ask(work)
        except StoreError:
            return

    async def _ask(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._worker.run(work, *args, **kwargs)
        except TimeoutError:
            raise StoreError("the disk hangs") from None
        except BusyError as error:
            raise StoreError(str(error)) from error


def _key(what: str, document: Mapping[str, Any]) -> int | None:
    begun = begun_at(what, document)
    return key_of(datetime.fromisoformat(begun), document[ID_FIELD[what]]) if begun else None


def _is_asked_for(what: str, key: int, document: Document, query: HistoryQuery) -> bool:
    """What the history does by its indexes."""
    if query.before is not None and key >= query.before:
        return False
    if query.since is not None and key < first_key(query.since):
        return False
    if query.until is not None and key >= first_key(query.until):
        return False
    wanted = {name: value for name in _SAME if (value := getattr(query, name)) is not None}
    if what == PLATFORM_CALL and "outcome" in wanted:
        wanted["promise"] = wanted.pop("outcome")
    if any(document.get(name) != value for name, value in wanted.items()):
        return False
    if query.text is None:
        return True
    words = phrases(query.text)
    return bool(words) and what == TRANSFER and has(trail_text(document), words)
