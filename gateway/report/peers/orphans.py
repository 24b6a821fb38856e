# SPDX-License-Identifier: GPL-2.0-or-later
"""The ends of transfers whose gateway was lost: told by itself once it is back, or by another; by one of them.

A gateway that is lost is one whose will the broker has told, that has not come back for `after_s`, and of which nothing
answers SIP either: one that the broker alone does not see still has its calls (docs/decisions/0121).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NoReturn, Protocol

import structlog
from pydantic import ValidationError

from gateway.core.record import TransferRecord
from gateway.ports import Clock, sleep
from gateway.report.event import read_transfer
from gateway.report.peers import open_transfers
from gateway.report.peers.claims import Claims
from gateway.report.peers.documents import ClaimData
from gateway.report.peers.line import AwayError, Heard, PeerLine
from gateway.report.peers.open_transfers import OpenTransfers
from gateway.report.peers.statuses import Lost, Statuses
from gateway.report.store_file import StoreError

LOOK_S = 0.5
RANK_S = 2.0
"""The first by name of those that are there tells at once, the next so much later, and finds nothing left to tell."""
AGAIN_S = 10.0
_MOST_OF_ONE = 10_000

log = structlog.get_logger(__name__)


class Teller(Protocol):
    """Reports the end of a transfer whose gateway was lost."""

    async def interrupted(
        self, record: TransferRecord, lost: str | None = None, at: datetime | None = None
    ) -> TransferRecord | None:
        """Report it, of this gateway or of one that is `lost` since `at`; None: it was told before."""
        ...

    async def let_go(self, transfer: str) -> None:
        """Take it out of those under way: another has told it."""
        ...

    async def knows(self, transfer: str) -> bool:
        """Whether it is on this gateway's disk, under way or over. Raises StoreError."""
        ...


class Orphans:
    """See the module. `lives` says whether a gateway answers SIP, `on_told` gets what this one has told."""

    def __init__(
        self,
        line: PeerLine,
        claims: Claims,
        statuses: Statuses,
        own: OpenTransfers,
        teller: Teller,
        *,
        instance: str,
        after_s: float,
        lives: Callable[[str], Awaitable[bool]],
        on_told: Callable[[TransferRecord], None],
        clock: Clock,
    ) -> None:
        self._line = line
        self._claims = claims
        self._statuses = statuses
        self._own = own
        self._teller = teller
        self._instance = instance
        self._after_s = after_s
        self._lives = lives
        self._on_told = on_told
        self._clock = clock
        self._left: set[str] = set()  # transfers of our own from before a restart, of which nobody has told yet
        self._collected: dict[str, dict[str, bytes]] = {}  # by node, while its open transfers are read
        self._next: dict[str, float] = {}  # when a lost gateway is looked at again, steady
        self._alive: set[str] = set()  # those lost ones of which it was told that they live
        self._has_looked = False  # at what an earlier run of ours has left at the broker

    def heard(self, message: Heard) -> None:
        """An open transfer is retained at the broker."""
        found = self._collected.get(message.node)
        if found is None or len(found) >= _MOST_OF_ONE:
            return
        if message.body:
            found[message.name] = message.body
        else:
            found.pop(message.name, None)

    async def _opened(self, node: str) -> dict[str, bytes]:
        """The transfers that a gateway had under way, as far as it has said. Raises AwayError."""
        found = self._collected[node] = {}
        try:
            async with self._line.listening(open_transfers.KIND, node):
                return dict(found)
        finally:
            del self._collected[node]

    # --- our own, from before a restart

    async def settle(self, left: Sequence[TransferRecord]) -> None:
        """Tell the ends of those of our own that nobody has told meanwhile; it lasts until the broker is there."""
        self._left.update(record.transfer for record in left)
        if left:
            log.info("interrupted-transfers-held", transfers=len(left))
        waiting = list(left)
        while waiting:
            await self._line.up.wait()
            for record in list(waiting):
                try:
                    if await self._settled(record):
                        waiting.remove(record)
                        self._left.discard(record.transfer)
                except (AwayError, StoreError) as error:
                    log.warning("orphans-not-told", node=self._instance, why=str(error))
                    break
            if waiting:
                await sleep(self._clock, LOOK_S)

    async def _settled(self, record: TransferRecord) -> bool:
        transfer = record.transfer
        claim = self._claims.of(self._instance, transfer)
        if claim is not None and claim.told and claim.by != self._instance:
            await self._teller.let_go(transfer)
            log.info("told-by-another", transfer=transfer, by=claim.by)
            self._claims.forget(self._instance, transfer)
        elif self._holds(claim) or not await self._claims.take(self._instance, transfer):
            return False
        else:
            told = await self._teller.interrupted(record)
            if told is not None:
                self._on_told(told)
            await self._claims.told(self._instance, transfer)
        self._own.forget(transfer)
        return True

    def _holds(self, claim: ClaimData | None) -> bool:
        """Whether somebody else is about to tell it."""
        return claim is not None and claim.by != self._instance and claim.by in self._statuses.there

    async def tidy(self) -> NoReturn:
        """Whenever the broker is there anew: what it retains of us and holds no longer is taken away.

        What others know and our disk does not, since we were killed before it was written, is told first.
        """
        while True:
            await self._line.up.wait()
            try:
                left = await self._tidy()
            except (AwayError, StoreError) as error:
                log.warning("orphans-not-told", node=self._instance, why=str(error))
                await sleep(self._clock, AGAIN_S)
                continue
            await self.settle(left)
            await self._line.down.wait()

    async def _tidy(self) -> list[TransferRecord]:
        """Take away what is over; the transfers of which nobody has told. Raises AwayError, StoreError."""
        found: list[TransferRecord] = []
        for transfer, payload in (await self._opened(self._instance)).items():
            if self._own.knows(transfer) or transfer in self._left:
                continue
            record = None if self._has_looked else self._read(self._instance, transfer, payload)
            if record is None or await self._teller.knows(transfer):
                self._own.forget(transfer)
            else:
                self._left.add(transfer)
                found.append(record)
        self._has_looked = True
        for transfer in self._claims.of_node(self._instance):
            if transfer not in self._left:
                self._claims.forget(self._instance, transfer)
        return found

    # --- those of others

    async def run(self) -> NoReturn:
        """Look after the lost until cancelled; a fault of ours must not end that."""
        was_up = False
        while True:
            is_up = self._line.up.is_set()
            if is_up:
                (self._statuses.look if was_up else self._statuses.connected)()
            was_up = is_up
            for lost in self._statuses.lost if is_up else ():
                try:
                    await self._look(lost)
                except (AwayError, StoreError) as error:
                    log.warning("orphans-not-told", node=lost.node, why=str(error))
                    self._next[lost.node] = self._clock.now().steady + AGAIN_S
                except Exception:
                    log.exception("orphans-failed", node=lost.node)
                    self._next[lost.node] = self._clock.now().steady + AGAIN_S
            await sleep(self._clock, LOOK_S)

    async def _look(self, lost: Lost) -> None:
        now, node = self._clock.now().steady, lost.node
        rank = sorted((*self._statuses.there, self._instance)).index(self._instance)
        due = max(lost.since.steady + self._after_s, self._next.get(node, 0)) + rank * RANK_S
        if now < due:
            return
        if await self._lives(node):
            if node not in self._alive:
                log.warning("lost-gateway-lives", node=node)
                self._alive.add(node)
        else:
            self._alive.discard(node)
            await self._tell_of(lost)
        self._next[node] = self._clock.now().steady + max(self._after_s, AGAIN_S)

    async def _tell_of(self, lost: Lost) -> None:
        for transfer, payload in (await self._opened(lost.node)).items():
            claim = self._claims.of(lost.node, transfer)
            if (claim is not None and claim.told) or self._holds(claim):
                continue
            if (record := self._read(lost.node, transfer, payload)) is None:
                continue
            if not self._statuses.is_lost(lost.node):
                return  # it is back, and tells by itself what nobody has claimed
            if await self._claims.take(lost.node, transfer):
                await self._tell(lost, record)

    async def _tell(self, lost: Lost, record: TransferRecord) -> None:
        told = await self._teller.interrupted(record, lost.node, lost.since.wall)
        if told is not None:
            log.warning("orphan-told", node=lost.node, transfer=record.transfer)
            self._on_told(told)
        await self._claims.told(lost.node, record.transfer)
        self._line.say(self._line.topic(open_transfers.KIND, record.transfer, lost.node), b"")

    def _read(self, node: str, transfer: str, payload: bytes) -> TransferRecord | None:
        """What a gateway has said of a transfer under way; None: that cannot be, or it is over."""
        try:
            record = read_transfer(payload.decode())
        except (ValidationError, UnicodeError) as error:
            log.error("orphan-unreadable", node=node, transfer=transfer[:64], why=str(error)[:500])
            return None
        return record if record.transfer == transfer and record.outcome is None else None
