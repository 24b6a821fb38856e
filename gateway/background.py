# SPDX-License-Identifier: GPL-2.0-or-later
"""Work that goes on in the background: told of when it fails, and ended before the process does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine

import structlog

AGAIN_S = 2.0

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
        """End all of them, and wait for that; one that goes on, as Python 3.11 can pass over it, is ended again."""
        going_on = set(self._tasks.values())
        while going_on:
            for task in going_on:
                task.cancel()
            _, going_on = await asyncio.wait(going_on, timeout=AGAIN_S)


def _complain(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        if error := task.exception():
            log.error("task-failed", task=task.get_name(), exc_info=error)
