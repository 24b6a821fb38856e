# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes log lines to a stream without ever waiting for who reads it: a pipe or a journal that is stuck stops no call.

What cannot be written now is kept and goes with the next line, up to `MOST_WAITING`; beyond that lines are counted, and
the log says how many are missing once it goes on.
"""

import atexit
import contextlib
import io
import logging
import os
import select
import time
from collections import deque
from typing import TextIO

import structlog

MOST_WAITING = 1024 * 1024  # bytes
AT_ONCE = select.PIPE_BUF
"""Bytes that a descriptor takes without waiting when it is ready to be written to (pipe(7))."""
LAST_WORDS_S = 1.0

log = structlog.get_logger(__name__)


class Lines:
    """Lines on their way to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self.lost = 0

    def write(self, line: bytes) -> None:
        """Write a line, now or later."""
        if self._size > MOST_WAITING:
            self.lost += 1
        else:
            self._waiting.append(line)
            self._size += len(line)
        self.go_on()

    def go_on(self, wait_s: float = 0) -> bool:
        """Write what waits, as far as that needs no waiting, or `wait_s` at most; whether nothing waits any more."""
        until = time.monotonic() + wait_s
        while self._waiting:
            line = self._waiting.popleft()
            try:
                ready = self._room.poll(max(0, until - time.monotonic()) * 1000)
                written = os.write(self._descriptor, line[:AT_ONCE]) if ready else 0
            except BlockingIOError:
                written = 0
            except OSError:  # nobody reads it any more, or the disk is full
                self.lost += 1
                written = len(line)
            self._size -= written
            if written < len(line):
                self._waiting.appendleft(line[written:])
            if not written:
                return False
        return True


class PatientHandler(logging.StreamHandler[TextIO]):
    """See the module; a stream without a descriptor is written to as usual."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines = _lines_of(stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Logging: write a record."""
        lines = self._lines
        if lines is None:
            super().emit(record)
            return
        try:
            if lines.go_on() and lines.lost:
                missing, lines.lost = lines.lost, 0
                log.warning("log-lines-lost", lines=missing)  # comes back here, and goes before the record
            lines.write(self._bytes(record))
        except Exception:  # noqa: BLE001 -- as logging's own handlers do
            self.handleError(record)

    def _bytes(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}{self.terminator}".encode(errors="backslashreplace")


_known: dict[int, Lines] = {}
"""By descriptor: what waits stays in its place when a reload configures the log anew."""


def _lines_of(stream: TextIO) -> Lines | None:
    try:
        descriptor = stream.fileno()
    except (AttributeError, ValueError, io.UnsupportedOperation):
        return None
    if descriptor not in _known:
        _known[descriptor] = Lines(descriptor)
    return _known[descriptor]


@atexit.register
def _last_words() -> None:
    for lines in _known.values():
        with contextlib.suppress(OSError):
            lines.go_on(LAST_WORDS_S)
