# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of the journal's thread, and the queue in which that waits."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.report.backlog import Fetch, Job
from gateway.report.cursors import Refuse, Resend, Taken
from gateway.report.kept_calls import Keep
from gateway.report.store import Put, Remembered, Store, Write


@dataclass(frozen=True, slots=True)
class Remember:
    """Ask for transfers that are remembered: see Journal.history."""

    limit: int | None
    transfer: str | None
    untaken_by: str | None
    answer: "asyncio.Future[list[Remembered]]"


@dataclass(frozen=True, slots=True)
class Change:
    """Do this to the store, and to what it has not taken yet."""

    work: Callable[[Store, list[Write]], object]
    answer: "asyncio.Future[Any]"


@dataclass(frozen=True, slots=True)
class Close:
    """Write what is left, and end."""

    done: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class HaveSink:
    """Have a sink more, or one less; `wanted`: it takes events of these types alone."""

    sink: str
    is_there: bool
    wanted: Collection[str] | None = None


AnyJob: TypeAlias = Put | Keep | Job | HaveSink | Remember | Change | Close

_UNAWAITED = (Put, Taken, Refuse, Keep)


class JobQueue:
    """From the loop to the thread. Each time the thread is woken costs the loop its turn, so it is seldom woken."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[AnyJob] = queue.SimpleQueue()
        self._is_awaited = threading.Event()

    def put(self, job: AnyJob) -> None:
        """Ask for something; returns at once."""
        self._jobs.put(job)
        if not isinstance(job, _UNAWAITED):
            self._is_awaited.set()

    def wait(self, seconds: float) -> list[AnyJob]:
        """What is asked for, as soon as that is anything; empty: nothing was, for so long."""
        try:
            return [self._jobs.get(timeout=seconds), *self._rest()]
        except queue.Empty:
            return []

    def gather(self, seconds: float) -> list[AnyJob]:
        """What is asked for within this time, which is cut short where somebody waits for an answer."""
        self._is_awaited.wait(seconds)
        self._is_awaited.clear()  # before the queue is emptied: what comes meanwhile is not overlooked
        return self._rest()

    def _rest(self) -> list[AnyJob]:
        jobs = []
        with contextlib.suppress(queue.Empty):
            while True:
                jobs.append(self._jobs.get_nowait())
        return jobs


def must_be_written_first(fetch: Fetch, unwritten: list[Write]) -> bool:
    """Whether the sink has said something of events that it asks for now."""
    return any(
        not isinstance(write, Put | Keep)
        and write.sink == fetch.sink
        and (isinstance(write, Resend) or write.seq > fetch.after)
        for write in unwritten
    )
