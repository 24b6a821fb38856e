# SPDX-License-Identifier: GPL-2.0-or-later
"""What every sink is that takes events from the journal.

A sink is given its `Backlog`, and so its place in the journal, which is kept under the sink's name: the name never
changes. It goes through what waits there in order, says `take` of what has arrived and `refuse` of what never will; a
dead letter keeps nothing else, and waits again after `resend`. A sink that fails keeps no other waiting, and nothing is
lost by it: what it has not taken is there at the next start.

The log is none of them: a line is written as the thing happens, and comes after no restart.
"""

from typing import Protocol


class Sink(Protocol):
    """See the module."""

    name: str

    def start(self) -> None:
        """Begin to take events, in the background."""

    async def stop(self, flush_s: float) -> None:
        """Take what waits if that takes no longer than `flush_s`, and end."""

    async def resend(self) -> None:
        """Try every dead letter again: somebody may have mended the cause."""
