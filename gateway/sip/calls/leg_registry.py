# SPDX-License-Identifier: GPL-2.0-or-later
"""The legs that there are: nobody else keeps them alive, and what is not here any more has ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.model import LegId, Peer
    from gateway.sip.calls.leg import Leg


class LegRegistry:
    """Found by their ids, by PJSUA's numbers, and by their Call-IDs."""

    def __init__(self, emptied: Callable[[], None] = lambda: None) -> None:
        """`emptied` is called when the last leg is over."""
        self._emptied = emptied
        self._by_id: dict[LegId, Leg] = {}
        self._by_number: dict[int, Leg] = {}
        self._by_peer: Counter[str] = Counter()
        self._by_call_id: Counter[str] = Counter()
        self.making: LegId | None = None  # the leg of which PJSUA is about to make a call
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Leg]:
        return iter(list(self._by_id.values()))

    def get(self, leg: LegId | None) -> Leg | None:
        """The leg with this id; of nobody there is none."""
        return self._by_id.get(leg) if leg is not None else None

    def at(self, number: int) -> Leg | None:
        """The leg with this number of a PJSUA call."""
        return self._by_number.get(number)

    def name_of(self, number: int) -> LegId | None:
        """As `at`, its id; a number that nobody knows is that of the leg in `making`."""
        leg = self._by_number.get(number)
        return leg.id if leg is not None else self.making

    def has_call(self, call_id: str) -> bool:
        """Whether a leg has this Call-ID."""
        return call_id in self._by_call_id

    def with_peer(self, peer: Peer) -> int:
        """How many legs there are with this peer."""
        return self._by_peer[peer.name]

    @property
    def occupied(self) -> int:
        """How many PJSUA calls there are: more than legs while one server is tried after another."""
        return len(self._by_number)

    @property
    def peers(self) -> set[str]:
        """The names of the peers that any of them is with."""
        return {leg.peer.name for leg in (*self._by_id.values(), *self._by_number.values())}

    def add(self, leg: Leg) -> None:
        """A leg has begun, and has its Call-ID; it takes the place of one that has the same id."""
        self.making = None
        before = self._by_id.get(leg.id)
        if before is None:
            self._by_peer[leg.peer.name] += 1
        else:
            self._forget_call_id(before)
        self._by_call_id[leg.sip_call_id] += 1
        self._by_id[leg.id] = leg
        self._by_number[leg.number] = leg

    def release(self, leg: Leg) -> None:
        """Its PJSUA call is over."""
        # PJSUA is still inside this object: it may not be collected before that has returned.
        asyncio.get_running_loop().call_soon(lambda gone: None, leg)
        self._by_number.pop(leg.number, None)

    def remove(self, leg: Leg) -> None:
        """The leg is over."""
        gone = self._by_id.pop(leg.id, None)
        if gone is not None:
            self._by_peer[leg.peer.name] -= 1
            self._forget_call_id(gone)
        self._changed.set()
        if not self._by_id:
            self._emptied()

    def _forget_call_id(self, leg: Leg) -> None:
        self._by_call_id[leg.sip_call_id] -= 1
        if not self._by_call_id[leg.sip_call_id]:
            del self._by_call_id[leg.sip_call_id]

    def clear(self) -> None:
        """Forget all of them."""
        self._by_id.clear()
        self._by_number.clear()
        self._by_peer.clear()
        self._by_call_id.clear()

    async def all_ended(self, patience_s: float, but: Collection[LegId] = ()) -> bool:
        """Wait until there is none `but` these, but not for ever."""
        try:
            async with asyncio.timeout(patience_s):
                while not self._by_id.keys() <= set(but):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True
