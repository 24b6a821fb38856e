# SPDX-License-Identifier: GPL-2.0-or-later
"""The ends of transfers whose gateway was lost: told by itself once it is back, or by another; by one of them.

A gateway that is lost is one whose will the broker has told, that has not come back for `after_s`, and of which nothing
answers SIP either: one that the broker alone does not see still has its calls (docs/decisions/0121).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from typing import NoReturn, Protocol, TypeVar

import structlog
from pydantic import ValidationError

from gateway.core.record import TransferRecord
from gateway.documents import LONGEST_ID
from gateway.ports import Clock, sleep, time_limit
from gateway.report.event import read_transfer
from gateway.report.peers import claims as claims_module
from gateway.report.peers import open_transfers
from gateway.report.peers.claims import Claims
from gateway.report.peers.line import AwayError, Heard, PeerLine
from gateway.report.peers.open_transfers import OpenTransfers
from gateway.report.peers.statuses import Lost, Statuses
from gateway.report.store_file import StoreError

LOOK_S = 0.5
RANK_S = 2.0
"""The first by name of those that are there tells at once, the next so much later, and finds nothing left to tell."""
AGAIN_S = 10.0
HELD_S = 300.0
"""A claim counts for so long without a word that it is told: its gateway may be there, and its disk full."""
_MOST_OF_ONE = 10_000

log = structlog.get_logger(__name__)
_T = TypeVar("_T")


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
        # Transfers of our own from before a restart, of which nobody has told yet, and those that somebody has.
        self._left: dict[str, TransferRecord] = {}
        self._over: set[str] = set()
        self._some_left = asyncio.Event()
        self._collected: dict[str, dict[str, bytes]] = {}  # by node, while its open transfers are read
        self._read_in: dict[str, int] = {}  # by node: the connection in which all claims to its transfers were read
        self._next: dict[str, float] = {}  # when a gateway is looked at again, steady
        self._alive: set[str] = set()  # those lost ones of which it was told that they live
        self._has_looked = False  # at what an earlier run of ours has left at the broker
        self._is_ending = False
        self._telling = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def heard(self, message: Heard) -> None:
        """An open transfer is retained at the broker, or a claim to one."""
        if message.kind == claims_module.KIND:
            self._claims.heard(message)
            self._forget_told(message)
            return
        found = self._collected.get(message.node)
        if found is None or len(found) >= _MOST_OF_ONE or len(message.name) > LONGEST_ID:
            return
        if message.body:
            found[message.name] = message.body
        else:
            found.pop(message.name, None)

    def _forget_told(self, message: Heard) -> None:
        """Another says once more that it has told one of ours, which nobody asks any longer."""
        transfer = message.name
        if message.node != self._instance or not self._has_looked or transfer in self._left:
            return
        claim = self._claims.of(self._instance, transfer)
        if claim is not None and claim.told and claim.by != self._instance:
            self._claims.forget(self._instance, transfer)

    async def _opened(self, node: str) -> dict[str, bytes]:
        """The transfers that a gateway had under way, as far as it has said. Raises AwayError.

        All claims to them are known then: of very many that are retained at once a broker drops what is more than it
        has queued for a reader.
        """
        found = self._collected[node] = {}
        try:
            await self._read_claims(node)
            async with self._line.listening(open_transfers.KIND, node):
                return dict(found)
        finally:
            del self._collected[node]

    async def _read_claims(self, node: str) -> None:
        connection = self._line.times_up
        if self._read_in.get(node) != connection:
            async with self._line.listening(claims_module.KIND, node):
                self._read_in[node] = connection

    def _holds(self, node: str, transfer: str) -> bool:
        """Whether somebody else is about to tell it."""
        claim = self._claims.of(node, transfer)
        is_anothers = claim is not None and claim.by != self._instance and claim.by in self._statuses.there
        return is_anothers and self._claims.age_s(node, transfer) < HELD_S

    @contextlib.contextmanager
    def _word(self) -> Iterator[None]:
        """From a claim until it is told; `finish` waits for that."""
        self._telling += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._telling -= 1
            if not self._telling:
                self._idle.set()

    async def finish(self, within_s: float) -> None:
        """Claim nothing more, and tell what is claimed; no longer than so."""
        self._is_ending = True
        with contextlib.suppress(TimeoutError):
            async with time_limit(self._clock, within_s):
                await self._idle.wait()

    async def _guarded(self, node: str, work: Coroutine[None, None, None]) -> bool:
        """Do it; whether it could be done. What is raised over it ends nothing else."""
        try:
            await work
        except (AwayError, StoreError) as error:
            log.warning("orphans-not-told", node=node, why=str(error))
        except Exception:
            log.exception("orphans-failed", node=node)
        else:
            return True
        return False

    async def _tell(self, record: TransferRecord, lost: str | None = None, at: datetime | None = None) -> None:
        """Tell the end of one of our own, or of a gateway that was lost, unless that is told. Raises StoreError."""
        told = await self._teller.interrupted(record, lost, at)
        if told is None:
            return
        if lost is not None:
            log.warning("orphan-told", node=lost, transfer=record.transfer)
        self._on_told(told)

    # --- our own, from before a restart

    def hold(self, left: Sequence[TransferRecord]) -> None:
        """These of our own were left under way: `settle` tells their ends, where nobody has told them meanwhile."""
        if left:
            log.info("interrupted-transfers-held", transfers=len(left))
            self._left.update({record.transfer: record for record in left})
            self._some_left.set()

    async def settle(self) -> NoReturn:
        """Tell the ends of those that are held, whenever the broker is there, until cancelled."""
        while True:
            await self._some_left.wait()
            await self._line.known.wait()
            is_done = await self._guarded(self._instance, self._settle_all())
            if not self._left:
                self._some_left.clear()
            await sleep(self._clock, LOOK_S if is_done else AGAIN_S)

    async def _settle_all(self) -> None:
        if self._line.retains_nothing:
            await _each(self._line, list(self._left.values()), self._settle_alone)
        else:
            await self._read_claims(self._instance)
            await _each(self._line, list(self._left.values()), self._settle)

    async def _settle(self, record: TransferRecord) -> None:
        transfer = record.transfer
        claim = self._claims.of(self._instance, transfer)
        if claim is not None and claim.told and claim.by != self._instance:
            await self._teller.let_go(transfer)
            log.info("told-by-another", transfer=transfer, by=claim.by)
            self._claims.forget(self._instance, transfer)
        else:
            if self._holds(self._instance, transfer) or self._is_ending:
                return
            with self._word():
                if not await self._claims.take(self._instance, transfer):
                    return
                await self._tell(record)
                await self._claims.told(self._instance, transfer)
        self._over.add(transfer)
        del self._left[transfer]
        self._own.forget(transfer)

    async def _settle_alone(self, record: TransferRecord) -> None:
        """Where the broker retains nothing, nobody else knows of it."""
        await self._tell(record)
        self._over.add(record.transfer)
        del self._left[record.transfer]

    async def tidy(self) -> NoReturn:
        """Whenever the broker is there anew: what it retains of us and holds no longer is taken away.

        What others know and our disk does not, since we were killed before it was written, is told first.
        """
        while True:
            await self._line.up.wait()
            connection = self._line.times_up
            if not await self._guarded(self._instance, self._tidy()):
                await sleep(self._clock, AGAIN_S)
            elif self._line.times_up == connection:
                await self._line.down.wait()

    async def _tidy(self) -> None:
        """Take away what is over, and hold the transfers of which nobody has told. Raises AwayError, StoreError."""
        found: list[TransferRecord] = []
        for transfer, payload in (await self._opened(self._instance)).items():
            if self._own.knows(transfer) or transfer in self._left:
                continue
            is_old = self._has_looked or transfer in self._over
            record = None if is_old else self._read(self._instance, transfer, payload)
            if record is None or await self._teller.knows(transfer):
                self._own.forget(transfer)
            else:
                found.append(record)
        self.hold([record for record in found if record.transfer not in self._over])
        self._has_looked = True
        for transfer in self._claims.of_node(self._instance):
            if transfer not in self._left:
                self._claims.forget(self._instance, transfer)

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
                if not await self._guarded(lost.node, self._look(lost)):
                    self._next[lost.node] = self._clock.now().steady + AGAIN_S
            for node, transfers in self._claims.unfinished().items() if is_up else ():
                if not self._statuses.is_lost(node) and self._clock.now().steady >= self._next.get(node, 0):
                    await self._guarded(node, self._let_go(node, transfers))
                    self._next[node] = self._clock.now().steady + AGAIN_S
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
        opened = await self._opened(lost.node)

        async def tell(transfer: str) -> None:
            claim = self._claims.of(lost.node, transfer)
            if (claim is not None and claim.told) or self._holds(lost.node, transfer):
                return
            if (record := self._read(lost.node, transfer, opened[transfer])) is None:
                return
            # One that is back tells by itself what nobody has claimed.
            if self._statuses.is_lost(lost.node):
                await self._take(lost.node, record, lost.since.wall)

        await _each(self._line, list(opened), tell)

    async def _let_go(self, node: str, transfers: Sequence[str]) -> None:
        """Of one that is back: tell no longer what is claimed here, since it waits for us, and may have it still."""

        async def release(transfer: str) -> None:
            if await self._teller.knows(transfer):
                await self._claims.told(node, transfer)
            else:
                self._claims.forget(node, transfer)

        await _each(self._line, transfers, release)

    async def _take(self, node: str, record: TransferRecord, at: datetime) -> None:
        """Claim and tell it, where nobody else does."""
        if self._is_ending:
            return
        with self._word():
            if not await self._claims.take(node, record.transfer):
                return
            await self._tell(record, node, at)
            await self._claims.told(node, record.transfer)
            self._line.say(self._line.topic(open_transfers.KIND, record.transfer, node), b"")

    def _read(self, node: str, transfer: str, payload: bytes) -> TransferRecord | None:
        """What a gateway has said of a transfer under way; None: that cannot be, or it is over."""
        try:
            record = read_transfer(payload.decode())
        except (ValidationError, UnicodeError) as error:
            log.error("orphan-unreadable", node=node, transfer=transfer[:LONGEST_ID], why=str(error)[:500])
            return None
        return record if record.transfer == transfer and record.outcome is None else None


async def _each(line: PeerLine, many: Sequence[_T], work: Callable[[_T], Awaitable[None]]) -> None:
    """Do it for each, and raise what the first of them failed with in the end: one must not keep the others."""
    failure: Exception | None = None
    for one in many:
        try:
            await work(one)
        except Exception as error:  # noqa: BLE001 -- it is raised in the end
            failure = failure or error
            if not line.up.is_set():
                break
    if failure is not None:
        raise failure
