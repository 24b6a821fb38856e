# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers that have many calls at a time and for long, over networks that lose, repeat, delay and reorder datagrams."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

from tests.support.peer import T1_S, T2_S, Peer
from tests.support.wire import Datagrams, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from random import Random

    from tests.support.peer import Transaction
    from tests.support.peer_call import Call
    from tests.support.sip_message import Address, Message

LATE_S = 45.0
"""How long what belongs to a call may still come when it is over (RFC 3261: 64 * T1, and some)."""
TIMED_OUT_S = 64 * T1_S


class BadDatagrams(Datagrams):
    """UDP of which part is lost, both ways; some comes twice, all late, so that one datagram may overtake another."""

    def __init__(self, random: Random, *, loss: float = 0.02, repeats: float = 0.02, delay_s: float = 0.04) -> None:
        self._random = random
        self._loss, self._repeats, self._delay_s = loss, repeats, delay_s
        self.carried = self.lost = self.repeated = 0

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """See Datagrams."""
        self._carry(super().datagram_received, data, addr)

    def send(self, data: bytes, remote: Address) -> None:
        """See Wire."""
        self._carry(super().send, data, remote)

    def _carry(self, how: Callable[..., None], data: bytes, remote: object) -> None:
        if self._random.random() < self._loss:
            self.lost += 1
            return
        times = 2 if self._random.random() < self._repeats else 1
        self.repeated += times - 1
        for _ in range(times):
            self.carried += 1
            asyncio.get_running_loop().call_later(
                self._random.uniform(0, self._delay_s), self._arrive, how, data, remote
            )

    def _arrive(self, how: Callable[..., None], data: bytes, remote: object) -> None:
        if not self._transport.is_closing():
            how(data, remote)


class Station(Peer):
    """A peer that does `behaviour` with each call that comes in, and forgets calls that are long over."""

    def __init__(
        self,
        host: str,
        behaviour: Callable[[Call], Coroutine[None, None, None]],
        *,
        user: str,
        wire: Wire | None = None,
    ) -> None:
        super().__init__(host, user=user, wire=wire)
        self.retransmits = True
        self._behaviour = behaviour
        self._by_id: dict[str, Call] = {}
        self._ends: deque[tuple[float, Call]] = deque()
        self._older: tuple[set[object], ...] = (set(), set(), set())
        self._tasks: set[asyncio.Task[None]] = set()
        self.broken_off: list[str] = []
        """Why what was to be done with a call could not be done to its end, the last few."""
        self.count = 0
        """How many that were."""
        self.faults: list[str] = []
        """What nobody expects of a peer, which is a mistake of its own."""
        self._is_away = False
        self._hung_up: set[str] = set()

    @property
    def in_hand(self) -> int:
        """With how many calls something is being done."""
        return len(self._tasks)

    # --- calls

    def begins(self, coroutine: Coroutine[None, None, None]) -> None:
        """Do something beside all else."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, AssertionError | OSError | aiohttp.ClientError):
            self.count += 1
            self.broken_off = [*self.broken_off[-20:], str(error).partition("\n")[0]]
        elif error is not None:
            self.faults.append(repr(error))

    def calls_out(self, uri: str, remote: Address, *, from_: str, headers: tuple[tuple[str, str], ...] = ()) -> Call:
        """Begin a call."""
        call = self.invite(uri, remote, from_=from_, headers=headers)
        self._by_id[call.call_id] = call
        call.media.is_silent = True
        call.media.ignore()
        return call

    def over(self, call: Call) -> None:
        """It is, as far as this station is concerned."""
        call.close()
        if call.answers["INVITE"] is not None:
            call.answers["INVITE"] = 481
        self._ends.append((asyncio.get_running_loop().time(), call))

    def vanishes(self, call: Call) -> None:
        """Nothing of this call is answered any more, nor sent again."""
        call.answers = dict.fromkeys(("NOTIFY", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "CANCEL", "INVITE"))
        call.keeps_ack = True
        for key in [key for key, one in self._transactions.items() if one.request["Call-ID"] == call.call_id]:
            del self._transactions[key]

    def stays(self, call_id: str) -> bool:
        """Whether it has this call, or had it until the other side ended it."""
        call = self._by_id.get(call_id)
        return call is not None and call.answers["INVITE"] is not None and call_id not in self._hung_up

    def transact(self, request: Message, remote: Address) -> Transaction:
        """See Peer."""
        if request.method == "BYE":
            self._hung_up.add(request["Call-ID"])
        return super().transact(request, remote)

    async def insists(self, call: Call) -> bool:
        """Send the final response to its INVITE again until it is acknowledged (RFC 3261 §13.3.1.4); whether it was."""
        assert call.incoming
        key, number = (call.incoming.branch, "INVITE"), call.incoming.cseq[0]
        pause, left = T1_S, TIMED_OUT_S
        while left > 0:
            with suppress(AssertionError):
                await self.until(
                    lambda: any(one.cseq == (number, "ACK") for one in call.requests) or None, "ACK", pause
                )
                return True
            if (response := self._answered.get(key)) is not None:
                self.send(response, call.remote, repeated=True)
            left -= pause
            pause = min(2 * pause, T2_S)
        return False

    def forgets(self) -> None:
        """What is long over, and what was there when this was called last; to be called once in a while."""
        now = asyncio.get_running_loop().time()
        while self._ends and now - self._ends[0][0] > LATE_S:
            _, call = self._ends.popleft()
            self._by_id.pop(call.call_id, None)
            self._hung_up.discard(call.call_id)
        self.calls = list(self._by_id.values())
        self.trace.clear()
        kept: tuple[set[object] | dict[object, object], ...] = (
            self._answered, self._transactions, self._seen,  # type: ignore[assignment]
        )  # fmt: skip
        for held, older in zip(kept, self._older, strict=True):
            for key in older.intersection(held):
                if isinstance(held, dict):
                    del held[key]
                else:
                    held.discard(key)
        self._older = tuple(set(held) for held in kept)

    # --- the whole of it

    async def restarts(self, away_s: float) -> None:
        """It is gone for so long, and knows nothing of its calls afterwards."""
        await self.goes()
        await asyncio.sleep(away_s)
        await self.comes_back()

    async def goes(self) -> None:
        """Nothing that it sends arrives, nor anything that is sent to it."""
        self._is_away = True
        await self.wire.close()
        for task in list(self._tasks):
            task.cancel()
        for call in self._by_id.values():
            call.close()
        self._by_id.clear()
        self._ends.clear()
        self.calls, self._older = [], (set(), set(), set())
        self._answered.clear()
        self._transactions.clear()

    async def comes_back(self) -> None:
        """If it was away."""
        if self._is_away:
            await self.wire.open(self.host, self.port, self._arrived)
            self._is_away = False

    def send(self, message: Message, remote: Address, *, repeated: bool = False) -> None:
        """See Peer."""
        if not self._is_away:
            super().send(message, remote, repeated=repeated)

    async def __aexit__(self, *details: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await super().__aexit__(*details)

    def _take_request(self, request: Message, remote: Address) -> None:
        before = len(self.calls)
        super()._take_request(request, remote)
        for call in self.calls[before:]:
            self._by_id[call.call_id] = call
            call.media.is_silent = True
            call.media.ignore()
            self.begins(self._behaviour(call))

    def _call_of(self, message: Message) -> Call | None:
        return self._by_id.get(message["Call-ID"])
