# SPDX-License-Identifier: GPL-2.0-or-later
"""Which SIP call an agent took: from the queue's caller, a channel of Asterisk, to the Call-ID the channel came with.

The Call-ID is asked for when a caller joins a queue, so that it is at hand when an agent answers.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from gateway.pbx.ami_codec import AmiError, Message
from gateway.pbx.ami_connection import ActionRefusedError, Connection

MAX_REMEMBERED = 2_000  # callers


class Callers:
    """The queues' callers, as seen through one connection."""

    def __init__(self, connection: Connection, within: float, taken: Callable[[str, str, datetime], None]) -> None:
        """`within`: seconds for an answer; `taken(call_id, agent, at)` is called when an agent took a call."""
        self._connection = connection
        self._within = within
        self._taken = taken
        self._call_ids: dict[str, asyncio.Task[str | None]] = {}  # by the channel's unique id, oldest first
        self._tasks: set[asyncio.Task[None]] = set()

    def joined(self, event: Message) -> None:
        """Take a QueueCallerJoin."""
        unique = event.get("Uniqueid")
        if unique not in self._call_ids:
            self._call_ids[unique] = asyncio.create_task(self._ask(event))
        if len(self._call_ids) > MAX_REMEMBERED:
            self._call_ids.pop(next(iter(self._call_ids))).cancel()

    def abandoned(self, event: Message) -> None:
        """Take a QueueCallerAbandon."""
        if (asked := self._call_ids.pop(event.get("Uniqueid"), None)) is not None:
            asked.cancel()

    def answered(self, event: Message, at: datetime) -> None:
        """Take an AgentConnect that came at `at`."""
        asked = self._call_ids.pop(event.get("Uniqueid"), None) or asyncio.create_task(self._ask(event))
        telling = asyncio.create_task(self._tell(asked, event.get("Interface"), at))
        self._tasks.add(telling)
        telling.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Ask and tell nothing more."""
        for task in (*self._call_ids.values(), *self._tasks):
            task.cancel()

    async def _tell(self, asked: asyncio.Task[str | None], agent: str, at: datetime) -> None:
        call_id = await asked
        if call_id is not None:
            self._taken(call_id, agent, at)

    async def _ask(self, event: Message) -> str | None:
        channel = event.get("Channel")
        # A Local channel has no Call-ID; the channel that its call began with has one.
        for name in (channel, event.get("Linkedid")) if channel.startswith("PJSIP/") else (event.get("Linkedid"),):
            try:
                reply = await self._connection.action(
                    "Getvar", within=self._within, Channel=name, Variable="CHANNEL(pjsip,call-id)"
                )
            except ActionRefusedError:
                continue
            except AmiError:
                return None
            if call_id := reply.response.get("Value"):
                return call_id
        return None
