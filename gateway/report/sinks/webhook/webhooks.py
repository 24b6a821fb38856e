# SPDX-License-Identifier: GPL-2.0-or-later
"""All receivers of events over HTTP: a sink for each, which come and go with the configuration."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Protocol

from gateway.ports import Clock
from gateway.report.backlog import BacklogState, backlog_document
from gateway.report.journal import Journal
from gateway.report.sinks.webhook.post import Said
from gateway.report.sinks.webhook.receiver import Receiver
from gateway.report.sinks.webhook.sink import Condition, WebhookSink


class WebhookObserver(Protocol):
    """What is counted and measured of webhooks, by their ids."""

    def configured(self, webhooks: Collection[str]) -> None:
        """These are there, and no others."""

    def backlog(self, webhook: str, state: BacklogState) -> None:
        """What waits for it has changed."""

    def answered(self, webhook: str, said: Said) -> None:
        """It has answered a request, or failed to."""

    def stands(self, webhook: str, condition: Condition) -> None:
        """So it stands with it."""


class Webhooks:
    """A `sinks.sink.Sink` of many; each has its own place in the journal, by its id."""

    name = "webhooks"

    def __init__(self, journal: Journal, clock: Clock, observer: WebhookObserver | None = None) -> None:
        self._journal = journal
        self._clock = clock
        self._observer = observer
        self._sinks: dict[str, WebhookSink] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_started = False

    def configure(self, receivers: Collection[Receiver]) -> None:
        """Have these receivers and no others. What waits for one that is not among them any more is given up."""
        wanted = {receiver.id: receiver for receiver in receivers}
        if self._observer is not None:
            self._observer.configured(wanted)
        for gone in [name for name in self._sinks if name not in wanted]:
            sink = self._sinks.pop(gone)
            self._journal.discharge(sink.name)
            if self._is_started:
                task = asyncio.get_running_loop().create_task(sink.stop(0.0))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)
        for name, receiver in wanted.items():
            if name in self._sinks:
                if receiver.events != self._sinks[name].receiver.events:
                    self._journal.want(self._sinks[name].name, receiver.events)
                self._sinks[name].configure(receiver)
                continue
            self._sinks[name] = self._made(receiver)
            if self._is_started:
                self._sinks[name].start()

    def _made(self, receiver: Receiver) -> WebhookSink:
        name = receiver.id

        def on_state(state: BacklogState) -> None:
            if self._observer is not None and name in self._sinks:
                self._observer.backlog(name, state)

        def on_answer(said: Said) -> None:
            if self._observer is not None and name in self._sinks:
                self._observer.answered(name, said)

        def on_condition(condition: Condition) -> None:
            if self._observer is not None and name in self._sinks:
                self._observer.stands(name, condition)

        backlog = self._journal.enlist(f"webhook:{name}", on_state, receiver.events)
        return WebhookSink(receiver, backlog, self._clock, on_answer, on_condition)

    def start(self) -> None:
        """Begin to send, in the background."""
        self._is_started = True
        for sink in self._sinks.values():
            sink.start()

    async def stop(self, flush_s: float) -> None:
        """Send what is taken within `flush_s`, and end."""
        self._is_started = False
        await asyncio.gather(*(sink.stop(flush_s) for sink in self._sinks.values()), *self._leaving)

    async def resend(self) -> None:
        """Try every dead letter again."""
        await asyncio.gather(*(sink.resend() for sink in self._sinks.values()))

    @property
    def document(self) -> Mapping[str, object]:
        """What `/api/status` says of each."""
        return {
            name: {
                "up": sink.condition.up,
                "gone": sink.condition.gone,
                "because": sink.condition.why or None,
                **backlog_document(sink.backlog.state),
            }
            for name, sink in self._sinks.items()
        }
