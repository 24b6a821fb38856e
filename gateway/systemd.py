# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells systemd how the service is: ready, reloading, stopping, alive (sd_notify(3)).

The protocol is one datagram of KEY=VALUE lines to a socket that systemd names. Without systemd nothing happens.
"""

import asyncio
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Speaks to the socket in $NOTIFY_SOCKET. No method blocks or raises: a deaf systemd stops no calls."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        name = environ.get("NOTIFY_SOCKET", "")
        # '@' stands for the NUL byte that begins the name of an abstract socket; nothing else is one of ours.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._socket: socket.socket | None = None
        if name[:1] in ("@", "/") and len(name) > 1:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self.watchdog_s = _watchdog(environ)

    def ready(self, status: str = "") -> None:
        """The service takes calls (also: a reload is over)."""
        self._send("READY=1", status)

    def reloading(self) -> None:
        """The configuration is loaded anew; `ready` ends it."""
        # systemd wants the moment, to tell this from an earlier reload (Type=notify-reload).
        self._send("RELOADING=1", more=f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str = "") -> None:
        """The service ends."""
        self._send("STOPPING=1", status)

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("", text)

    def extend_timeout(self, seconds: float) -> None:
        """Starting or stopping takes up to this much longer."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    async def keep_alive(self) -> None:
        """Feed the watchdog from the event loop until cancelled; returns at once when there is none."""
        if self.watchdog_s is None:
            return
        while True:
            self._send("WATCHDOG=1")
            # Half of the time allowed, as sd_watchdog_enabled(3) advises.
            await asyncio.sleep(self.watchdog_s / 2)

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str, status: str = "", more: str = "") -> None:
        if self._socket is None:
            return
        lines = [state, more, "STATUS=" + " ".join(status.split()) if status else ""]
        try:
            self._socket.sendto("\n".join(line for line in lines if line).encode(), self._address)
        except OSError:
            # Gone, or too busy to listen; the next one may get through.
            return


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """Seconds within which systemd wants a sign of life; None: it wants none, or not from this process."""
    try:
        if int(environ.get("WATCHDOG_PID", os.getpid())) != os.getpid():
            return None
        return int(environ["WATCHDOG_USEC"]) / 1_000_000 or None
    except (KeyError, ValueError):
        return None
