# SPDX-License-Identifier: GPL-2.0-or-later
"""The system calls of a process, as strace counts them, where there is one that may."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import Child, ChildError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WAITS = frozenset({
    "clock_nanosleep", "epoll_pwait", "epoll_wait", "futex", "poll", "ppoll", "pselect6", "restart_syscall",
    "sched_yield", "select",
})  # fmt: skip
"""Whose number depends on the time and on what else the machine does, not on the work."""


@asynccontextmanager
async def traced(pid: int) -> AsyncIterator[Counter[str]]:
    """Counts by name, there once the context has ended, waits left out; empty where nobody may trace."""
    counts: Counter[str] = Counter()
    if shutil.which("strace") is None:
        yield counts
        return
    with tempfile.TemporaryDirectory() as directory:
        table, log = Path(directory, "table"), Path(directory, "log")
        tracer = Child("strace", ["strace", "-f", "-c", "-o", str(table), "-p", str(pid)], log)

        async def attached() -> bool:
            return "attached" in tracer.tail()

        try:
            await tracer.ready(attached)
        except ChildError:
            yield counts
            return
        try:
            yield counts
        finally:
            tracer.signal(signal.SIGINT)
            await tracer.wait()
        counts.update(parsed_file(table))


def parsed_file(file: Path) -> dict[str, int]:
    """The same of a file."""
    return parsed(file.read_text())


def parsed(table: str) -> dict[str, int]:
    """The calls by name of a table of `strace -c`, waits left out."""
    found = {}
    for line in table.splitlines():
        fields = line.split()
        # % time, seconds, usecs/call, calls, errors (if any), name
        if len(fields) in (5, 6) and fields[3].isdigit() and fields[-1] != "total" and fields[-1] not in WAITS:
            found[fields[-1]] = int(fields[3])
    return found
