# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit trail: who has given which command, and what came of it; kept on disk, within bounds.

Two files of JSON lines: what is newest, and what was before it. No caller is named in them, so `forget` leaves them.
A line is written first, which a kill of the process does not undo, and brought to the disk after that, by another
thread: a disk may take seconds for it, in which the next lines are written all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from gateway.core.json_form import timestamp
from gateway.report.worker import BusyError, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.ports import Clock, GivenCommand

MAX_BYTES = 1_000_000
"""Of each of the two files."""
AT_HAND = 1000
"""How many can be asked for."""
WAITING = 1000
"""How many may wait for a disk that hangs."""
KEPT_S = 2.0
"""So long at most does the answer to a command wait for its line, and for what it has begun to be on disk."""
STOP_S = 2.0

log = structlog.get_logger("app")


class AuditTrail:
    """Takes commands at once, and writes them in threads of its own."""

    def __init__(self, directory: str, clock: Clock, max_bytes: int = MAX_BYTES) -> None:
        self._newest = Path(directory) / "audit.jsonl"
        self._before = Path(directory) / "audit.1.jsonl"
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: deque[dict[str, Any]] = deque(maxlen=AT_HAND)  # the newest last
        self._worker, self._disk = Worker("audit", WAITING), Worker("audit-disk", 1)
        self._writing: set[asyncio.Task[None]] = set()
        self._unsynced = False
        self._syncing: asyncio.Task[None] | None = None
        self._fails = False

    async def start(self) -> None:
        """Know what was written before."""
        self._entries.extend(await self._worker.run(self._read))

    async def stop(self) -> None:
        """Write what waits, unless the disk hangs."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._written()
                if self._syncing is not None:
                    await asyncio.wait({self._syncing})
        self._worker.stop()
        self._disk.stop()

    def note(self, command: GivenCommand) -> None:
        """A command was given, and that came of it."""
        entry = {"at": timestamp(self._clock.now().wall), **command.document}
        self._entries.append(entry)
        log.info("command-given", **{name: value for name, value in command.document.items() if value is not None})
        task = asyncio.get_running_loop().create_task(self._write(f"{json.dumps(entry)}\n"))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def kept(self) -> None:
        """Wait until what was noted so far outlives the process, unless that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEPT_S):
                await self._written()

    def newest(self, most: int) -> Sequence[dict[str, Any]]:
        """So many at most, the newest first."""
        return [entry for entry, _ in zip(reversed(self._entries), range(most), strict=False)]

    async def _written(self) -> None:
        if self._writing:
            await asyncio.wait(self._writing)

    async def _write(self, line: str) -> None:
        try:
            await self._worker.run(self._append, line)
        except (OSError, BusyError) as error:
            self._failed(error)
            return
        self._unsynced = True
        if self._syncing is None:
            self._syncing = asyncio.get_running_loop().create_task(self._sync())

    async def _sync(self) -> None:
        try:
            while self._unsynced:
                self._unsynced = False
                await self._disk.run(self._flush)
                self._fails = False
        except (OSError, BusyError) as error:
            self._failed(error)
        finally:
            self._syncing = None

    def _failed(self, error: Exception) -> None:
        if not self._fails:
            log.error("audit-unwritten", error=str(error))
        self._fails = True

    # --- in the threads

    def _append(self, line: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._newest.stat().st_size + len(line) > self._max_bytes:
                self._newest.replace(self._before)
        descriptor = os.open(self._newest, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(line)

    def _flush(self) -> None:
        for path in (self._before, self._newest):  # the one may have become the other since
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def _read(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for path in (self._before, self._newest):
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            except FileNotFoundError:
                continue
            except OSError as error:
                log.error("audit-unreadable", file=str(path), error=str(error))
                continue
            for line in lines:
                with contextlib.suppress(ValueError):  # half a line, of a gateway that was killed
                    if isinstance(entry := json.loads(line), dict):
                        found.append(entry)
        return found[-AT_HAND:]
