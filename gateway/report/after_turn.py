# SPDX-License-Identifier: GPL-2.0-or-later
"""Work that the loop does once it is through with what it is in the middle of: nobody's answer waits for it."""

import asyncio
from collections.abc import Callable


class AfterTurn:
    """In the order in which it was put off; it must not raise."""

    def __init__(self) -> None:
        self._work: list[Callable[[], None]] = []

    def put(self, work: Callable[[], None]) -> None:
        """Do it soon; on the loop."""
        self._work.append(work)
        if len(self._work) == 1:
            asyncio.get_running_loop().call_soon(self.do)

    def do(self) -> None:
        """Do now what was put off."""
        work, self._work = self._work, []
        for each in work:
            each()
