# SPDX-License-Identifier: GPL-2.0-or-later
"""The times of one record. The wall clock may be set while a call lasts: what follows a record's begin is counted."""

import asyncio
from datetime import datetime, timedelta


class Stopwatch:
    """Begins with the wall clock, and goes on by the loop's, which is never set."""

    def __init__(self, began: datetime) -> None:
        self._began = began
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()

    def __call__(self) -> datetime:
        """The moment, as this record counts."""
        return self._began + timedelta(seconds=self._loop.time() - self._since)
