# SPDX-License-Identifier: GPL-2.0-or-later
"""The reporter: every milestone becomes a log line and an event in the journal, from where sinks take it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pydantic import ValidationError

from gateway.core.json_form import (
    platform_call_document,
    platform_view_document,
    queue_document,
    timestamp,
    transfer_document,
)
from gateway.core.kept_call import KeptCall
from gateway.core.model import Entry, PbxState
from gateway.core.outcome import Outcome, Reason
from gateway.core.platform_calls import PlatformCall
from gateway.core.record import CallRecord, Milestone, PlatformCallRecord, PlatformView, TransferRecord
from gateway.ports import Clock, HistoryPage, HistoryQuery
from gateway.report import kept_calls
from gateway.report.after_turn import AfterTurn
from gateway.report.backlog import BacklogState
from gateway.report.cursors import StoredEvent
from gateway.report.erasing import Erased, forget, left_aside, tidy
from gateway.report.event import (
    call_event,
    event_id,
    interruption_id,
    platform_call_event,
    read_transfer,
    transfer_event,
    write,
)
from gateway.report.history.asking import HistoryAsking
from gateway.report.history.callers import Callers
from gateway.report.history.chain import NO_HEAD
from gateway.report.history.retention import Keep
from gateway.report.history.rows import ID_FIELD, PLATFORM_CALL, TRANSFER
from gateway.report.history.state import HistoryState
from gateway.report.journal import ANSWER_S, Journal
from gateway.report.kept_calls import Keep as KeepCall
from gateway.report.kept_calls import keeping
from gateway.report.platform.calls import PlatformCalls
from gateway.report.platform.recalling import Recalling
from gateway.report.sinks.history import NAME as HISTORY
from gateway.report.sinks.history import HistorySink
from gateway.report.sinks.log import log_milestone
from gateway.report.sinks.mqtt.broker import Broker, CommandHandler
from gateway.report.sinks.sink import Sink
from gateway.report.sinks.webhook.webhooks import WebhookObserver, Webhooks
from gateway.report.store import Put, Remembered, TransferChange
from gateway.report.store_file import StoreError

if TYPE_CHECKING:
    from gateway.report.sinks.mqtt.sink import MqttSink

SINK = "mqtt"  # the name of its place in the journal
FORGET_S = 300.0  # a million rows take 20 s of CPU; a disk that takes longer hangs
REPORT_S = 0.3  # a platform waits for its answer
UNKNOWN = "unknown"  # stands in topics for a number that is none of ours
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

log = structlog.get_logger(__name__)


class EventReporter:
    """A `ports.Reporter` on journal, MQTT and log.

    `broker` None: outcomes stay in history and log, and events in the journal, for inspection. `keep` says how much the
    history holds. `on_connected`, `on_outbox` and `on_history` are told what the metrics want to know.
    """

    def __init__(
        self,
        *,
        instance: str,
        state_dir: Path,
        version: str,
        broker: Broker | None,
        clock: Clock,
        on_command: CommandHandler | None = None,
        on_connected: Callable[[bool], None] = lambda _up: None,
        on_outbox: Callable[[BacklogState], None] = lambda _state: None,
        webhook_observer: WebhookObserver | None = None,
        keep: Keep = Keep(),  # noqa: B008 -- it never changes
        on_history: Callable[[HistoryState], None] = lambda _state: None,
        on_platform_call: Callable[[PlatformCallRecord], None] = lambda _record: None,
    ) -> None:
        self._instance = instance
        self._clock = clock
        self._journal = Journal(
            state_dir, {SINK: on_outbox, HISTORY: lambda _state: None}, idle=() if broker else (SINK,)
        )
        self._backlog = self._journal.backlogs[SINK]
        self._mqtt: MqttSink | None = None
        if broker is not None:
            from gateway.report.sinks.mqtt.sink import MqttSink  # noqa: PLC0415 - it brings the client, and takes its time

            self._mqtt = MqttSink(
                broker, self._backlog, version=version, clock=clock, on_command=on_command, on_connected=on_connected
            )
        self.webhooks = Webhooks(self._journal, clock, webhook_observer)
        self.history = HistorySink(
            self._journal.backlogs[HISTORY],
            state_dir,
            keep=keep,
            clock=clock,
            remembered=self._remembered,
            tidy=self._tidy,
            on_state=self._history_looked_at,
        )
        self._on_history = on_history
        self._head = NO_HEAD
        self._asking = HistoryAsking(state_dir)
        self._callers = Callers(state_dir)
        self.platform = PlatformCalls(
            clock, self._platform_call, on_platform_call, lambda caller: self._callers.forms(caller, alone=True)
        )
        self._recalling = Recalling(self.platform, self._asking, self._journal, clock)
        self._state_dir = state_dir
        self._sinks: list[Sink] = [*((self._mqtt,) if self._mqtt else ()), self.webhooks, self.history]
        self._queues: Mapping[str, Collection[str]] | None = None
        self._unfit_queues: set[str] = set()
        self._reports = AfterTurn()
        self.promised: list[TransferRecord] = []
        self.on_event: Callable[[Milestone, TransferRecord, str], None] = lambda _milestone, _record, _payload: None
        """Told of each event of a transfer too, as JSON, once it is on its way to the disk."""

    async def start(self, *, hold: bool = False) -> list[TransferRecord]:
        """Open the journal, report every transfer the last run left under way as interrupted, and connect.

        Returns those transfers; with `hold` they are not reported yet: `interrupted` does, or `let_go` takes them out.
        Call backs that were promised are `promised`, and go on.

        Raises StoreError when the journal can't be used.
        """
        left = _records(await self._journal.open())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await self._recalling.all()
        self.promised = [record for record in left if record.entry is Entry.CALLBACK]
        left = [record for record in left if record.entry is not Entry.CALLBACK]
        # Stored in one transaction with the end of its running state: killed here, the rest is found again.
        ended = [] if hold else [self._interrupt(record) for record in left]
        self.settle()
        # A disk that takes nothing must not keep the gateway from taking calls: the journal writes it down later.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await self._journal.flush()
        for sink in self._sinks:
            sink.start()
        return left if hold else ended

    def _interrupt(self, record: TransferRecord, lost: str | None = None, at: datetime | None = None) -> TransferRecord:
        """Report the end of a transfer whose gateway, this one before its restart or `lost`, ended without warning."""
        ended = replace(
            record,
            outcome=Outcome.INTERRUPTED,
            reason=Reason.GATEWAY_STOPPED,
            sip_code=Reason.GATEWAY_STOPPED.sip_code,
            fault="the gateway ended without warning while this transfer was under way",
            ended_at=_not_before(record, at or self._clock.now().wall),
        )
        if lost is not None:
            fault = f"the gateway {lost} was lost while this transfer was under way, and {self._instance} tells it"
            ended = replace(ended, fault=fault, told_by=self._instance)
        instance = lost or self._instance
        self._reports.put(partial(self._report_transfer, Milestone.ENDED, ended, instance))
        return ended

    async def interrupted(
        self, record: TransferRecord, lost: str | None = None, at: datetime | None = None
    ) -> TransferRecord | None:
        """See `_interrupt`; returns what was told once that is on disk, None: it was told before. Raises StoreError."""
        known = await self._journal.history(transfer=record.transfer)
        if any(one.change.ended for one in known):
            return None
        ended = self._interrupt(record, lost, at)
        self.settle()
        await self._journal.flush()
        return ended

    async def let_go(self, transfer: str) -> None:
        """Take a transfer out of those under way, whose end another gateway has told. Raises StoreError."""
        await self._journal.change(lambda store, _unwritten: store.let_go_of(transfer))

    async def knows(self, transfer: str) -> bool:
        """Whether a transfer is in journal or history, under way or over. Raises StoreError."""
        self.settle()
        known = await self._journal.history(transfer=transfer)
        return bool(known) or await self._asking.get(TRANSFER, transfer) is not None

    async def written(self, within_s: float | None = None) -> bool:
        """Wait until all that was reported is on disk, but not for ever; whether it is."""
        self.settle()
        try:
            async with asyncio.timeout(ANSWER_S if within_s is None else within_s):
                await self._journal.flush()
        except TimeoutError:
            return False
        return self.outbox.writable

    async def quiet(self, flush_s: float = 5.0) -> None:
        """Send what each sink takes within `flush_s`; what comes from now on is in the journal, for the next start."""
        self.settle()
        sinks, self._sinks = self._sinks, []
        await asyncio.gather(*(sink.stop(flush_s) for sink in sinks))

    async def stop(self, flush_s: float = 5.0) -> None:
        """As `quiet`, and close the journal."""
        await asyncio.gather(self._asking.stop(), self.quiet(flush_s))
        self.settle()
        await self._journal.close()

    def configure(self, queues: Mapping[str, Collection[str]]) -> None:
        """Tell which queues of each PBX are published, by the PBX's id."""
        self._queues = queues
        if self._mqtt is not None:
            fit = {pbx: [queue for queue in names if _SLUG.fullmatch(queue)] for pbx, names in queues.items()}
            self._mqtt.discoverable(fit)

    def _history_looked_at(self, state: HistoryState) -> None:
        self._on_history(state)
        if self._mqtt is None or state.size is None or state.size.head in {self._head, NO_HEAD}:
            return
        self._head = state.size.head
        # Retained: an auditor who asks later is told too, and whoever keeps what comes has all that were told.
        self._mqtt.snapshot("chain", {**self._head._asdict(), "at": timestamp(self._clock.now().wall)})

    def log_in(self, broker: Broker) -> None:
        """Log in at the broker anew where its user or password is not the one we logged in with."""
        if self._mqtt is not None:
            self._mqtt.log_in(broker)

    def draining(self) -> None:
        """Publish that no new calls are taken."""
        if self._mqtt is not None:
            self._mqtt.draining()

    async def resend_refused(self) -> None:
        """Send again what a sink has refused: the cause may have been mended."""
        for sink in self._sinks:
            await sink.resend()

    @property
    def connected(self) -> bool:
        """Whether the broker is there; False when none is configured."""
        return self._mqtt is not None and self._mqtt.connected

    @property
    def connected_since(self) -> datetime | None:
        """Since when the broker is there, or is not; None: none is configured, or it is not known yet."""
        return self._mqtt.since if self._mqtt is not None else None

    @property
    def broker_failure(self) -> str:
        """Why the broker is not there; empty: it is, none is configured, or it is not known yet."""
        return self._mqtt.failure if self._mqtt is not None else ""

    @property
    def outbox(self) -> BacklogState:
        """How much waits for the broker."""
        return self._backlog.state

    async def transfers(self, *, limit: int | None = None, transfer: str | None = None) -> list[TransferRecord]:
        """Transfers under way and remembered, newest first, or one of them. Raises StoreError when none can be read."""
        self.settle()
        remembered = await self._journal.history(limit=limit, transfer=transfer)
        # A thousand of them take tens of ms, in which no SIP message would be answered.
        records = await asyncio.to_thread(_records, remembered)
        return [_viewed(record, self.platform.view(record.transfer)) for record in records]

    async def page(self, what: str, query: HistoryQuery, calls: Sequence[dict[str, Any]]) -> HistoryPage:
        """Transfers or calls, under way (`calls` are those) and over, newest first. Raises StoreError."""
        self.settle()
        live = calls
        if what == PLATFORM_CALL:
            live = [platform_call_document(record) for record in self.platform.published]
        elif what == TRANSFER:
            remembered = await self._journal.history(untaken_by=HISTORY)
            live = [transfer_document(record) for record in await asyncio.to_thread(_records, remembered)]
        page = await self._asking.page(what, query, live)
        return replace(page, documents=[self._with_view(what, document) for document in page.documents])

    async def past_transfer(self, transfer: str) -> dict[str, Any] | None:
        """A transfer that is in the history, with the events that told of it. Raises StoreError."""
        found = await self._asking.get(TRANSFER, transfer)
        if found is None:
            return None
        events = [{"id": event, "type": kind, "time": time} for event, kind, time in found.events]
        return {**self._with_view(TRANSFER, found.document), "events": events}

    def _with_view(self, what: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """With what a platform has told since it was stored."""
        view = None if what == PLATFORM_CALL else self.platform.view(document[ID_FIELD[what]])
        return document if view is None else {**document, "platform": platform_view_document(view)}

    async def platform_report(self, report: PlatformCall) -> None:
        """A platform has reported. Returns when that is on disk, or soon where the disk hangs; never raises."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPORT_S):
                    if report.over and not self.platform.knows(report.platform, report.call_id):
                        await self._recalling.one(report.platform, report.call_id)
            if self.platform.told(report) is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REPORT_S):
                        await self._journal.flush()
        except Exception:  # the platform can do nothing about it
            log.exception("event-lost", platform=report.platform)

    async def forget(self, caller: str) -> tuple[Erased, Sequence[str]]:
        """Take a caller out of all that is stored; what that was, and the files that only a person may delete.

        Raises StoreError; what is done by then is done, and the rest is when it is asked again.
        """
        self.settle()
        try:
            async with asyncio.timeout(FORGET_S):
                forms = await asyncio.to_thread(self._callers.forms, caller, alone=True)
                self.platform.forget(forms)
                found = await self.history.forget(lambda: self._journal.change(forget(forms)), forms)
                return found, await asyncio.to_thread(left_aside, self._state_dir)
        except TimeoutError:
            raise StoreError("the disk hangs") from None
        except OSError as error:
            raise StoreError(str(error)) from error

    async def _tidy(self, keep: Keep) -> None:
        """Have the journal keep what nobody waits for no longer than the history, and name callers as it does."""
        with contextlib.suppress(StoreError):  # which the journal tells by itself
            await self._journal.change(tidy(keep, self._callers, self._clock.now().wall))

    async def _remembered(self) -> list[StoredEvent]:
        """The last events of the transfers that the journal remembers, for a history that is new."""
        ended = [one for one in await self._journal.history() if one.change.ended]
        return [StoredEvent(0, event_id(one.payload), "", one.payload) for one in reversed(ended)]

    def transfer(self, milestone: Milestone, record: TransferRecord) -> None:
        """See ports.Reporter."""
        self._reports.put(partial(self._report_transfer, milestone, record))

    def give_way_to(self, busy: Callable[[], bool]) -> None:
        """Report later while `busy` says that somebody's answers wait, but not for long."""
        self._reports.gives_way = busy

    def settle(self) -> None:
        """Report now what is to be reported after this turn of the loop."""
        self._reports.do()

    def _report_transfer(self, milestone: Milestone, record: TransferRecord, left_by: str | None = None) -> None:
        """`left_by`: the gateway that was lost, or this one before its restart."""
        try:
            if left_by in {None, self._instance}:
                record = _viewed(record, self.platform.transfer(record))
            log_milestone(milestone, record)
            self._store_transfer(milestone, record, left_by)
        except Exception:  # calls hang on whoever reports
            log.exception("event-lost", transfer=record.transfer, milestone=milestone)

    def _store_transfer(self, milestone: Milestone, record: TransferRecord, left_by: str | None) -> None:
        instance = left_by or self._instance
        # Whoever tells it, it is one event to whoever hears it twice.
        known = interruption_id(left_by, record) if left_by else None
        event = transfer_event(instance, milestone, record, self._clock.now().wall, event_id=known)
        payload, odd = write(event)
        if odd is not None:
            log.error("transfer-event-unfit", transfer=record.transfer, why=str(odd), exc_info=odd)
        change = TransferChange(
            record.transfer,
            timestamp(record.requested_at),
            ended=milestone is Milestone.ENDED,
            completed=record.outcome is Outcome.COMPLETED,
        )
        self._put(event, record.number, payload, change)
        self.on_event(milestone, record, payload)

    def _put(
        self, event: Mapping[str, object], number: str | None, payload: str, change: TransferChange | None = None
    ) -> None:
        topic = f"transfers/{number if number and _SLUG.fullmatch(number) else UNKNOWN}"
        self._journal.put(
            Put(str(event["id"]), topic, payload, self._clock.now().wall.timestamp(), change, str(event["type"]))
        )

    def call_ended(self, record: CallRecord) -> None:
        """See ports.Reporter."""
        self._reports.put(partial(self._report_call, record))

    def _report_call(self, record: CallRecord) -> None:
        try:
            self._store_call(_viewed(record, self.platform.call_ended(record)))
        except Exception:  # calls hang on whoever reports
            log.exception("event-lost", call=record.call)

    def _store_call(self, record: CallRecord) -> None:
        event = call_event(self._instance, record, self._clock.now().wall)
        payload, odd = write(event)
        if odd is not None:
            log.error("call-event-unfit", call=record.call, why=str(odd), exc_info=odd)
        self._put(event, record.number, payload)

    def _platform_call(self, record: PlatformCallRecord) -> None:
        event = platform_call_event(self._instance, record, self._clock.now().wall)
        payload, odd = write(event)
        if odd is not None:
            log.error("platform-event-unfit", call=record.id, why=str(odd), exc_info=odd)
        self._put(event, record.number, payload)

    def keep_call(self, kept: KeptCall) -> None:
        """See ports.CallStore."""
        self._reports.put(partial(self._store_kept, kept))

    def _store_kept(self, kept: KeptCall) -> None:
        try:
            self._journal.put(keeping(kept))
        except Exception:  # calls hang on whoever reports
            log.exception("call-not-kept", call=kept.call)

    def strike_out_call(self, call: str) -> None:
        """See ports.CallStore: after what the same turn has reported, of which one or the other is to be found."""
        self._reports.put(partial(self._journal.put, KeepCall(call)))

    async def kept_calls(self) -> list[KeptCall]:
        """The calls that a process has left that ended without warning. Of those that cannot be read there are none."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._journal.change(lambda store, _unwritten: kept_calls.read(store.db))
        except (StoreError, TimeoutError) as error:
            log.error("kept-calls-unreadable", why=str(error) or "the disk hangs")
            return []

    def queue_snapshot(self, state: PbxState) -> None:
        """See ports.Reporter."""
        if self._mqtt is None:
            return
        try:
            self._publish(self._mqtt, state)
        except Exception:  # calls hang on whoever reports
            log.exception("event-lost", pbx=state.pbx)

    def availability(self, number: str, document: Mapping[str, object]) -> None:
        """Publish the retained document of a number; sent anew when the broker is back."""
        if self._mqtt is not None:
            self._mqtt.snapshot(f"availability/{number}", document)

    def _publish(self, mqtt: MqttSink, state: PbxState) -> None:
        queues = state.queues if self._queues is None else self._queues.get(state.pbx, ())
        for queue in queues:
            if _SLUG.fullmatch(queue):
                document = queue_document(state, queue, self._clock.now().wall)
                mqtt.snapshot(f"queues/{state.pbx}/{queue}", document)
            elif queue not in self._unfit_queues:
                self._unfit_queues.add(queue)
                log.warning("queue-not-published", queue=queue)


_Record = TypeVar("_Record", TransferRecord, CallRecord)


def _viewed(record: _Record, view: PlatformView | None) -> _Record:
    return record if view is None else replace(record, platform=view)


def _not_before(record: TransferRecord, at: datetime) -> datetime:
    """The moment `at`, unless the clock was set back and something of the transfer happened later."""
    times = (record.requested_at, record.decided_at, record.ringing_at, record.answered_at, record.human_at)
    return max(at, *(time for time in times if time))


def _records(remembered: Iterable[Remembered]) -> list[TransferRecord]:
    records = []
    for one in remembered:
        try:
            record = read_transfer(one.payload)
        except ValidationError as error:
            log.error("stored-transfer-unreadable", transfer=one.change.transfer, why=str(error))
            continue
        if record.transfer == one.change.transfer:
            records.append(record)
        else:
            why = f"it says that it is transfer {record.transfer}"
            log.error("stored-transfer-unreadable", transfer=one.change.transfer, why=why)
    return records
