# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the SIP messages of transfers that are over on disk, where `[messages] disk_mb` says so.

They are taken from memory a moment after the transfer's end, and once more after the call's. A disk that hangs or
refuses costs no call: then they are not kept, and that is told once.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from gateway.call_messages import document, from_stored, in_masks, texts_of, to_be_stored
from gateway.core.outcome import Outcome
from gateway.core.record import Milestone
from gateway.ports import sleep
from gateway.report.message_store import Bounds, Kept, MessageStore
from gateway.report.store_file import StoreError
from gateway.report.worker import BusyError, Worker

if TYPE_CHECKING:
    from gateway.call_messages import CallMessages, Gathered
    from gateway.config import Config
    from gateway.core.model import PbxState
    from gateway.core.record import CallRecord, TransferRecord
    from gateway.ports import Clock
    from gateway.ports.clock import Timer

SETTLE_S = 2.0
"""From the end of a transfer or call until the last BYE has been answered, as a rule."""
EXPIRE_EVERY_S = 600.0
MASK_EVERY_S = 0.1
MOST_WAITING = 200
"""So many transfers' messages may wait for the disk; one has some 30 kB."""
ANSWER_S = 5.0
FORGET_S = 300.0
CLEAN_S = 300.0
"""For a file that is written anew."""

_TROUBLE = (sqlite3.Error, OSError, StoreError, BusyError, TimeoutError)
T = TypeVar("T")

log = structlog.get_logger("app")


@dataclass(frozen=True, slots=True)
class _Ended:
    begun: datetime
    completed: bool
    caller: str | None
    timer: Timer | None = None


class MessageArchive:
    """Implements ports.Reporter; see the module."""

    def __init__(self, messages: CallMessages, directory: Path, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock
        self._store = MessageStore(directory)
        self._worker = Worker("messages", most=MOST_WAITING)
        self._bounds: Bounds | None = None
        self._masked = False
        self._ended: dict[str, _Ended] = {}  # those whose call may go on, and those that wait to be kept
        self._failed = ""
        self._counts = (0, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._care: asyncio.Task[None] | None = None

    def configure(self, config: Config) -> None:
        """Keep as much as the configuration says, and name callers as it says; within a running loop."""
        messages, history = config.messages, config.history
        self._masked = history.callers != "full"
        bounds = Bounds(history.days, history.failures_days, messages.disk_mb * 1_000_000)
        self._bounds = bounds if messages.disk_mb else None
        if self._care is not None:
            self._care.cancel()
            self._care = None
        if self._bounds is None:
            self._ended.clear()
            self._counts = (0, 0)
        self._care = asyncio.get_running_loop().create_task(self._take_care(self._bounds), name="messages")

    def transfer(self, milestone: Milestone, record: TransferRecord) -> None:
        """See ports.Reporter."""
        if self._bounds is None or milestone is not Milestone.ENDED:
            return
        completed = record.outcome is Outcome.COMPLETED
        self._ended[record.transfer] = _Ended(record.requested_at, completed, record.caller)
        self._soon(record.transfer)
        while len(self._ended) > MOST_WAITING:  # their calls have gone on for long
            oldest = next(iter(self._ended))
            if (timer := self._ended.pop(oldest).timer) is not None:
                timer.cancel()

    def call_ended(self, record: CallRecord) -> None:
        """See ports.Reporter."""
        if self._bounds is not None:
            for transfer in self._messages.transfers_of(record.call):
                self._soon(transfer, last=True)

    def queue_snapshot(self, state: PbxState) -> None:
        """See ports.Reporter."""

    async def of_transfer(self, transfer: str) -> dict[str, Any] | None:
        """What was kept of a transfer; None: nothing, or the disk does not tell."""
        if self._bounds is None:
            return None
        found = await self._try(self._store.get, transfer)
        return None if found is None else await asyncio.to_thread(from_stored, found, masked=self._masked)

    async def forget(self, caller: str) -> int:
        """Delete what names a caller: of how many transfers that was. Raises StoreError."""
        if self._bounds is None:
            return 0
        try:
            async with asyncio.timeout(FORGET_S):
                return await self._worker.run(self._store.forget, caller, texts_of(caller))
        except _TROUBLE as error:
            raise StoreError(str(error) or "the disk hangs") from error

    @property
    def document(self) -> Mapping[str, int]:
        """How much is kept, as it was last looked at; for `/api/status`."""
        transfers, size = self._counts
        return {"disk_transfers": transfers, "disk_bytes": size}

    async def stop(self) -> None:
        """Keep what waits, as far as the disk takes it at once."""
        if self._care is not None:
            self._care.cancel()
            await asyncio.gather(self._care, return_exceptions=True)
        for transfer, ended in list(self._ended.items()):
            if ended.timer is not None:
                ended.timer.cancel()
            self._keep(transfer)  # their calls have ended by now
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await asyncio.gather(*self._tasks)
                await self._worker.run(self._store.close)
        self._worker.stop()

    def _soon(self, transfer: str, *, last: bool = False) -> None:
        ended = self._ended.get(transfer)
        if ended is None:
            return
        if ended.timer is not None:
            ended.timer.cancel()
        timer = self._clock.after(SETTLE_S, lambda: self._keep(transfer, last=last))
        self._ended[transfer] = replace(ended, timer=timer)

    def _keep(self, transfer: str, *, last: bool = False) -> None:
        ended = self._ended.get(transfer)
        gathered = self._messages.of_transfer(transfer)
        if ended is None:
            return
        if last:
            del self._ended[transfer]
        else:
            self._ended[transfer] = replace(ended, timer=None)
        if gathered is not None and self._bounds is not None:
            task = asyncio.get_running_loop().create_task(self._put(transfer, ended, gathered, self._bounds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _put(self, transfer: str, ended: _Ended, gathered: Gathered, bounds: Bounds) -> None:
        def put() -> tuple[int, int] | None:
            made = document(gathered)
            if not made["kept"]:
                return None
            kept = Kept(transfer, ended.begun, ended.completed, ended.caller, to_be_stored(made))
            return self._store.put(kept, bounds)

        self._counts = await self._try(put) or self._counts

    async def _take_care(self, bounds: Bounds | None) -> None:
        if bounds is None:
            if await asyncio.to_thread(self._store.path.exists):
                await self._try(self._store.remove)
            return
        while True:
            self._counts = await self._try(self._store.expire, bounds, self._clock.now().wall) or self._counts
            while self._masked and await self._try(self._store.mask, in_masks, within_s=CLEAN_S):
                await sleep(self._clock, MASK_EVERY_S)
            await sleep(self._clock, EXPIRE_EVERY_S)

    async def _try(self, work: Callable[..., T | None], *args: object, within_s: float = ANSWER_S) -> T | None:
        """What it returns; None where the disk does not take or tell it, and that is told once."""
        try:
            async with asyncio.timeout(within_s):
                done = await self._worker.run(work, *args)
        except _TROUBLE as error:
            why = str(error) or "the disk hangs"
            if why != self._failed:
                log.error("messages-unwritable", why=why)
            self._failed = why
            return None
        except Exception:  # what waits is of no use to anybody else
            log.exception("messages-failed")
            return None
        if self._failed:
            self._failed = ""
            log.info("messages-writable")
        return done
