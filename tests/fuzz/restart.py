# SPDX-License-Identifier: GPL-2.0-or-later
"""A kill in the middle of the run: calls outlive it, those of peers that make mistakes too."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.fuzz.damage import copies, write
from tests.fuzz.good import hear_each_other
from tests.support.kept_rows import kept_rows
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.fuzz.mutator import Mutator
    from tests.support.gateway import Gateway
    from tests.support.peer_call import Call
    from tests.support.subscriber import Subscriber

AGAIN_S = 30.0
"""Within which calls are taken up, or over, and two who talked hear each other: 8 s, and what sanitizers add."""
LEAST = 2
"""The good calls; there have to be others."""
RECOVERED = "transfer_gateway_calls_recovered_total"
UNREADABLE = " kept-call-unreadable "
COUNTED = {
    "transfers": ("transfer_gateway_transfers_total", "outcome"),
    "refused": ("transfer_gateway_requests_rejected_total", "reason"),
}


class Restart:
    """Kills a gateway, and starts it again with the calls that it had; `heard` is told of its events."""

    def __init__(self, gateway: Gateway, heard: Subscriber, mutator: Mutator) -> None:
        self._gateway = gateway
        self._mutator = mutator
        self._copies = self._unreadable = 0
        self._heard = heard
        self._rows: list[dict[str, Any]] = []
        self._became: dict[str, int] = {}
        self._ready_s = 0.0
        self.is_running = asyncio.Event()
        """Clear from the kill until the next process is ready."""
        self.is_running.set()
        self._before: dict[str, dict[str, int]] = {}  # what the process that was killed had counted

    async def play(self, pairs: list[tuple[Call, Call]], start_s: float) -> None:
        """These talk on afterwards; raises AssertionError where they do not. The start may take so long."""

        async def are_written_down() -> bool:
            kept = {leg["dialog"]["call_id"] for row in kept_rows(self._gateway) for leg in row["legs"]}
            return all({one.call_id, other.call_id} <= kept for one, other in pairs)

        await eventually(are_written_down, "the good calls are in the journal", timeout_s=AGAIN_S)
        self._before = {what: await self.counted(what) for what in COUNTED}
        self.is_running.clear()
        await self._gateway.kill()
        self._rows = kept_rows(self._gateway)
        # A copy that is read first has the dialogs of the other one.
        copied = copies([row for row in self._rows if row["number"] != "good"], self._mutator)
        write(self._gateway.directory / "state", copied)
        self._copies = len(copied)
        begun = time.monotonic()
        try:
            await self._gateway.start(start_s)
        finally:
            self.is_running.set()
        self._ready_s = time.monotonic() - begun
        for one, other in pairs:
            await hear_each_other(one, other, AGAIN_S)
        await eventually(self._all_known, "each call is taken up, or over", timeout_s=AGAIN_S)

    async def _all_known(self) -> bool:
        self._became = await self._gateway.counts(RECOVERED, "result")
        self._unreadable = self._gateway.log.count(UNREADABLE)
        return sum(self._became.values()) + self._unreadable == len(self._rows) + self._copies

    async def counted(self, what: str) -> dict[str, int]:
        """What was counted of this (see COUNTED), by the process that was killed as well."""
        return dict(Counter(self._before.get(what, {})) + Counter(await self._gateway.counts(*COUNTED[what])))

    async def ended(self, within_s: float) -> None:
        """Wait until the process has ended by itself."""
        while True:
            child = self._gateway.child
            await child.wait(within_s)
            if self.is_running.is_set() and self._gateway.child is child:
                return
            await self.is_running.wait()

    # --- in the end

    async def faults(self) -> list[str]:
        """What is wrong with the ends of those who were put through before the kill, once all calls are over.

        Of the others no end is told, and the history has none of them.
        """
        faults = [] if len(self._rows) > LEAST else [f"not reached: {len(self._rows)} calls were up at the kill"]
        calls = {row["call"] for row in self._rows if row["destination"] is not None}

        async def are_over() -> bool:
            return calls <= await self._over() and calls <= self._told().keys()

        try:
            await eventually(are_over, "each call has its end", timeout_s=AGAIN_S, every_s=1.0)
        except AssertionError:
            faults.append(f"without an end in the history: {calls - await self._over()}")
        ends = self._told()
        return [*faults, *(f"the end of {call} was told {ends[call]} times" for call in calls if ends[call] != 1)]

    def _told(self) -> Counter[str]:
        """How often the end of each call was told; the same event again counts once (QoS 1)."""
        told = {one["id"]: one["data"]["call"] for one in self._heard.events("call.ended.v1")}
        return Counter(told.values())

    async def _over(self) -> set[str]:
        over, cursor = set(), ""
        while True:
            page = await self._gateway.get(f"/api/calls?since=2020-01-01&limit=1000&cursor={cursor}")
            over |= {one["call"] for one in page["calls"] if one["ended_at"]}
            if (cursor := page["next"]) is None:
                return over

    def lines(self) -> list[str]:
        """What to tell of it."""
        recovered, lost = (self._became.get(result, 0) for result in ("recovered", "lost"))
        put_through = sum(row["destination"] is not None for row in self._rows)
        outlived = f"{len(self._rows)} calls that talked, {put_through} of them put through"
        copied = f"{self._copies} copies with mistakes, {self._unreadable} of them unreadable"
        after = f"ready again after {self._ready_s:.1f} s: {recovered} taken up, {lost} over"
        return [f"killed with {outlived}, and {copied}; {after}"]
