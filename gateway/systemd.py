# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells systemd how the service is: ready, reloading, stopping, alive (sd_notify(3)).

The protocol is one datagram of KEY=VALUE lines to the socket that $NOTIFY_SOCKET names. Nothing here blocks or
raises: without systemd, or with one that does not listen, the gateway runs just as well.
"""

import asyncio
import atexit
import contextlib
import functools
import os
import socket
import time
from collections import deque

MOST_BYTES = 2048
"""How long a status may be: of a datagram of more than 4,096 bytes systemd takes nothing, a READY=1 in it neither."""

ALIVE = "WATCHDOG=1"
_unheard: deque[str] = deque(maxlen=16)
"""What systemd was too busy to hear, in order."""


def ready(status: str = "") -> None:
    """The service takes calls (also: a reload is over). `status` is a line for `systemctl status`."""
    _send("READY=1", _status(status))


def reloading() -> None:
    """The configuration is loaded anew; `ready` ends it."""
    # systemd tells by the moment which reload this belongs to (Type=notify-reload).
    _send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def stopping(status: str = "") -> None:
    """The service ends."""
    _send("STOPPING=1", _status(status))


def status(text: str) -> None:
    """One line for `systemctl status`."""
    _send(_status(text))


def extend_timeout(seconds: float) -> None:
    """Starting, reloading or stopping takes up to this much longer than systemd was told."""
    _send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")


async def watchdog() -> None:
    """Give a sign of life from the event loop, until cancelled; returns at once when none is wanted."""
    interval = watchdog_s()
    if interval is None:
        return
    while True:
        _send(ALIVE)
        # Half of the time allowed, as sd_watchdog_enabled(3) advises.
        await asyncio.sleep(interval / 2)


def watchdog_s() -> float | None:
    """Seconds within which systemd wants a sign of life; None: it wants none, or not from this process."""
    try:
        if int(os.environ.get("WATCHDOG_PID", os.getpid())) != os.getpid():
            return None
        return int(os.environ["WATCHDOG_USEC"]) / 1_000_000 or None
    except (KeyError, ValueError):
        return None


def _status(text: str) -> str:
    # A line break would begin another variable.
    line = " ".join(text.split())
    # A file's name may hold bytes that are no text.
    octets = line.encode(errors="backslashreplace")
    if len(octets) > MOST_BYTES:
        line = octets[:MOST_BYTES].decode(errors="ignore") + "…"
    return f"STATUS={line}" if line else ""


@functools.cache
def _speaker() -> socket.socket:
    # Kept for good: without a descriptor left the watchdog would hear nothing more, and end every call.
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    atexit.register(made.close)
    return made


def _send(*lines: str) -> None:
    name = os.environ.get("NOTIFY_SOCKET", "")
    if name[:1] not in ("@", "/"):
        return
    # '@' stands for the NUL byte that begins the name of an abstract socket.
    address = f"\0{name[1:]}" if name.startswith("@") else name
    said = "\n".join(line for line in lines if line)
    if said != ALIVE:
        _unheard.append(said)
    # Gone, or too busy to listen: then it goes with the next word, as a lost READY=1 would never be made up for.
    with contextlib.suppress(OSError):
        while _unheard:
            _speaker().sendto(_unheard[0].encode(errors="backslashreplace"), address)
            _unheard.popleft()
        if said == ALIVE:
            _speaker().sendto(said.encode(), address)
