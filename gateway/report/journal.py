# SPDX-License-Identifier: GPL-2.0-or-later
"""The durable journal: an event is stored before a sink takes it, and each sink goes through it at its own pace.

The database is used by one worker thread alone, so a slow disk never holds up the event loop. What comes within
`GATHER_S` of the last transaction goes into the next one (docs/decisions/0049-one-commit-for-many-events.md). When the
disk refuses writes they stay in memory, in order, and are retried.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.report.backlog import Backlog, BacklogState, Fetch, Flush
from gateway.report.cursors import Refuse, Resend, Standing, Taken
from gateway.report.jobs import AnyJob, Change, Close, HaveSink, JobQueue, Remember, must_be_written_first
from gateway.report.kept_calls import Keep
from gateway.report.store import HISTORY_OF_EACH, Put, Remembered, Store, Write
from gateway.report.store_file import StoreError, is_broken

MAX_EVENTS = 1_000_000  # about 2 GB
MAX_UNWRITTEN = 100_000  # writes held in memory while the disk refuses them
GATHER_S = 0.02  # between the end of one transaction and the next, unless somebody waits for it
RETRY_S = 1.0
ANSWER_S = 5.0  # a disk that takes longer hangs
LOOK_S = 5.0  # between two looks whether the file is still there, while nothing is to be written

_TROUBLE = (sqlite3.Error, OSError, StoreError)
# What the database is asked to store is wrong, not the database: it stays wrong however often that is tried.
_ABOUT_THE_WRITE = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Journal:
    """See the module. Each sink has a name, by which its place is found again, and is told how much waits for it.

    What waited for a sink that is not named any more is given up. For `idle` sinks nobody takes anything; the newest
    events are kept for inspection only.
    """

    def __init__(
        self,
        directory: Path,
        sinks: Mapping[str, Callable[[BacklogState], None]],
        *,
        idle: Collection[str] = (),
        max_events: int = MAX_EVENTS,
    ) -> None:
        self._store = Store(directory, tuple(sinks), max_events=max_events, idle=idle)
        self._idle = idle
        self._jobs = JobQueue()
        self._gather_until = 0.0  # by time.monotonic()
        self._unwritten: list[Write] = []
        self._flushes: list[Flush] = []
        self._complaint = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.backlogs = {sink: Backlog(sink, self._jobs.put, on_state) for sink, on_state in sinks.items()}

    async def open(self) -> list[Remembered]:
        """Open the database and start the worker; the transfers left under way, oldest first. Raises StoreError."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[list[Remembered]] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="journal", daemon=True)
        self._thread.start()
        return await opened

    def put(self, event: Put | Keep) -> None:
        """Store an event, or what there is of a call that is up; returns at once."""
        self._jobs.put(event)

    def enlist(
        self, sink: str, on_state: Callable[[BacklogState], None], wanted: Collection[str] | None = None
    ) -> Backlog:
        """One sink more: what happens from now on waits for it, besides what has waited since it had its place.

        `wanted`: only events of these types.
        """
        self.backlogs[sink] = backlog = Backlog(sink, self._jobs.put, on_state)
        self.want(sink, wanted)
        return backlog

    def want(self, sink: str, wanted: Collection[str] | None) -> None:
        """From now on only events of these types wait for a sink; None: all."""
        if self._thread is None:
            self._store.enlist(sink, wanted)
        else:
            self._jobs.put(HaveSink(sink, is_there=True, wanted=wanted))

    def discharge(self, sink: str) -> None:
        """One sink less: what waits for it, and its dead letters, are given up."""
        self.backlogs.pop(sink, None)
        self._jobs.put(HaveSink(sink, is_there=False))

    async def flush(self) -> None:
        """Wait until everything put so far is on disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put(Flush(done))
        await done

    async def history(
        self, *, limit: int | None = None, transfer: str | None = None, untaken_by: str | None = None
    ) -> list[Remembered]:
        """Transfers under way and remembered, newest first, or one of them; also what the disk has not taken yet.

        `untaken_by` a sink: those under way, and those that it has not taken.

        Raises StoreError when the disk can't be read, or hangs.
        """
        answer: asyncio.Future[list[Remembered]] = asyncio.get_running_loop().create_future()
        self._jobs.put(Remember(limit, transfer, untaken_by, answer))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            raise StoreError("the disk hangs") from None

    async def change(self, work: Callable[[Store, list[Write]], T]) -> T:
        """Have this done to the store and to what the disk has not taken yet, in the journal's own thread.

        Raises StoreError when the disk refuses it.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(Change(work, answer))
        return await answer

    async def close(self, timeout_s: float = 5.0) -> None:
        """Write what is left and close the file. Nothing may be put afterwards."""
        if self._thread is None or not self._thread.is_alive():
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put(Close(done))
        try:
            async with asyncio.timeout(timeout_s):
                await done
        except TimeoutError:
            log.error("outbox-not-closed", seconds=timeout_s)

    # From here on: the worker thread.

    def _run(self, opened: "asyncio.Future[list[Remembered]]") -> None:
        try:
            remembered = self._store.open()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller of open() must get it
            self._resolve(opened, error)
            return
        self._tell_state()
        self._resolve(opened, remembered)
        closing = None
        while closing is None:
            questions: list[Fetch | Remember | Change] = []
            has_changed = False
            for job in self._next_jobs():
                match job:
                    case Put() | Taken() | Refuse() | Resend() | Keep():
                        self._unwritten.append(job)
                    case Fetch() | Remember() | Change():
                        questions.append(job)
                    case Flush():
                        self._flushes.append(job)
                    case HaveSink():
                        # What came before it in this turn may be kept for it, or given up: no matter.
                        self._have(job)
                        has_changed = True
                    case Close():
                        closing = job
            if has_changed or closing or not self._may_gather(questions):
                self._write(tell=has_changed)
                self._gather_until = time.monotonic() + GATHER_S
            for question in questions:
                self._answer(question)
        if self._unwritten:
            log.error("events-lost", events=len(self._unwritten))
        self._store.close()
        self._resolve(closing.done, None)

    def _have(self, job: HaveSink) -> None:
        if job.is_there:
            self._store.enlist(job.sink, job.wanted)
        else:
            self._store.discharge(job.sink)

    def _next_jobs(self) -> list[AnyJob]:
        """What is asked for; nothing, where that takes too long."""
        if self._complaint:
            return self._jobs.wait(RETRY_S)
        if self._unwritten:
            return self._jobs.gather(max(0, self._gather_until - time.monotonic()))
        return self._jobs.wait(LOOK_S)

    def _may_gather(self, questions: Collection[Fetch | Remember | Change]) -> bool:
        """Whether what is unwritten may wait for more to come."""
        if self._flushes or time.monotonic() >= self._gather_until:
            return False
        # Only a sink that fetches can do without what is not written yet.
        return all(isinstance(each, Fetch) and not must_be_written_first(each, self._unwritten) for each in questions)

    def _write(self, *, tell: bool = False) -> None:
        count = len(self._unwritten)
        is_news = tell or not all(isinstance(write, Taken | Refuse | Keep) for write in self._unwritten)
        try:
            self._store.keep()
            self._apply()
        except Exception as error:
            if not isinstance(error, _TROUBLE):
                # Yet without this thread nothing would be stored any more, and nobody told.
                log.exception("journal-failed")
            self._refused(str(error))
            return
        if self._complaint:
            log.info("outbox-writable", events=count)
        if self._complaint or count or tell:
            self._complaint = ""
            self._tell_state(is_news=is_news)
        for flush in self._flushes:
            self._resolve(flush.done, None)
        self._flushes = []

    def _apply(self) -> None:
        """Store what is unwritten, together if that can be. Of what no disk can store only that is lost.

        Raises sqlite3.Error, OSError, StoreError; what is written by then is written.
        """
        while self._unwritten:
            writes = self._unwritten[:]
            while not self._stored(writes):
                if len(writes) == 1:
                    break
                del writes[len(writes) // 2 :]
            del self._unwritten[: len(writes)]

    def _stored(self, writes: list[Write]) -> bool:
        try:
            try:
                self._store.apply(writes)
            except sqlite3.DatabaseError as error:
                if not is_broken(error):
                    raise
                self._store.move_aside(str(error))
                self._store.apply(writes)
        except Exception as error:
            if isinstance(error, _TROUBLE) and not isinstance(error, _ABOUT_THE_WRITE):
                raise
            if len(writes) == 1:
                log.exception("event-lost", id=getattr(writes[0], "event_id", None))
            return False
        return True

    def _refused(self, why: str) -> None:
        if why != self._complaint:
            log.error("outbox-unwritable", why=why)
            self._complaint = why
        surplus = len(self._unwritten) - MAX_UNWRITTEN
        if surplus > 0:
            log.error("unwritten-events-dropped", dropped=surplus)
            del self._unwritten[:surplus]
        self._tell_state()

    def _answer(self, question: Fetch | Remember | Change) -> None:
        try:
            match question:
                case Fetch(sink, after, limit):
                    self._resolve(question.answer, self._store.fetch(sink, after, limit))
                case Remember():
                    self._resolve(question.answer, self._history(question))
                case Change(work):
                    self._resolve(question.answer, work(self._store, self._unwritten))
        except Exception as error:  # noqa: BLE001 -- whoever asks must get an answer
            log.error("outbox-unreadable", why=str(error))
            if is_broken(error):
                self._begin_anew(str(error))
            if isinstance(question, Fetch):
                # Nothing to send for now.
                self._resolve(question.answer, [])
            else:
                self._call(_resolve, question.answer, StoreError(str(error)))

    def _begin_anew(self, why: str) -> None:
        """What cannot be read would keep all that comes behind it."""
        with contextlib.suppress(*_TROUBLE):  # the next write finds out, and tells
            self._store.move_aside(why)
            self._tell_state()

    def _history(self, ask: Remember) -> list[Remembered]:
        limit = -1 if ask.limit is None else ask.limit
        stored = self._store.history(limit=limit, transfer=ask.transfer, untaken_by=ask.untaken_by)
        waiting = [put for put in self._unwritten if isinstance(put, Put) and put.change is not None]
        if not waiting:
            return stored
        known = {one.change.transfer: one for one in stored}
        for put in waiting[-2 * HISTORY_OF_EACH :]:
            change = put.change
            if change is None or ask.transfer not in {None, change.transfer}:
                continue
            if (before := known.get(change.transfer)) is None or not before.change.ended:
                known[change.transfer] = Remembered(change, put.payload)
        newest = sorted(known.values(), key=lambda one: (one.change.requested_at, one.change.transfer), reverse=True)
        return newest[: ask.limit]

    def _tell_state(self, *, is_news: bool = True) -> None:
        writable, unwritten = not self._complaint, [write for write in self._unwritten if isinstance(write, Put)]
        for sink, backlog in list(self.backlogs.items()):  # the loop may enlist another one meanwhile
            # What is kept for inspection waits for nobody.
            state = BacklogState(writable=writable, unwritten=len(unwritten))
            if sink not in self._idle:
                standing = self._store.standing.get(sink, Standing())
                state = replace(
                    state,
                    events=standing.waiting + sum(self._store.is_wanted(sink, put) for put in unwritten),
                    oldest_at=self._oldest_at(sink) if standing.waiting else None,
                    refused=standing.refused,
                    refused_because=standing.because,
                )
            self._call(partial(backlog.changed, is_news=is_news), state)

    def _oldest_at(self, sink: str) -> float | None:
        try:
            return self._store.oldest_at(sink)
        except sqlite3.Error:
            return None

    def _resolve(self, future: "asyncio.Future[T]", result: "T | Exception") -> None:
        self._call(_resolve, future, result)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        # The loop may be gone when the process ends in a hurry.
        with contextlib.suppress(RuntimeError):
            assert self._loop is not None  # noqa: S101 -- open() set it before it started this thread
            self._loop.call_soon_threadsafe(function, *args)


def _resolve(future: "asyncio.Future[T]", result: "T | Exception") -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
