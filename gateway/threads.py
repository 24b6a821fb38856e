# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads for work that blocks, and that nobody waits for at the end: a file system or a name server may hang."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
MOST = 8


class DaemonPool(ThreadPoolExecutor):
    """For `loop.set_default_executor`, which takes no other kind; Python's own threads are waited for without end."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__(most)
        self._most = most
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._begun = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See concurrent.futures.Executor."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 -- whoever waits for it is told
                future.set_exception(error)

        self._jobs.put(job)
        if self._begun < self._most:
            self._begin()
        return future

    def _begin(self) -> None:
        try:
            threading.Thread(target=self._work, name=f"blocking-{self._begun}", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            if not self._begun:
                raise
        else:
            self._begun += 1

    def _work(self) -> None:
        while True:
            self._jobs.get()()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See concurrent.futures.Executor; what runs is left behind."""
