# SPDX-License-Identifier: GPL-2.0-or-later
"""Which SIP call an agent took: from the queue's caller, a channel of Asterisk, to the Call-ID the channel came with.

The Call-ID is asked for when a caller joins a queue, so that it is at hand when an agent answers.

A caller whom the PBX moved by itself, asked by our REFER, has a channel that is none of ours. It is known by what the
PBX keeps of the Refer-To, and is followed, in a queue or without one, until a person answers or it is gone. That is
asked for when the PBX has moved them, and stands in their Hangup where the PBX's `channelvars` say so.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from datetime import datetime

from gateway.core.model import AnsweredBy
from gateway.pbx.asterisk.ami_codec import AmiError, Message
from gateway.pbx.asterisk.ami_connection import ActionRefusedError, Connection
from gateway.pbx.asterisk.answers import Answers, Told, interface_of, is_local
from gateway.pbx.asterisk.refusals import Refusals, is_without_right

MAX_REMEMBERED = 2_000  # callers
MAX_ASKED = 200  # questions at once; what comes beyond is asked when an agent answers
NORMAL_CLEARING = 16  # Q.850 cause
_TRANSFER = re.compile(r";x-transfer-id=([0-9A-Za-z]+)", re.IGNORECASE)


class CallerTracking:
    """The queues' callers, as seen through one connection."""

    def __init__(
        self,
        connection: Connection,
        within: float,
        taken: Callable[[str, str, datetime], None],
        lost: Callable[[str, int, datetime], None],
        refusals: Refusals,
        answers: Answers,
        answered: Told,
        queued: Callable[[str, str, int, datetime], None] = lambda *_: None,
    ) -> None:
        """`within`: seconds for an answer; `taken(call_id, agent, at)` is called when an agent took a call.

        `answered` is called as in `Answers` when somebody else took that of a caller whom the PBX moved.
        `lost(transfer, cause, at)` is called when a caller whom the PBX moved is gone before that (cause as in Q.850),
        `queued(call_id, queue, place, at)` when a caller has joined a queue.
        """
        self._connection = connection
        self._within = within
        self._taken = taken
        self._lost = lost
        self._refusals = refusals
        self._answers = answers
        self._answered = answered
        self._queued = queued
        self._asked = 0
        self._call_ids: dict[str, asyncio.Task[str | None]] = {}  # by the channel's unique id, oldest first
        self._moved: dict[str, asyncio.Task[str | None]] = {}  # likewise: transfers of callers in no queue
        self._tasks: set[asyncio.Task[None]] = set()

    def joined(self, event: Message, at: datetime) -> None:
        """Take a QueueCallerJoin that came at `at`."""
        unique = event.get("Uniqueid")
        if unique in self._call_ids:
            return
        if unique not in self._moved and (known := self._answers.call_id_of(unique)) is not None:
            self._call_ids[unique] = known
        elif self._asked < MAX_ASKED or unique in self._moved:
            self._call_ids[unique] = self._begin(self._ask(event, self._moved.pop(unique, None)))
        else:
            return
        self._later(self._tell_queued(self._call_ids[unique], event, at))
        _forget_oldest(self._call_ids)

    def moved(self, event: Message) -> None:
        """Take a BlindTransfer: a caller whom the PBX moves from one of its calls, ours or another."""
        if event.get("Result") != "Success":
            return
        unique = event.get("TransfereeUniqueid")
        if self._asked >= MAX_ASKED:
            return
        transfer = self._begin(self._ask_transfer(event.get("TransfereeChannel")))
        if (queued := self._call_ids.get(unique)) is not None:
            self._call_ids[unique] = asyncio.create_task(_first(transfer, queued))
        else:
            self._moved[unique] = transfer
            _forget_oldest(self._moved)

    def ended(self, event: Message, at: datetime) -> None:
        """Take the Hangup of a channel, or a QueueCallerAbandon, that came at `at`."""
        unique = event.get("Uniqueid")
        asked = self._call_ids.pop(unique, None) or self._moved.pop(unique, None)
        if asked is None:
            return
        cause = event.number("Cause") or NORMAL_CLEARING
        cause = cause if 0 < cause < 128 else NORMAL_CLEARING  # Q.850 §2.2.5
        # Who is gone at once can be asked about no more; the PBX may say by itself whom it tells of (`channelvars`).
        if found := _TRANSFER.search("\n".join(event.all("ChanVariable"))):
            self._lost(found[1], cause, at)
        else:
            self._later(self._tell_lost(asked, cause, at))

    def answered(self, event: Message, at: datetime) -> None:
        """Take an AgentConnect that came at `at`."""
        asked = self._call_ids.pop(event.get("Uniqueid"), None)
        if asked is None:
            if self._asked >= MAX_ASKED:
                return
            asked = self._begin(self._ask(event))
        self._later(self._tell(asked, event.get("Interface"), at))

    def picked_up(self, event: Message, at: datetime) -> None:
        """Take a DialEnd that came at `at`; of a queue's caller AgentConnect tells."""
        channel = event.get("DestChannel")
        if event.get("DialStatus") != "ANSWER" or is_local(channel):
            return
        found = (self._moved.pop(event.get(name), None) for name in ("Uniqueid", "Linkedid"))
        if (asked := next(filter(None, found), None)) is not None:
            self._later(self._tell_answered(asked, self._answers.by(event), interface_of(channel), at))

    def close(self) -> None:
        """Ask and tell nothing more."""
        for task in (*self._call_ids.values(), *self._moved.values(), *self._tasks):
            task.cancel()

    def _begin(self, question: Coroutine[None, None, str | None]) -> asyncio.Task[str | None]:
        task = asyncio.create_task(question)
        self._asked += 1
        task.add_done_callback(self._was_answered)
        return task

    def _was_answered(self, _task: asyncio.Task[str | None]) -> None:
        self._asked -= 1

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, asked: asyncio.Task[str | None], agent: str, at: datetime) -> None:
        call_id = await asked
        if call_id is not None:
            self._taken(call_id, agent, at)

    async def _tell_answered(self, asked: asyncio.Task[str | None], by: AnsweredBy, name: str, at: datetime) -> None:
        if (key := await asked) is not None:
            self._answered(key, by, name, at)

    async def _tell_queued(self, asked: asyncio.Task[str | None], event: Message, at: datetime) -> None:
        call_id = await asked
        if call_id is not None:
            self._queued(call_id, event.get("Queue"), event.number("Position") or 0, at)

    async def _tell_lost(self, asked: asyncio.Task[str | None], cause: int, at: datetime) -> None:
        key = await asked
        if key is not None:
            self._lost(key, cause, at)

    async def _ask_transfer(self, channel: str) -> str | None:
        try:
            header = await self._variable(channel, "SIPREFERTOHDR")
        except AmiError:
            return None
        found = _TRANSFER.search(header)
        return found[1] if found else None

    async def _ask(self, event: Message, moved: asyncio.Task[str | None] | None = None) -> str | None:
        if moved is not None and (transfer := await moved):
            return transfer
        channel = event.get("Channel")
        # A Local channel has no Call-ID; the channel that its call began with has one.
        for name in (channel, event.get("Linkedid")) if channel.startswith("PJSIP/") else (event.get("Linkedid"),):
            try:
                if call_id := await self._variable(name, "CHANNEL(pjsip,call-id)"):
                    return call_id
            except ActionRefusedError:
                continue
            except AmiError:
                return None
        return None

    async def _variable(self, channel: str, name: str) -> str:
        try:
            reply = await self._connection.action("Getvar", within=self._within, Channel=channel, Variable=name)
        except ActionRefusedError as error:
            # A channel that has gone by now is no news.
            if is_without_right(error):
                self._refusals.refused("Getvar", error)
            raise
        return reply.response.get("Value")


async def _first(*asked: asyncio.Task[str | None]) -> str | None:
    for one in asked:
        if (found := await one) is not None:
            return found
    return None


def _forget_oldest(asked: dict[str, asyncio.Task[str | None]]) -> None:
    if len(asked) > MAX_REMEMBERED:
        asked.pop(next(iter(asked))).cancel()
