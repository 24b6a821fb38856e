# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes the journal's events to one receiver over HTTP, one after the other, in the order in which they happened.

An event that is not taken is tried again, with pauses that grow, and those behind it wait: a receiver that was away
gets all of it in order. Unless it is the event: once the receiver has failed at it some times, the next one is tried
before it. Where that one is taken and the first fails again, it becomes a dead letter, and the others go on. Dead
letters are tried again after a reload, and by themselves, ever more rarely.

Decision 0043.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.ports import Clock, sleep, time_limit
from gateway.report.backlog import Backlog
from gateway.report.cursors import StoredEvent
from gateway.report.event import stored_event
from gateway.report.sinks.webhook.post import Answer, Post, Said
from gateway.report.sinks.webhook.receiver import Receiver

FIRST_PAUSE_S = 1.0
LAST_PAUSE_S = 300.0
LAST_PAUSE_AT_AN_EVENT_S = 60.0
"""Where it may be the event: one that comes meanwhile tells."""
TRIES = {Said.REFUSED: 1, Said.FAILED: 3}
"""So many times an event has to fail before the next one is tried."""
AGAIN_FIRST_S = 300.0
AGAIN_LAST_S = 6 * 3600.0
AGAIN_FAILURES = 3
"""So many dead letters in a row have to fail again, and the others are not tried."""
BATCH = 50
FAULT_PAUSE_S = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Condition:
    """How it stands with a receiver."""

    up: bool = True  # until something was not taken
    gone: bool = False  # it answered 410: nothing more is sent until a reload or a restart
    why: str = ""


class WebhookSink:
    """A `sinks.sink.Sink`; see the module. It tells of each answer, and how it stands with the receiver."""

    def __init__(
        self,
        receiver: Receiver,
        backlog: Backlog,
        clock: Clock,
        on_answer: Callable[[Said], None] = lambda _said: None,
        on_condition: Callable[[Condition], None] = lambda _condition: None,
    ) -> None:
        self.name = backlog.sink
        self.receiver = receiver
        self.backlog = backlog
        self.condition = Condition()
        self._clock = clock
        self._on_answer = on_answer
        self._on_condition = on_condition
        self._post = Post(receiver, clock)
        self._task: asyncio.Task[None] | None = None
        self._roused = asyncio.Event()  # what is waited for may have changed
        self._has_changed = False
        self._begin_again = False
        self._taken: set[int] = set()  # before their turn
        self._done_to = 0  # up to here all have had their turn
        self._probed_to = 0
        self._doubted: set[int] = set()  # not taken before their turn
        self._proven: set[int] = set()  # … while one behind them was
        self._failed_again = 0  # dead letters in a row
        self._again_s = AGAIN_FIRST_S
        self._again_at = clock.now().steady + AGAIN_FIRST_S

    def start(self) -> None:
        """Begin to send what waits, in the background."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self, flush_s: float) -> None:
        """Send what waits if the receiver takes it within `flush_s`, and end."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with time_limit(self._clock, flush_s if self.condition.up else 0.0):
                await self.backlog.flush()
                await self.backlog.empty.wait()
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._post.close()

    def configure(self, receiver: Receiver) -> None:
        """Send to another URL, or with another key, from now on; one that was gone is tried again."""
        self.receiver = receiver
        self._has_changed = True
        self._rouse()

    async def resend(self) -> None:
        """Try every dead letter again, and what is being waited with."""
        self._again_s = AGAIN_FIRST_S
        self._ask_again()
        await self.backlog.resend(everything=True)
        self._rouse()

    def _ask_again(self) -> None:
        self._begin_again = True
        self._failed_again = 0
        self._again_at = self._clock.now().steady + self._again_s

    def _rouse(self) -> None:
        self.condition = Condition(self.condition.up, gone=False, why=self.condition.why)
        self._roused.set()

    async def _run(self) -> None:
        after = 0
        while True:
            try:
                after = await self._send_some(after)
            except Exception:
                # A fault of ours must not silence the receiver for ever.
                log.exception("webhook-failed", webhook=self.receiver.id)
                await sleep(self._clock, FAULT_PAUSE_S)

    async def _send_some(self, after: int) -> int:
        """Send what waits behind `after`; up to where that is done. Waits where there is nothing."""
        self._roused.clear()
        self.backlog.stored.clear()
        if self._begin_again:
            self._begin_again, after = False, 0
        events = await self.backlog.fetch(after, BATCH)
        for event in events:
            await self._settle(event)
            after = event.seq
            self._done_to = max(self._done_to, event.seq)
            for found in (self._taken, self._doubted, self._proven):
                found.discard(event.seq)
            if self._begin_again:
                break
        if not events:
            await self._wait()
        return after

    async def _wait(self) -> None:
        """Until there may be something, or dead letters are to be tried again."""
        left = None
        if self.backlog.state.refused and not self._begin_again:
            left = max(0.0, self._again_at - self._clock.now().steady)
        waits = [asyncio.ensure_future(event.wait()) for event in (self.backlog.stored, self._roused)]
        try:
            async with time_limit(self._clock, left):
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self._again_s = min(self._again_s * 2, AGAIN_LAST_S)
            self._ask_again()
            await self.backlog.resend(everything=True)
        finally:
            for wait in waits:
                wait.cancel()

    async def _settle(self, event: StoredEvent) -> None:
        """Have an event taken, or refused for good, however long that takes."""
        if event.seq in self._taken:
            return
        document = stored_event(event.payload)
        if document is None:
            self.backlog.refuse(event.seq, "it is no event, and was not sent")
            return
        if not self._is_wanted(document):
            self.backlog.take(event.seq)
            return
        if event.seq <= self._done_to:
            await self._settle_again(event)
            return
        failures = 0
        self._probed_to = event.seq
        while (answer := await self._try(event, tell=event.seq not in self._proven)).said is not Said.TAKEN:
            failures += 1
            if answer.said in TRIES and event.seq in self._proven:
                self._set_aside(event, answer)
                return
            if failures >= TRIES.get(answer.said, math.inf) and await self._takes_another():
                answer = await self._try(event, tell=False)
                if answer.said is Said.TAKEN:
                    return
                if answer.said in TRIES:
                    self._set_aside(event, answer)
                    return
            if await self._pause(answer, failures):
                failures = 0

    async def _settle_again(self, event: StoredEvent) -> None:
        """Try a dead letter once: those behind it are not to wait for what the receiver has refused before."""
        if self._failed_again >= AGAIN_FAILURES:
            self.backlog.refuse(event.seq, "not tried again: the receiver refused others before it")
            return
        answer = await self._try(event, tell=False)
        if answer.said is Said.TAKEN:
            self._failed_again, self._again_s = 0, AGAIN_FIRST_S
        else:
            self._failed_again += 1
            self._set_aside(event, answer)

    def _is_wanted(self, document: dict[str, Any] | None) -> bool:
        return document is not None and str(document.get("type")) in self.receiver.events

    async def _takes_another(self) -> bool:
        """Whether the receiver takes one of the next events that wait and were not tried yet."""
        for other in await self.backlog.fetch(self._probed_to, BATCH):
            self._probed_to = other.seq
            if other.seq in self._taken or not self._is_wanted(stored_event(other.payload)):
                continue
            answer = await self._try(other)
            if answer.said is Said.TAKEN:
                self._taken.add(other.seq)
                self._proven |= self._doubted
                self._doubted.clear()
                return True
            self._doubted.add(other.seq)
            if answer.said is not Said.REFUSED:
                return False
        return False

    async def _try(self, event: StoredEvent, *, tell: bool = True) -> Answer:
        """Send an event; `tell`: its failure says something of the receiver."""
        if self._has_changed:
            self._has_changed = False
            await self._post.close()
            self._post = Post(self.receiver, self._clock)
        answer = await self._post(event)
        if answer.said is Said.TAKEN:
            self.backlog.take(event.seq)
        self._on_answer(answer.said)
        if tell or answer.said not in TRIES:
            self._tell(answer)
        return answer

    def _tell(self, answer: Answer) -> None:
        before = self.condition
        self.condition = Condition(answer.said is Said.TAKEN, answer.said is Said.GONE, answer.why)
        about = {"webhook": self.receiver.id, "host": self.receiver.host}
        if self.condition.gone:
            log.error("webhook-gone", **about, events_waiting=self.backlog.state.events)
        elif self.condition.up and not before.up:
            log.info("webhook-up", **about, events_waiting=self.backlog.state.events)
        elif not self.condition.up and (before.up or before.why != answer.why):
            log.error("webhook-down", **about, why=answer.why, events_waiting=self.backlog.state.events)
        self._on_condition(self.condition)

    def _set_aside(self, event: StoredEvent, answer: Answer) -> None:
        self.backlog.refuse(event.seq, answer.why)
        self._again_at = max(self._again_at, self._clock.now().steady + self._again_s)
        log.error("webhook-event-refused", webhook=self.receiver.id, why=answer.why, id=event.event_id)

    async def _pause(self, answer: Answer, failures: int) -> bool:
        """Leave the receiver alone for a while; whether somebody wanted it to be tried at once."""
        longest = LAST_PAUSE_AT_AN_EVENT_S if answer.said in TRIES else LAST_PAUSE_S
        pause = min(longest, FIRST_PAUSE_S * 2 ** min(failures - 1, 20))
        # Many gateways must not come back at the same moment.
        pause = max(answer.retry_after_s, pause * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter, not a key
        with contextlib.suppress(TimeoutError):
            async with time_limit(self._clock, None if answer.said is Said.GONE else pause):
                await self._roused.wait()
                self._roused.clear()
                return True
        return False
