# SPDX-License-Identifier: GPL-2.0-or-later
"""A thread of its own for work that may hang: one thing after the other, and nobody waits for it at the end."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BusyError(Exception):
    """So much waits for the thread already that nothing more is taken."""


class Worker:
    """See the module. No more than `most` pieces of work wait or are under way."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._asked = 0
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it in the thread; what it returns or raises. Whoever no longer waits leaves it running.

        Raises BusyError where too much waits.
        """
        if self._asked >= self._most:
            raise BusyError(f"the disk hangs: {self._asked} wait for it")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = work(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 -- whoever waits for it is told
                tell(_fail, error)
            else:
                tell(_succeed, result)

        def tell(how: Callable[[asyncio.Future[T], object], None], what: object) -> None:
            # The loop may be gone when the process ends in a hurry.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._done, how, done, what)

        self._asked += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)
        return await done

    def stop(self) -> None:
        """End the thread once it has done what it was given; nothing may be asked of it afterwards."""
        if self._thread is not None:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _done(self, how: Callable[[asyncio.Future[T], object], None], future: asyncio.Future[T], what: object) -> None:
        self._asked -= 1
        if not future.done():
            how(future, what)


def _succeed(future: asyncio.Future[T], result: object) -> None:
    future.set_result(result)  # type: ignore[arg-type]  # it is what the work returned


def _fail(future: asyncio.Future[T], error: object) -> None:
    future.set_exception(error)  # type: ignore[arg-type]
