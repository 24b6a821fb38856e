# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes log lines to a stream without ever waiting for who reads it: a pipe or a journal that is stuck stops no call.

What cannot be written now is kept and goes with the next line, up to `MOST_WAITING`; beyond that lines are counted, and
the log says how many are missing once it goes on. A file is always ready to be written to, whatever its disk does; so a
thread does that, and is waited for as long as it is quick.
"""

import atexit
import contextlib
import io
import logging
import os
import select
import stat
import threading
import time
from collections import deque
from typing import Protocol, TextIO

import structlog

MOST_WAITING = 1024 * 1024  # bytes
AT_ONCE = select.PIPE_BUF
"""Bytes that a descriptor takes without waiting when it is ready to be written to (pipe(7))."""
LAST_WORDS_S = 1.0
DISK_S = 0.1
"""A disk that takes longer for a line stands still: from then on nobody waits for it until it has caught up."""

log = structlog.get_logger(__name__)


class Lines(Protocol):
    """Lines on their way to a descriptor."""

    lost: int

    def write(self, line: bytes) -> None:
        """Write a line, now or later."""

    def go_on(self, wait_s: float = 0) -> bool:
        """Write what waits, as far as that takes `wait_s` at most; whether nothing waits any more."""


class PipedLines:
    """`Lines` to whatever tells by poll(2) whether there is room: a pipe, a socket, a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self.lost = 0

    def write(self, line: bytes) -> None:
        """See Lines."""
        if self._size > MOST_WAITING:
            self.lost += 1
        else:
            self._waiting.append(line)
            self._size += len(line)
        self.go_on()

    def go_on(self, wait_s: float = 0) -> bool:
        """See Lines."""
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


class FiledLines:
    """`Lines` to a file, by a thread of their own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._size = 0
        self._writing = False
        self._stands_still = False
        self._thread: threading.Thread | None = None
        self.lost = 0

    def write(self, line: bytes) -> None:
        """See Lines."""
        with self._changed:
            if self._size > MOST_WAITING:
                self.lost += 1
                return
            self._waiting.append(line)
            self._size += len(line)
            self._have_thread()
            self._changed.notify_all()
        self.go_on(0 if self._stands_still else DISK_S)

    def go_on(self, wait_s: float = 0) -> bool:
        """See Lines."""
        with self._changed:
            done = self._changed.wait_for(lambda: not self._waiting and not self._writing, wait_s)
        self._stands_still = not done
        return done

    def _have_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # a process that was forked has none
            thread = threading.Thread(target=self._work, name="log", daemon=True)
            thread.start()
            self._thread = thread

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                lines, self._waiting, self._writing = self._waiting, [], True
            lost = self._put(lines)
            with self._changed:
                self._size -= sum(map(len, lines))
                self.lost += lost
                self._writing = False
                self._changed.notify_all()

    def _put(self, lines: list[bytes]) -> int:
        """How many of them were lost."""
        text = b"".join(lines)
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:  # the disk is full
            return max(1, text.count(b"\n"))
        return 0


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
                if lines.lost:  # that one, too
                    lines.lost = missing
            lines.write(self._bytes(record))
        except Exception:  # noqa: BLE001 -- as logging's own handlers do
            self.handleError(record)

    def _bytes(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}{self.terminator}".encode(errors="backslashreplace")


_known: dict[tuple[int, bool], Lines] = {}
"""By descriptor, and whether that is of a file: what waits stays in its place when a reload configures the log anew."""


def _lines_of(stream: TextIO) -> Lines | None:
    try:
        descriptor = stream.fileno()
    except (AttributeError, ValueError, io.UnsupportedOperation):
        return None
    is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if (descriptor, is_file) not in _known:
        _known[descriptor, is_file] = FiledLines(descriptor) if is_file else PipedLines(descriptor)
    return _known[descriptor, is_file]


@atexit.register
def _last_words() -> None:
    for lines in _known.values():
        with contextlib.suppress(OSError):
            lines.go_on(LAST_WORDS_S)
