# SPDX-License-Identifier: GPL-2.0-or-later
"""What waits in the journal for one sink: its place there, and what it says of each event.

A sink takes an event, or refuses it for good: then it becomes a dead letter, which keeps nothing else, and waits again
when the sink asks for that. All of it is on disk; the sink itself remembers nothing.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gateway.report.cursors import Refuse, Resend, StoredEvent, Taken


@dataclass(frozen=True, slots=True)
class BacklogState:
    """How much waits for the sink, and how the journal is."""

    events: int = 0
    oldest_at: float | None = None  # seconds since 1970
    writable: bool = True  # False while the disk refuses writes
    unwritten: int = 0  # events that are in memory alone because of that
    refused: int = 0  # dead letters
    refused_because: str = ""  # the newest of them


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for the oldest events that wait for a sink."""

    sink: str
    after: int
    limit: int
    answer: "asyncio.Future[list[StoredEvent]]"


@dataclass(frozen=True, slots=True)
class Flush:
    """Ask to be told when all that came before is on disk."""

    done: "asyncio.Future[None]"


Job: TypeAlias = Taken | Refuse | Resend | Fetch | Flush


class Backlog:
    """See the module. `stored` is set whenever something may be new: clear it before `fetch`, wait for it after."""

    def __init__(self, sink: str, ask: Callable[[Job], None], on_state: Callable[[BacklogState], None]) -> None:
        self.sink = sink
        self._ask = ask
        self._on_state = on_state
        self.stored = asyncio.Event()
        self.empty = asyncio.Event()  # set while no event waits
        self.state = BacklogState()

    async def fetch(self, after: int, limit: int) -> list[StoredEvent]:
        """The oldest events that are stored with a sequence number above `after`, at most `limit`.

        None that is not on disk yet: `stored` tells of it. Where fewer come than `limit`, no more are there.
        """
        answer: asyncio.Future[list[StoredEvent]] = asyncio.get_running_loop().create_future()
        self._ask(Fetch(self.sink, after, limit, answer))
        return await answer

    def take(self, seq: int) -> None:
        """The sink has the event; returns at once."""
        self._ask(Taken(self.sink, seq))

    def refuse(self, seq: int, why: str, *, ends_connection: bool = False) -> None:
        """The sink will not have the event: it becomes a dead letter; returns at once."""
        self._ask(Refuse(self.sink, seq, time.time(), why, ends_connection))

    async def resend(self, *, everything: bool = False) -> None:
        """Let dead letters wait again; without `everything`, not those that the sink hung up on."""
        self._ask(Resend(self.sink, everything))
        await self.flush()

    async def flush(self) -> None:
        """Wait until everything said so far is on disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ask(Flush(done))
        await done

    def changed(self, state: BacklogState, *, is_news: bool = True) -> None:
        """Take a new state, and whether there may be events to fetch that were not there before; on the loop."""
        self.state = state
        if is_news:
            self.stored.set()
        if state.events:
            self.empty.clear()
        else:
            self.empty.set()
        self._on_state(state)


def backlog_document(state: BacklogState) -> dict[str, object]:
    """What `/api/status` says of it."""
    return {
        "events": state.events,
        "refused": state.refused,
        "refused_because": state.refused_because or None,
        "writable": state.writable,
        "unwritten": state.unwritten,
    }
