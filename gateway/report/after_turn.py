# SPDX-License-Identifier: GPL-2.0-or-later
"""Work that the loop does once it is through with what it is in the middle of: nobody's answer waits for it."""

import asyncio
from collections.abc import Callable
from time import perf_counter

PATIENCE_S = 0.02
"""Work that has waited for so long is done, whoever else wants their turn."""


class AfterTurn:
    """In the order in which it was put off; it must not raise."""

    def __init__(self) -> None:
        self._work: list[Callable[[], None]] = []
        self._since = 0.0
        self.gives_way: Callable[[], bool] = lambda: False
        """Whether somebody's answers wait who goes before, in this turn of the loop and the next."""

    def put(self, work: Callable[[], None]) -> None:
        """Do it soon; on the loop."""
        self._work.append(work)
        if len(self._work) == 1:
            self._since = perf_counter()
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        if self._work and self.gives_way() and perf_counter() - self._since < PATIENCE_S:
            asyncio.get_running_loop().call_soon(self._look)
        else:
            self.do()

    def do(self) -> None:
        """Do now what was put off."""
        work, self._work = self._work, []
        for each in work:
            each()
