# SPDX-License-Identifier: GPL-2.0-or-later
"""Has the calls of platforms known again that were published before, and the transfers that reports may still come for.

They are in the history, or, where that has not taken them yet, in the journal. What cannot be read is not waited for:
then a report that comes again is told again.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from gateway.core.event_types import PLATFORM_CALL as EVENT_TYPE
from gateway.core.platform_calls import LONGEST, Promise
from gateway.core.record import PlatformCallRecord
from gateway.ports.history import HistoryQuery
from gateway.report.event import read_platform_call, read_transfer
from gateway.report.history.rows import PLATFORM_CALL, TRANSFER
from gateway.report.platform.calls import KEPT
from gateway.report.platform.held import id_of
from gateway.report.sinks.history import NAME as HISTORY
from gateway.report.store import Put
from gateway.report.store_file import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gateway.ports import Clock
    from gateway.report.history.asking import HistoryAsking
    from gateway.report.journal import Journal
    from gateway.report.platform.calls import PlatformCalls
    from gateway.report.store import Store, Write

MOST = 2000  # of each, at the start

_RECORD = TypeAdapter(PlatformCallRecord)
_Stored = TypeVar("_Stored")
_Record = TypeVar("_Record")

log = structlog.get_logger(__name__)


class Recalling:
    """See the module."""

    def __init__(self, calls: PlatformCalls, history: HistoryAsking, journal: Journal, clock: Clock) -> None:
        self._calls = calls
        self._history = history
        self._journal = journal
        self._clock = clock

    async def all(self) -> None:
        """What may still be judged, or come again, at the start; nothing where no platform reports."""
        if not self._calls.active:
            return
        now = self._clock.now().wall
        query = HistoryQuery(limit=MOST, since=now - LONGEST - KEPT)
        try:
            # The newest last: it is what counts.
            self._recall(_readable(reversed(await self._journal.change(_waiting)), read_platform_call), now)
            self._recall(_records((await self._history.page(PLATFORM_CALL, query, ())).documents), now)
            untaken = await self._journal.history(untaken_by=HISTORY)
            for record in _readable((one.payload for one in untaken), read_transfer):
                self._calls.recall_transfer(record.transfer, record.number, record.caller, record.requested_at)
            for document in reversed((await self._history.page(TRANSFER, query, ())).documents):
                begun = datetime.fromisoformat(document["requested_at"])
                self._calls.recall_transfer(document["transfer"], document["number"], document["caller"], begun)
        except (StoreError, ValueError) as error:
            log.warning("platform-calls-unknown", why=str(error))

    async def one(self, platform: str, call_id: str) -> None:
        """What was published of a call that is in memory no more."""
        try:
            found = await self._history.get(PLATFORM_CALL, id_of(platform, call_id))
        except StoreError as error:
            log.warning("platform-calls-unknown", why=str(error))
            return
        if found is not None:
            for record in _records([found.document]):
                self._calls.recall(record)

    def _recall(self, records: Iterable[PlatformCallRecord], now: datetime) -> None:
        for record in records:
            if record.promise is Promise.PENDING or record.reported_at + KEPT > now:
                self._calls.recall(record)


def _waiting(store: Store, unwritten: list[Write]) -> list[str]:
    """The events of calls of platforms that the history has not taken yet, oldest first."""
    chosen = "SELECT payload FROM journal WHERE seq > (SELECT cursor FROM sinks WHERE name = ?) AND instr(payload, ?)"
    mark = f'"{EVENT_TYPE}"'
    stored = [payload for (payload,) in store.db.execute(f"{chosen} ORDER BY seq", (HISTORY, mark))]
    return stored + [write.payload for write in unwritten if isinstance(write, Put) and mark in write.payload]


def _records(documents: Iterable[Mapping[str, Any]]) -> Iterator[PlatformCallRecord]:
    return _readable(map(dict, documents), _RECORD.validate_python)


def _readable(stored: Iterable[_Stored], read: Callable[[_Stored], _Record]) -> Iterator[_Record]:
    """What can be read of it, since one row that a disk has garbled must not hide the others."""
    for one in stored:
        try:
            yield read(one)
        except ValidationError as error:
            log.warning("platform-calls-unknown", why=str(error))
