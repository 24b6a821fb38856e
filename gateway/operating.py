# SPDX-License-Identifier: GPL-2.0-or-later
"""What operators may ask of the running gateway, over HTTP and by command."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

import gateway
from gateway import call_messages
from gateway.audit import KEPT_S
from gateway.condition import Parts, because, conditions, listening, problems
from gateway.core.call_line import lines
from gateway.core.json_form import open_call_document, timestamp, transfer_document
from gateway.core.numbers import caller_named
from gateway.log.mask import mask_text
from gateway.ports import (
    Author,
    FiguresQuery,
    GivenCommand,
    HistoryPage,
    HistoryQuery,
    KeptWhisper,
    ProbeResult,
    Reloaded,
    UnderWay,
    UnreadableError,
)
from gateway.report.backlog import backlog_document
from gateway.report.erasing import forgotten_document
from gateway.report.history.rows import CALL
from gateway.report.store_file import StoreError

if TYPE_CHECKING:
    from gateway.core.model import PbxState
    from gateway.core.open_call import OpenCall
    from gateway.core.record import CallRecord, TransferRecord
    from gateway.ports import FollowedPbx

log = structlog.get_logger("app")


class Operating:
    """Implements ports.Operations."""

    def __init__(self, parts: Parts, pjsip: str) -> None:
        """`pjsip` is the version of it; of the parts nothing is asked before they are all there."""
        self._parts = parts
        self._pjsip = pjsip

    def ready(self) -> tuple[bool, Mapping[str, bool]]:
        """See ports.Operations."""
        found = conditions(self._parts)
        return all(found.values()), found

    def status(self) -> Mapping[str, Any]:
        """See ports.Operations."""
        config = self._parts.reloader.config
        state = "draining" if self._parts.engine.draining else "online"
        return {
            "instance": config.gateway.instance,
            "state": state,
            "version": gateway.__version__,
            "pjsip": self._pjsip,
            "bridge_hz": self._parts.sip.bridge_hz,
            "started_at": self._parts.started_at.isoformat(timespec="seconds"),
            "problems": problems(self._parts),
            "listening": listening(config),
            "calls": len(self._parts.engine.calls),
            "transfers": len(self._parts.engine.transfers),
            "sip": self._parts.sip.counts,
            "stack": self._parts.sip.stack,
            "messages": {**self._parts.sip.kept, **self._parts.archive.document},
            "watches": self._parts.sip.subscriptions.count,
            "pbx": {name: _pbx_document(source) for name, source in self._parts.sources.items()},
            "trunks": {
                name: {
                    "up": up,
                    "because": None if up else self._parts.sip.trunks.failures.get(name),
                    "since": _told(self._parts.sip.trunks.since.get(name)),
                }
                for name, up in self._parts.sip.trunks.up.items()
            },
            "strangers": [
                {"source": each.source, "requests": each.requests, "last_at": timestamp(each.last_at)}
                for each in self._parts.sip.strangers
            ],
            "mqtt": {
                "configured": config.mqtt is not None,
                "connected": self._parts.reporter.connected,
                "because": self._parts.reporter.broker_failure or None,
                "since": _told(self._parts.reporter.connected_since),
            },
            "outbox": backlog_document(self._parts.reporter.outbox),
            "webhooks": self._parts.reporter.webhooks.document,
            "history": self._parts.reporter.history.document,
            "configuration": self._parts.reloader.document,
            "restart_needed": list(self._parts.reloader.restart_needed),
        }

    def dialogs(self, most: int, call_id: str = "") -> Sequence[Mapping[str, Any]]:
        """See ports.Operations."""
        return self._parts.sip.dialogs(most, call_id)

    def calls(self) -> Sequence[CallRecord]:
        """See ports.Operations."""
        platform = self._parts.reporter.platform
        records = self._parts.engine.call_records()
        if not platform.active:
            return records
        return [replace(record, platform=platform.of_open_call(record)) for record in records]

    def open_calls(self) -> Mapping[str, OpenCall]:
        """See ports.Operations."""
        return self._parts.engine.open_calls()

    def under_way(self, most: int) -> UnderWay:
        """See ports.Operations."""
        engine = self._parts.engine
        found = lines(list(engine.calls), most)
        if self._parts.reloader.config.history.callers != "full":
            found = [line._replace(caller=line.caller and mask_text(line.caller, number_field=True)) for line in found]
        return UnderWay(len(engine.calls), len(engine.transfers), found)

    def numbers(self) -> Sequence[str]:
        """See ports.Operations."""
        return [number.id for number in self._parts.reloader.config.numbers]

    async def transfers(self, *, limit: int | None = None, transfer: str | None = None) -> Sequence[TransferRecord]:
        """See ports.Operations."""
        try:
            return await self._parts.reporter.transfers(limit=limit, transfer=transfer)
        except StoreError as error:
            raise UnreadableError(str(error)) from error

    async def history(self, what: str, query: HistoryQuery) -> HistoryPage:
        """See ports.Operations."""
        config = self._parts.reloader.config
        if query.number is not None and (number := config.routes.number(query.number)) is not None:
            query = replace(query, number=number.id)
        if query.caller is not None:
            query = replace(query, caller=caller_named(query.caller, config.gateway.default_country))
        try:
            known = self.open_calls()
            calls = self.calls() if what == CALL else ()
            under_way = [open_call_document(call, known.get(call.call)) for call in calls]
            return await self._parts.reporter.page(what, query, under_way)
        except StoreError as error:
            raise UnreadableError(str(error)) from error

    async def figures(self, query: FiguresQuery) -> Mapping[str, Any]:
        """See ports.Operations."""
        config = self._parts.reloader.config
        if query.number is not None and (number := config.routes.number(query.number)) is not None:
            query = replace(query, number=number.id)
        try:
            return await self._parts.figures.figures(query, config.numbers)
        except StoreError as error:
            raise UnreadableError(str(error)) from error

    async def past_transfer(self, transfer: str) -> Mapping[str, Any] | None:
        """See ports.Operations."""
        try:
            return await self._parts.reporter.past_transfer(transfer)
        except StoreError as error:
            raise UnreadableError(str(error)) from error

    async def transfer_messages(self, transfer: str) -> Mapping[str, Any] | None:
        """See ports.Operations."""
        messages = self._parts.messages
        gathered = messages.of_transfer(transfer)
        if gathered is None:
            past = await self._any_transfer(transfer)
            if past is None:
                return None
            gathered = messages.of_past(transfer, past)
        told = await asyncio.to_thread(call_messages.document, gathered)
        if told["kept"] and not any(leg["late"] or not leg["messages"] for leg in told["legs"]):
            return told
        stored = await self._parts.archive.of_transfer(transfer)
        if stored is not None and len(stored["messages"]) > len(told["messages"]):
            return stored
        return {**told, "because": call_messages.GONE_EVERYWHERE} if self._is_lost(told) else told

    def _is_lost(self, told: Mapping[str, Any]) -> bool:
        return not told["kept"] and bool(self._parts.reloader.config.messages.disk_mb)

    async def _any_transfer(self, transfer: str) -> Mapping[str, Any] | None:
        past = await self.past_transfer(transfer)
        known = () if past is not None else await self.transfers(transfer=transfer)
        return past if past is not None else next((transfer_document(record) for record in known), None)

    async def call_messages(self, call: str) -> Mapping[str, Any] | None:
        """See ports.Operations."""
        gathered = self._parts.messages.of_call(call)
        return None if gathered is None else await asyncio.to_thread(call_messages.document, gathered)

    async def forget(self, caller: str) -> Mapping[str, Any]:
        """See ports.Operations."""
        caller = caller_named(caller, self._parts.reloader.config.gateway.default_country)
        self._parts.engine.forget_caller(caller)
        forgotten = self._parts.messages.forget(caller)
        try:
            erased, aside = await self._parts.reporter.forget(caller)
            on_disk = await self._parts.archive.forget(caller)
        except StoreError as error:
            raise UnreadableError(str(error)) from error
        engine = self._parts.engine
        transfers = sum(running.record.caller == caller for _, running in engine.calls.running)
        calls = sum(call.caller == caller for call in self.calls())
        log.info(
            "caller-forgotten",
            **erased.document,
            message_legs=forgotten,
            message_transfers=on_disk,
            left_aside=len(aside),
        )
        document = forgotten_document(erased, aside, {"transfers": transfers, "calls": calls})
        return {**document, "erased": {**document["erased"], "message_legs": forgotten, "message_transfers": on_disk}}

    def pbx_states(self) -> Sequence[PbxState]:
        """See ports.Operations."""
        return [source.state for source in self._parts.sources.values()]

    def explain(self, target: str, number: str, at: datetime | None) -> Mapping[str, Any]:
        """See ports.Operations."""
        return self._parts.engine.explain(target, number, at)

    async def configuration(self) -> Mapping[str, Any]:
        """See ports.Operations."""
        return await self._parts.configured.in_force(self._parts.reloader)

    async def check_configuration(self) -> Mapping[str, Any]:
        """See ports.Operations."""
        return await self._parts.configured.check(self._parts.reloader)

    def availability(self, number: str, destination: str | None) -> dict[str, object]:
        """See ports.Operations."""
        return self._parts.engine.availability(number, destination)

    def assistant(self, number: str) -> Mapping[str, Any] | None:
        """See ports.Operations."""
        return self._parts.engine.assistant(number)

    def note_command(self, command: GivenCommand) -> None:
        """See ports.Operations."""
        self._parts.audit.note(command)

    async def commands_kept(self) -> None:
        """See ports.Operations."""
        await asyncio.gather(self._parts.audit.kept(), self._parts.reporter.written(KEPT_S))

    def audit(self, most: int) -> Sequence[Mapping[str, Any]]:
        """See ports.Operations."""
        return self._parts.audit.newest(most)

    def transfer_call(
        self,
        call: str,
        destination: str,
        message: str | None,
        command_id: str | None = None,
        author: Author | None = None,
        whisper: str | None = None,
    ) -> TransferRecord:
        """See ports.Operations."""
        return self._parts.engine.transfer_call(call, destination, message, command_id, author, whisper)

    def call_back(
        self, which: str, destination: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        """See ports.Operations."""
        return self._parts.engine.call_back(which, destination, command_id, author)

    def cancel_transfer(
        self, which: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        """See ports.Operations."""
        return self._parts.engine.cancel_transfer(which, command_id, author)

    def keep_whisper(self, data: bytes, author: Author) -> KeptWhisper:
        """See ports.Operations."""
        return self._parts.whispers.keep(data, author)

    def hang_up_call(self, call: str, command_id: str | None = None, author: Author | None = None) -> CallRecord:
        """See ports.Operations."""
        return self._parts.engine.hang_up_call(call, command_id, author)

    async def probe_call(self, number: str, destination: str) -> ProbeResult:
        """See ports.Operations."""
        probed: asyncio.Future[ProbeResult] = asyncio.get_running_loop().create_future()

        def done(result: ProbeResult) -> None:
            if not probed.done():  # who asked may have gone
                probed.set_result(result)

        self._parts.engine.probe_call(number, destination, done)
        return await probed

    async def reload(self) -> Reloaded:
        """See ports.Operations."""
        return await self._parts.reloader.reload()

    async def restart(self) -> Mapping[str, Any]:
        """See ports.Operations."""
        return await self._parts.restarting.ask()


def _told(at: datetime | None) -> str | None:
    return None if at is None else timestamp(at)


def _pbx_document(source: FollowedPbx) -> dict[str, object]:
    why = None if source.up else because(source.failure or source.state.unknown_because)
    return {"up": source.up, "because": why}
