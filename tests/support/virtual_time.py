# SPDX-License-Identifier: GPL-2.0-or-later
"""An event loop whose clock jumps to the next timer: what lasts minutes takes no time, and nothing depends on load."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class _Clock(selectors.SelectSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits, and for nothing"
        self.now += max(0.0, timeout)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def in_virtual_time(story: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end; its sleeps and timers take no time."""
    loop = _Loop()
    try:
        return loop.run_until_complete(story)
    finally:
        loop.close()
