# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal that somebody sits at: a command in it, what its screen shows, and the keys that are pressed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import pyte

from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping


LONG_S = 60.0
"""A busy machine needs its time to load what the command needs."""


class Terminal:
    """A command of the gateway's in a terminal of its own, while the context lasts."""

    def __init__(self, *arguments: str, columns: int = 120, lines: int = 40, env: Mapping[str, str] | None = None):
        self._arguments = arguments
        self._size = columns, lines
        self._env = {"TERM": "xterm-256color", **(env or {})}
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.written = b""

    async def __aenter__(self) -> Self:
        self._ours, self._theirs = pty.openpty()
        self._set_size()
        self.modes = termios.tcgetattr(self._theirs)
        self._start()
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def _start(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self.process = subprocess.Popen(
            # With the terminal for its own, whose keys send it signals.
            ["setsid", "--ctty", "env", "--default-signal", sys.executable, "-m", "gateway.cli", *self._arguments],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={**inherited, **self._env},
        )

    @property
    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal is as whoever started the command had it: its modes, its cursor, its own screen."""
        return termios.tcgetattr(self._theirs) == self.modes and b"\x1b[?1049l" in self.written[-200:]

    async def shows(self, *texts: str) -> None:
        """Wait until all of these are to be seen."""

        async def seen() -> bool:
            return all(each in self.text for each in texts)

        try:
            await eventually(seen, f"{texts} are on the screen", timeout_s=LONG_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None

    def line(self, beginning: str) -> str:
        """The first line that begins so."""
        return next(line for line in self.text.splitlines() if line.startswith(beginning))

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        self._size = columns, lines
        self.screen.resize(lines, columns)
        self._set_size()

    async def ended(self) -> int:
        """Wait for the command to end: its exit code."""

        async def over() -> bool:
            return self.process.poll() is not None

        await eventually(over, "the command ends", timeout_s=LONG_S)
        self._read()
        return self.process.wait()

    def _set_size(self) -> None:
        columns, lines = self._size
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        os.set_blocking(self._ours, False)
        with suppress(OSError):
            while piece := os.read(self._ours, 65536):
                self.written += piece
                self.stream.feed(piece)
