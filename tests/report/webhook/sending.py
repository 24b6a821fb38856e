# SPDX-License-Identifier: GPL-2.0-or-later
"""A sink at work on a journal of its own, whose disk answers at once: no thread that a loop which jumps would miss."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.config.fields import signing_keys
from gateway.core.event_types import EVENT_TYPES
from gateway.core.record import Milestone
from gateway.report.backlog import Backlog, BacklogState, Fetch, Flush, Job
from gateway.report.event import call_event, transfer_event, write
from gateway.report.sinks.webhook.receiver import Receiver
from gateway.report.sinks.webhook.sink import WebhookSink
from gateway.report.store import Put, Store
from tests.bench.jumping_loop import clock_of_loop
from tests.report import samples
from tests.report.webhook.server import SECRET

SINK = "webhook:crm"


class QuickJournal:
    """A store that does at once what it is asked."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory, (SINK,), max_events=1000)
        self.store.open()
        self.backlog = Backlog(SINK, self._do, lambda _state: None)
        self._tell()

    def _do(self, job: Job) -> None:
        match job:
            case Fetch():
                job.answer.set_result(self.store.fetch(job.sink, job.after, job.limit))
            case Flush():
                job.done.set_result(None)
            case _:
                self.store.apply([job])
                self._tell()

    def _tell(self) -> None:
        standing = self.store.standing[SINK]
        self.backlog.changed(BacklogState(standing.waiting, refused=standing.refused, refused_because=standing.because))

    def put(self, *subjects: str) -> None:
        """The end of transfers, by their ids."""
        for subject in subjects:
            self._put(transfer_event("pbx-1", Milestone.ENDED, samples.refused(subject), samples.START))

    def put_call(self, call: str) -> None:
        """The end of a call without a transfer."""
        self._put(call_event("pbx-1", replace(samples.call(), call=call, transfer=None), samples.START))

    def _put(self, event: dict[str, Any]) -> None:
        self.store.apply([Put(event["id"], "t", write(event)[0], 1.0)])
        self._tell()

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return self.backlog.state.events

    @property
    def refused(self) -> int:
        """How many are dead letters."""
        return self.backlog.state.refused


def receiver(url: str, secret: str = SECRET, **options: Any) -> Receiver:
    """The one that the tests have."""
    return Receiver("crm", url, signing_keys(secret), **{"events": frozenset(EVENT_TYPES)} | options)


@asynccontextmanager
async def sending(journal: QuickJournal, to: Receiver, **options: Any) -> AsyncIterator[WebhookSink]:
    """A sink that runs."""
    sink = WebhookSink(to, journal.backlog, clock_of_loop(), **options)
    sink.start()
    try:
        yield sink
    finally:
        await sink.stop(0.0)


async def settled(journal: QuickJournal) -> None:
    """Wait until nothing waits."""
    async with asyncio.timeout(24 * 3600):
        await journal.backlog.empty.wait()
