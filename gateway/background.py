# SPDX-License-Identifier: GPL-2.0-or-later
"""Work that goes on in the background: told of when it fails, and ended before the process does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine

import structlog

log = structlog.get_logger("app")


class BackgroundTasks:
    """Tasks by their names. One that fails leaves the others."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Do this in the background."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(_complain)
        self._tasks[name] = task

    def end(self, name: str) -> None:
        """Do it no longer."""
        self._tasks.pop(name).cancel()

    async def stop(self) -> None:
        """End all of them, and wait for that."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _complain(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        if error := task.exception():
            log.error("task-failed", task=task.get_name(), exc_info=error)
