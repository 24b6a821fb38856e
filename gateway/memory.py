# SPDX-License-Identifier: GPL-2.0-or-later
"""Gives memory back to the system once a peak of calls is over, and keeps the collector from what stays for good.

What PJSIP keeps of a call over UDP it keeps for 32 s more (RFC 3261 §17.2.2, timer J), some 0.2 MB for a call with a
transfer. Then it is free, but lies between what is still in use, and glibc gives back on its own only what is at the
end of its heap: the gateway would stay as large as in its busiest half minute.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Self

LOOK_EVERY_S = 10.0
WORTH_IT = 32 << 20  # bytes; looking through the heap takes some ms, in which nobody else gets memory


class Allocator(Protocol):
    """What the C library tells of its heaps, and can do for them."""

    def used(self) -> int:
        """Bytes in use."""

    def trim(self) -> None:
        """Give back what is free."""


class _Mallinfo2(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    )


class Glibc:
    """glibc's (mallinfo(3), malloc_trim(3)), since 2.33; None from `found` where it is another library."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._mallinfo = library.mallinfo2
        self._mallinfo.restype = _Mallinfo2
        self._trim = library.malloc_trim

    @classmethod
    def found(cls) -> Self | None:
        """The C library of this process."""
        try:
            return cls(ctypes.CDLL(None))
        except (OSError, AttributeError):
            return None

    def used(self) -> int:
        """See Allocator."""
        return int(self._mallinfo().uordblks)

    def trim(self) -> None:
        """See Allocator."""
        self._trim(0)


class Peaks:
    """Notices when so much less is in use than before that it is worth giving back."""

    def __init__(self, allocator: Allocator) -> None:
        self._allocator = allocator
        self._most = 0

    def look(self) -> None:
        """Look, and give back where it is worth it. For a thread: it takes some ms, without the interpreter's lock."""
        used = self._allocator.used()
        self._most = max(self._most, used)
        if self._most - used >= WORTH_IT:
            self._allocator.trim()
            self._most = used


async def give_back() -> None:
    """Look from time to time, until cancelled."""
    allocator = Glibc.found()
    if allocator is None:
        return
    peaks = Peaks(allocator)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        await asyncio.to_thread(peaks.look)


@contextmanager
def lasting() -> Iterator[None]:
    """What is made meanwhile stays as long as the process: nothing of it is searched for garbage, now or later.

    Modules make a hundred thousand objects, which the collector would look through again and again while they come, and
    once more for some 40 ms when the gateway is about to be ready.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
