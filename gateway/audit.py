# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit trail: who has given which command, and what came of it; kept on disk, within bounds.

Two files of JSON lines: what is newest, and what was before it. No caller is named in them, so `forget` leaves them.
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
STOP_S = 2.0

log = structlog.get_logger("app")


class AuditTrail:
    """Takes commands at once, and writes them in a thread of its own."""

    def __init__(self, directory: str, clock: Clock, max_bytes: int = MAX_BYTES) -> None:
        self._newest = Path(directory) / "audit.jsonl"
        self._before = Path(directory) / "audit.1.jsonl"
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: deque[dict[str, Any]] = deque(maxlen=AT_HAND)  # the newest last
        self._worker = Worker("audit", WAITING)
        self._writing: set[asyncio.Task[None]] = set()
        self._fails = False

    async def start(self) -> None:
        """Know what was written before."""
        self._entries.extend(await self._worker.run(self._read))

    async def stop(self) -> None:
        """Write what waits, unless the disk hangs."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=STOP_S)
        self._worker.stop()

    def note(self, command: GivenCommand) -> None:
        """A command was given, and that came of it."""
        entry = {"at": timestamp(self._clock.now().wall), **command.document}
        self._entries.append(entry)
        log.info("command-given", **{name: value for name, value in command.document.items() if value is not None})
        task = asyncio.get_running_loop().create_task(self._write(f"{json.dumps(entry)}\n"))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def newest(self, most: int) -> Sequence[dict[str, Any]]:
        """So many at most, the newest first."""
        return [entry for entry, _ in zip(reversed(self._entries), range(most), strict=False)]

    async def _write(self, line: str) -> None:
        try:
            await self._worker.run(self._append, line)
        except (OSError, BusyError) as error:
            if not self._fails:
                log.error("audit-unwritten", error=str(error))
            self._fails = True
        else:
            self._fails = False

    # --- in the thread

    def _append(self, line: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._newest.stat().st_size + len(line) > self._max_bytes:
                self._newest.replace(self._before)
        descriptor = os.open(self._newest, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

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
