# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes what is over from the journal into the history, and has it forget what is too old.

A disk that refuses or hangs, a damaged file, a file of a newer gateway: the events wait in the journal meanwhile, for
this sink alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.ports import Clock, sleep
from gateway.report.backlog import Backlog
from gateway.report.cursors import StoredEvent
from gateway.report.erasing import Erased
from gateway.report.history.chain import NO_HEAD
from gateway.report.history.forgetting import Forgetting
from gateway.report.history.naming import Renamed
from gateway.report.history.retention import Keep
from gateway.report.history.state import HistorySize, HistoryState, history_document
from gateway.report.history.store import HistoryStore
from gateway.report.store_file import StoreError
from gateway.report.worker import BusyError, Worker

NAME = "history"  # of its place in the journal
AT_ONCE = 100  # events
GATHER_S = 0.1  # what is stored within this time goes into one transaction
RETRY_S = 5.0
HANGS_S = 5.0  # a disk that takes longer hangs
EXPIRE_EVERY_S = 600.0
REWRITE_S = 300.0  # … but where it writes the whole file anew
RENAME_EVERY_S = 0.1  # between two parts, so that it takes a tenth of a core
HEAD_EVERY_S = 3600.0
LOOK_EVERY_S = 10.0  # counting a million rows takes some ms of the disk's time

_TROUBLE = (sqlite3.Error, OSError, StoreError)
T = TypeVar("T")

log = structlog.get_logger(__name__)


class HistorySink:
    """A `sinks.sink.Sink`; see the module.

    `remembered` has the journal tell what it knows of when the file is new, and `tidy` has it keep no more than this.
    """

    def __init__(
        self,
        backlog: Backlog,
        directory: Path,
        *,
        keep: Keep,
        clock: Clock,
        remembered: Callable[[], Awaitable[list[StoredEvent]]],
        tidy: Callable[[Keep], Awaitable[None]],
        on_state: Callable[[HistoryState], None] = lambda _state: None,
    ) -> None:
        self.name = backlog.sink
        self._backlog = backlog
        self._keep = keep
        self._clock = clock
        self._remembered = remembered
        self._tidy = tidy
        self._on_state = on_state
        self._store = HistoryStore(directory)
        self._worker = Worker("history", most=8)
        self._forgetting = asyncio.Lock()  # held for as long as a caller is being forgotten
        self._lock = asyncio.Lock()  # held while events are on their way from the journal into the history
        self._looked_at = float("-inf")
        self._head = NO_HEAD  # of the chain, as the log was last told
        self._head_at = float("-inf")
        self._taken = 0  # up to this sequence number nothing is asked of the journal again
        self._stopping = asyncio.Event()
        self._expire_now = asyncio.Event()
        self._rename_now = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.state = HistoryState()

    def start(self) -> None:
        """Open the file and begin to take events, in the background."""
        self._tasks = [asyncio.create_task(self._work(), name="history")]

    async def stop(self, flush_s: float) -> None:
        """Take what waits if that takes no longer than `flush_s`, and end."""
        if not self._tasks:
            return
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(flush_s):
                await self._backlog.flush()
                if self.state.writable:
                    await self._backlog.empty.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._head_at = float("-inf")  # what was told last is the last there is
        if self.state.writable:
            with contextlib.suppress(TimeoutError, BusyError, *_TROUBLE):
                async with asyncio.timeout(flush_s):
                    await self._look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(flush_s):
                await self._worker.run(self._store.close)
        self._worker.stop()

    async def resend(self) -> None:
        """Try every event again that could not be read: a newer gateway may be able to."""
        if self._backlog.state.refused:
            await self._backlog.resend(everything=True)
            self._taken = 0
            self._backlog.stored.set()

    async def forget(self, forget_in_journal: Callable[[], Awaitable[Erased]], forms: Collection[str]) -> Erased:
        """Take a caller out of the journal and the history, while nothing is on its way from the one to the other.

        Raises StoreError.
        """
        done = Forgetting()
        try:
            async with self._forgetting, self._lock:
                found = await forget_in_journal()
                while not done.over:
                    done = await self._worker.run(self._store.forget, forms, done)
        except (sqlite3.Error, OSError, BusyError) as error:
            raise StoreError(str(error)) from error
        return found.with_history(done)

    def configure(self, keep: Keep) -> None:
        """Keep so much from now on."""
        if keep != self._keep:
            self._keep = keep
            self._expire_now.set()
            self._rename_now.set()

    @property
    def document(self) -> dict[str, object]:
        """What `/api/status` says of it; null where it is not known yet."""
        backlog = self._backlog.state
        return history_document(self.state, waiting=backlog.events, refused=backlog.refused)

    async def _work(self) -> None:
        await self._persistently(lambda: self._worker.run(self._store.open))
        await self._persistently(self._begin)
        await asyncio.gather(self._take_all(), self._expire_all(), self._rename_all())

    async def _begin(self) -> None:
        if await self._worker.run(self._store.is_new):
            await self._worker.run(self._store.apply, await self._remembered(), self._keep)
        await self._look()

    async def _take_all(self) -> None:
        while True:
            self._backlog.stored.clear()
            async with self._forgetting:
                pass  # a million rows take some seconds, and no disk hangs
            if not await self._persistently(self._take_some):
                await self._backlog.stored.wait()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GATHER_S):
                        await self._stopping.wait()

    async def _take_some(self) -> bool:
        async with self._lock:
            events = await self._backlog.fetch(self._taken, AT_ONCE)
            if not events:
                return False
            refused = dict(await self._worker.run(self._store.apply, events, self._keep))
            for event in events:
                if event.seq in refused:
                    log.error("history-event-unreadable", id=event.event_id, why=refused[event.seq])
                    self._backlog.refuse(event.seq, refused[event.seq])
                else:
                    self._backlog.take(event.seq)
            self._taken = events[-1].seq
            is_all = len(events) < AT_ONCE
        if self._clock.now().steady - self._looked_at >= LOOK_EVERY_S:
            await self._look()
        return not is_all

    async def _look(self) -> None:
        self._looked_at = self._clock.now().steady
        size = await self._worker.run(self._store.size)
        self._tell(size=size)
        if size.head != self._head and self._looked_at - self._head_at >= HEAD_EVERY_S:
            self._head, self._head_at = size.head, self._looked_at
            log.info("chain-head", n=size.head.n, hash=size.head.hash)

    async def _expire_all(self) -> None:
        while True:
            self._expire_now.clear()
            async with self._forgetting:
                pass
            while await self._persistently(self._expire_some):
                pass
            await self._tidy(self._keep)
            pause = asyncio.create_task(sleep(self._clock, EXPIRE_EVERY_S))
            asked = asyncio.create_task(self._expire_now.wait())
            try:
                await asyncio.wait({pause, asked}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
                asked.cancel()

    async def _expire_some(self) -> bool:
        more = await self._worker.run(self._store.expire, self._keep, self._clock.now().wall)
        if not more:
            await self._look()
        return more

    async def _rename_all(self) -> None:
        """Have older rows name callers as `callers` says: at the start, and whenever that may have changed."""
        while True:
            self._rename_now.clear()
            rows, told = 0, False
            while (done := await self._rename_some()).more:
                rows += done.rows
                if not told or self._clock.now().steady - self._looked_at >= LOOK_EVERY_S:
                    await self._persistently(self._look)
                if not told and self.state.size is not None:
                    told = True
                    log.info("history-renaming", callers=self._keep.callers, rows=self.state.size.in_full)
                await sleep(self._clock, RENAME_EVERY_S)
            if told:
                await self._persistently(self._look)
                log.info("history-renamed", callers=self._keep.callers, rows=rows)
            await self._rename_now.wait()

    async def _rename_some(self) -> Renamed:
        # Who is being forgotten is looked for in the forms that there were at the beginning.
        async with self._forgetting:
            return await self._persistently(
                lambda: self._worker.run(self._store.rename, self._keep.callers), hangs_s=REWRITE_S
            )

    async def _persistently(self, work: Callable[[], Awaitable[T]], *, hangs_s: float | None = None) -> T:
        """Do it until it succeeds, and say so when it does not."""
        while True:
            doing = asyncio.ensure_future(work())
            try:
                await asyncio.wait({doing}, timeout=hangs_s or HANGS_S)
                if not doing.done():
                    self._complain("the disk hangs")
                result = await doing
            except Exception as error:
                if not isinstance(error, _TROUBLE):
                    # Yet without this task nothing would be stored any more.
                    log.exception("history-failed")
                self._complain(str(error))
                await sleep(self._clock, RETRY_S)
            else:
                if not self.state.writable:
                    log.info("history-writable", events=self._backlog.state.events)
                    self._tell(writable=True)
                return result
            finally:
                doing.cancel()

    def _complain(self, why: str) -> None:
        if why != self.state.why:
            log.error("history-unwritable", why=why, events_waiting=self._backlog.state.events)
        self._tell(writable=False, why=why)

    def _tell(self, *, writable: bool | None = None, why: str = "", size: HistorySize | None = None) -> None:
        before = self.state
        if writable is None:
            writable, why = before.writable, before.why
        self.state = HistoryState(writable, why, size or before.size)
        self._on_state(self.state)
