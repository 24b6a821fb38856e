# SPDX-License-Identifier: GPL-2.0-or-later
"""The durable outbox: an event is stored before it is sent and forgotten only when the broker acknowledged it.

The database is used by one worker thread alone, so a slow disk never holds up the event loop. Writes that pile up
while it works go into one transaction. When the disk refuses them they stay in memory, in order, and are retried.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.report.refused import Refuse, Resend
from gateway.report.store import (
    Forget,
    Put,
    Remembered,
    Store,
    StoredEvent,
    StoreError,
    TransferChange,
    Write,
    is_broken,
)

MAX_EVENTS = 1_000_000  # about 2 GB
MAX_UNWRITTEN = 100_000  # writes held in memory while the disk refuses them
RETRY_S = 1.0
LOOK_S = 5.0  # between two looks whether the file is still there, while nothing is to be written

T = TypeVar("T")

log = structlog.get_logger(__name__)

__all__ = ["Outbox", "OutboxState", "Put", "Remembered", "StoreError", "StoredEvent", "TransferChange"]


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How much waits for the broker, and how the store is."""

    events: int = 0
    oldest_at: float | None = None  # seconds since 1970
    writable: bool = True  # False while the disk refuses writes
    unwritten: int = 0  # events that are in memory alone because of that
    refused: int = 0  # events that the broker will not have, set aside
    refused_because: str = ""  # the newest of them


@dataclass(frozen=True, slots=True)
class _Fetch:
    after: int
    limit: int
    answer: "asyncio.Future[list[StoredEvent]]"


@dataclass(frozen=True, slots=True)
class _Flush:
    done: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class _Close:
    done: "asyncio.Future[None]"


class Outbox:
    """See the module. `forwarding` False: no broker is configured, the newest events are kept for inspection only.

    One consumer: `stored` is set whenever something new was stored; clear it before `fetch`, wait for it after.
    """

    def __init__(
        self,
        directory: Path,
        *,
        forwarding: bool,
        max_events: int = MAX_EVENTS,
        on_state: Callable[[OutboxState], None] = lambda _state: None,
    ) -> None:
        self._store = Store(directory, max_events=max_events, forwarding=forwarding)
        self._forwarding = forwarding
        self._on_state = on_state
        self._jobs: queue.SimpleQueue[Write | _Fetch | _Flush | _Close] = queue.SimpleQueue()
        self._unwritten: list[Write] = []
        self._flushes: list[_Flush] = []
        self._complaint = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.stored = asyncio.Event()
        self.empty = asyncio.Event()  # set while no event waits
        self.state = OutboxState()

    async def open(self) -> Remembered:
        """Open the database and start the worker; what the last run left. Raises StoreError."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[Remembered] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="outbox", daemon=True)
        self._thread.start()
        return await opened

    def put(self, event: Put) -> None:
        """Store an event; returns at once."""
        self._jobs.put(event)

    def forget(self, seq: int) -> None:
        """The broker has acknowledged the event; returns at once."""
        self._jobs.put(Forget(seq))

    def refuse(self, seq: int, why: str, *, ends_connection: bool = False) -> None:
        """The broker will not have the event: it is set aside; returns at once."""
        self._jobs.put(Refuse(seq, time.time(), why, ends_connection))

    async def resend(self, *, everything: bool = False) -> None:
        """Let refused events wait again; without `everything`, not those that the broker hung up on."""
        self._jobs.put(Resend(everything))
        await self.flush()

    async def fetch(self, after: int, limit: int) -> list[StoredEvent]:
        """The oldest events that are stored with a sequence number above `after`, at most `limit`."""
        answer: asyncio.Future[list[StoredEvent]] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Fetch(after, limit, answer))
        return await answer

    async def flush(self) -> None:
        """Wait until everything put so far is on disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Flush(done))
        await done

    async def close(self, timeout_s: float = 5.0) -> None:
        """Write what is left and close the file. Nothing may be put afterwards."""
        if self._thread is None or not self._thread.is_alive():
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Close(done))
        try:
            async with asyncio.timeout(timeout_s):
                await done
        except TimeoutError:
            log.error("the outbox could not be closed: the disk hangs", seconds=timeout_s)

    # From here on: the worker thread.

    def _run(self, opened: "asyncio.Future[Remembered]") -> None:
        try:
            remembered = self._store.open()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller of open() must get it
            self._resolve(opened, error)
            return
        self._tell_state()
        self._resolve(opened, remembered)
        closing = None
        while closing is None:
            fetches: list[_Fetch] = []
            for job in self._next_jobs():
                match job:
                    case Put() | Forget() | Refuse() | Resend():
                        self._unwritten.append(job)
                    case _Fetch():
                        fetches.append(job)
                    case _Flush():
                        self._flushes.append(job)
                    case _Close():
                        closing = job
            self._write()
            for fetch in fetches:
                self._answer(fetch)
        if self._unwritten:
            log.error("events are lost: the disk refused them to the end", events=len(self._unwritten))
        self._store.close()
        self._resolve(closing.done, None)

    def _next_jobs(self) -> list[Write | _Fetch | _Flush | _Close]:
        jobs = []
        with contextlib.suppress(queue.Empty):
            jobs.append(self._jobs.get(timeout=RETRY_S if self._unwritten or self._complaint else LOOK_S))
            while True:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _write(self) -> None:
        try:
            self._store.keep()
            if self._unwritten:
                self._apply()
        except (sqlite3.Error, OSError, StoreError) as error:
            self._refused(str(error))
            return
        if self._complaint:
            log.info("the outbox can be written again", events=len(self._unwritten))
        if self._complaint or self._unwritten:
            self._complaint, self._unwritten = "", []
            self._tell_state()
        for flush in self._flushes:
            self._resolve(flush.done, None)
        self._flushes = []

    def _apply(self) -> None:
        try:
            self._store.apply(self._unwritten)
        except sqlite3.DatabaseError as error:
            if not is_broken(error):
                raise
            self._store.move_aside(str(error))
            self._store.apply(self._unwritten)

    def _refused(self, why: str) -> None:
        if why != self._complaint:
            log.error("the outbox cannot be written: events are kept in memory and retried", why=why)
            self._complaint = why
        surplus = len(self._unwritten) - MAX_UNWRITTEN
        if surplus > 0:
            log.error("the disk has refused too many events: the oldest were dropped", dropped=surplus)
            del self._unwritten[:surplus]
        self._tell_state()

    def _answer(self, fetch: _Fetch) -> None:
        try:
            self._resolve(fetch.answer, self._store.fetch(fetch.after, fetch.limit))
        except sqlite3.Error as error:
            # Nothing to send for now; the next write finds out what is wrong and mends it.
            log.error("the outbox cannot be read", why=str(error))
            self._resolve(fetch.answer, [])

    def _tell_state(self) -> None:
        writable, unwritten = not self._complaint, sum(isinstance(write, Put) for write in self._unwritten)
        if not self._forwarding:
            # What is kept for inspection waits for nobody.
            self._call(self._changed, OutboxState(writable=writable, unwritten=unwritten))
            return
        try:
            oldest = self._store.oldest_at()
        except sqlite3.Error:
            oldest = None
        refused = self._store.refused
        state = OutboxState(self._store.count + unwritten, oldest, writable, unwritten, refused.count, refused.because)
        self._call(self._changed, state)

    def _resolve(self, future: "asyncio.Future[T]", result: "T | Exception") -> None:
        self._call(_settle, future, result)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        # The loop may be gone when the process ends in a hurry.
        with contextlib.suppress(RuntimeError):
            assert self._loop is not None  # noqa: S101 -- open() set it before it started this thread
            self._loop.call_soon_threadsafe(function, *args)

    # Back on the loop.

    def _changed(self, state: OutboxState) -> None:
        self.state = state
        self.stored.set()
        if state.events:
            self.empty.clear()
        else:
            self.empty.set()
        self._on_state(state)


def outbox_document(state: OutboxState) -> dict[str, object]:
    """What `/api/status` says of it."""
    return {
        "events": state.events,
        "refused": state.refused,
        "refused_because": state.refused_because or None,
        "writable": state.writable,
        "unwritten": state.unwritten,
    }


def _settle(future: "asyncio.Future[T]", result: "T | Exception") -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
