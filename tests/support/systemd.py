# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of systemd that services notify (sd_notify(3))."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Systemd:
    """Listens at a path, for as long as its socket is open."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(str(path))

    def messages(self) -> list[str]:
        """What it was told since it was asked last."""
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(4096).decode())
        return found

    def __call__(self) -> list[str]:
        """The same by lines, moments left out."""
        lines = [line for message in self.messages() for line in message.split("\n")]
        return [line for line in lines if not line.startswith("MONOTONIC_USEC")]
