# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers of every kind, while the broker, the PBX, a webhook's receiver and the gateway go and come back.

    result = await Run(net, transfers=2000, seconds=600).play()

1. All is there. The broker is restarted in the midst of it.
2. The receiver of the webhook goes away in the midst of it, until after 3.
3. Some callers wait for somebody to answer, and the gateway is killed and started again.
4. The PBX is stopped: what the gate decides without it goes on. It is started again.
5. All is there.

Then everybody who has counted is asked.

The counters of a process that is killed are gone with it. They are scraped once the only transfers under way are those
that wait, and nothing else ends before the kill: so the last scrape of the first life is what it has counted, to the
unit. Those that wait are counted by the second life, which reports them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from gateway.core.outcome import Reason
from tests.reconciled.counts import (
    ENDED,
    Book,
    Scraped,
    details,
    differences,
    of_events,
    of_history,
    of_proof,
    of_report,
    report,
    scrape,
    table,
)
from tests.reconciled.kinds import INTERRUPTED, REJECTED, WITH_PEERS, WITH_SIPP, WITHOUT_PBX, key
from tests.reconciled.platform import Wave, in_turn
from tests.reconciled.scripted import Scripted
from tests.reconciled.world import WEBHOOK, World
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.reconciled.kinds import Asked
    from tests.support.processes import Net

SCRIPTED = 19
"""Transfers in one round of the scripted cases."""
FULL = 1
"""… and in what is rejected: the call that fills a trunk."""
TURNED_AWAY = str(Reason.AT_CAPACITY)
"""As what SIPp's callers count among the requests that were rejected."""
DRAIN_S = 120.0
MARGIN_S = 25.0
"""What the starts and restarts take, and the callers who are last."""


@dataclass
class Result:
    """The table, what else is worth knowing, and every difference."""

    books: list[Book]
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """As it is printed."""
        yield from table(self.books)
        yield from self.notes
        yield from (f"differs: {fault}" for fault in self.faults)


class Run:
    """One run of about so many transfers, spread over so many seconds."""

    def __init__(self, net: Net, *, transfers: int, seconds: float) -> None:
        self._net = net
        self._waiting = max(3, transfers // 100)
        rounds = max(1, transfers // 200)
        by_sipp = max(
            2 * sum(one.share for one in WITH_SIPP), transfers - 2 * (rounds * SCRIPTED + FULL) - self._waiting
        )
        self._rounds = rounds
        self._without_pbx = max(len(WITHOUT_PBX), by_sipp // 20)
        self._each = (by_sipp - self._without_pbx) // 3
        self._last = by_sipp - self._without_pbx - 2 * self._each
        self._per_second = by_sipp / max(seconds - MARGIN_S, seconds / 3)
        self._wave_s = self._each / self._per_second + DRAIN_S
        self._turns = in_turn(WITH_SIPP)
        self.sipp, self.peers = Book("SIPp"), Book("peers")
        self.rejected: Counter[str] = Counter()

    async def play(self) -> Result:
        """All of it. Raises AssertionError where somebody is told what they should not be, or never the end of it."""
        began = time.monotonic()
        async with World(self._net) as world:
            self._world = world
            self._scripted = Scripted(world)
            at_start = await scrape(world.gateway)
            await self._with_a_broker_that_restarts()
            await self._with_a_receiver_that_goes()
            first = await self._killed()
            await world.receiver.come_back()
            await self._without_the_pbx()
            await asyncio.gather(self._wave(self._turns, self._last), self._cases())
            await world.gateway.idle(60)
            return await self._reconciled(at_start, first, time.monotonic() - began)

    async def _wave(self, turns: Iterator[Asked], count: int) -> None:
        wave = Wave(self._world.gateway, self._net, list(islice(turns, count)), self._per_second)
        self.sipp.transfers += await wave.played()
        self.rejected += Counter({TURNED_AWAY: wave.turned_away})

    async def _cases(self) -> None:
        for _ in range(self._rounds):
            self.peers.transfers += await self._scripted.played()
        self.rejected += await self._scripted.rejected()
        self.peers.transfers[key(Reason.ANSWERED)] += FULL

    async def _with_a_broker_that_restarts(self) -> None:
        """It goes when a third of what is to come has ended, and comes back after the second."""
        broker, third = self._world.broker, self._each // 3

        async def restart() -> None:
            await self._beyond(third)
            await broker.stop()
            await self._beyond(2 * third)
            await broker.start()

        await asyncio.gather(self._wave(self._turns, self._each), self._cases(), restart())

    async def _with_a_receiver_that_goes(self) -> None:
        """It goes when half of what is to come has ended, and stays away."""
        half = self._told + self._each // 2

        async def go() -> None:
            await self._beyond(half)
            await self._world.receiver.go()

        await asyncio.gather(self._wave(self._turns, self._each), go())

    async def _killed(self) -> Scraped:
        """Kill the gateway while callers wait, and start it; what it had counted until then."""
        gateway = self._world.gateway
        await gateway.idle(60)
        calls = [await self._scripted.ringing() for _ in range(self._waiting)]
        waiting = {assistant.call_id: assistant for _, assistant in calls}

        async def on_disk() -> bool:  # as what a broker has been told of is
            rung = [event["data"] for event in self._world.heard.events("transfer.ringing.v1")]
            return waiting.keys() <= {data["call_ids"]["transferor"] for data in rung}

        await eventually(on_disk, "those who wait are told of", timeout_s=DRAIN_S, every_s=0.1)
        counted = await scrape(gateway)
        assert counted.transfers.total() == self._told
        await gateway.kill()
        for assistant in waiting.values():
            assert [one.sipfrag for one in assistant.requests if one.method == "NOTIFY"] == [100, 180]
        for call in (end for ends in calls for end in ends):
            call.media.pause()  # or what they say would come to the ports of the gateway's next calls
        self.peers.transfers[INTERRUPTED] += len(waiting)
        await gateway.start()
        return counted

    async def _without_the_pbx(self) -> None:
        """It is stopped, some are refused, and it is started again."""
        world = self._world
        await world.pbx.stop()
        await world.settled(WITHOUT_PBX)
        await self._wave(in_turn(WITHOUT_PBX), self._without_pbx)
        await world.pbx.start()
        await world.pbx.occupy()
        await world.staffed()

    @property
    def _told(self) -> int:
        """Of how many transfers the platforms know what became of them."""
        return self.sipp.transfers.total() + self.peers.transfers.total()

    async def _beyond(self, count: int) -> None:
        """Wait until so many transfers have ended, as whoever is there of those who are told has heard.

        To scrape so often what tells it too, thousands of series, would be a load of its own.
        """
        world = self._world

        async def are() -> bool:
            heard = sum(ENDED.encode() in one.payload for one in world.heard.messages)
            taken = [event for event in world.receiver.taken if event["type"] == ENDED]
            return max(heard, len(taken)) >= count

        await eventually(are, f"{count} transfers have ended", timeout_s=self._wave_s, every_s=0.1)

    async def _drained(self) -> bool:
        status = await self._world.gateway.get("/api/status")
        return not (status["outbox"]["events"] or status["webhooks"][WEBHOOK]["events"] or status["history"]["waiting"])

    async def _reconciled(self, at_start: Scraped, first: Scraped, took_s: float) -> Result:
        """Everybody's counts, once nothing waits any more to be told."""
        world, gateway = self._world, self._world.gateway
        await eventually(self._drained, "everybody has been told of all", timeout_s=DRAIN_S, every_s=0.1)
        heard, taken = world.heard.events(), world.receiver.taken
        by_id = {event["id"]: event for event in heard}
        # The broker has acknowledged all of them, and passes them on.
        missing = {event["id"] for event in taken}.difference

        async def arrived() -> bool:
            by_id.update((event["id"], event) for event in world.heard.events())
            return not missing(by_id)

        await eventually(arrived, "the broker has passed on all", every_s=0.1)
        heard = world.heard.events()
        second, history = await scrape(gateway), await of_history(gateway)
        made = await report(gateway)
        platforms = self.sipp.transfers + self.peers.transfers
        books = [
            self.sipp, self.peers, Book("told", platforms), Book("MQTT", of_events(heard)),
            Book("webhook", of_events(taken)), Book("1st life", first.transfers), Book("2nd life", second.transfers),
            Book("metrics", first.transfers + second.transfers),
            Book("history", Counter((one["outcome"], one["reason"]) for one in history)),
            Book("report", of_report(made)),
            Book("proof", await of_proof(gateway, (one["requested_at"][:7] for one in history))),
        ]  # fmt: skip
        parts = {"SIPp", "peers", "1st life", "2nd life"}
        faults = differences([book for book in books if book.name not in parts])
        faults += [f"left out: {reason}" for reason in self._left_out()]
        ends = {event["id"]: event["data"] for event in heard if event["type"] == ENDED}
        human = sum(bool(data["human_at"]) for data in ends.values())
        compared = {
            "events by MQTT and by webhook": (set(by_id), {event["id"] for event in taken}),
            "one end for each transfer": (len(ends), len({data["transfer"] for data in ends.values()})),
            "transfers of the events and of the history": (
                {data["transfer"] for data in ends.values()}, {one["transfer"] for one in history},
            ),
            "by number, entry and destination: events, metrics and history": (
                details(ends.values()), first.details + second.details, details(history),
            ),
            "rejected, as peers and as the metrics count": (self.rejected, first.rejected + second.rejected),
            "asked for: milestones and report": (
                (first.milestones + second.milestones)["requested"], made["total"]["asked"],
            ),
            "reached a person: events, milestones and report": (
                human, (first.milestones + second.milestones)["human"], made["total"]["reached"],
            ),
            "series of the metrics at the start and at the end": (at_start.series, first.series, second.series),
        }  # fmt: skip
        faults += [f"{what}: {short(values)}" for what, values in compared.items() if any_differs(values)]
        again, rejected = len(taken) - len({event["id"] for event in taken}), self.rejected.total()
        turned_away = self.rejected[TURNED_AWAY]
        notes = [
            f"{len(ends)} transfers in {took_s:.0f} s, {human} reached a person, {rejected} requests rejected",
            f"{len(by_id)} events: {len(heard) - len(by_id)} came twice by MQTT and {again} by webhook (at least once)",
            f"{turned_away} callers were turned away (503) by a machine that was too busy: they have asked for nothing",
            "1st life: scraped before the kill, when nothing was under way but those who waited, whom the 2nd reports",
        ]
        return Result(books, notes, faults)

    def _left_out(self) -> list[str]:
        """What was to be brought about, and was not."""
        wanted = {str(one.reason) for one in (*WITH_SIPP, *WITHOUT_PBX)} | {*map(str, WITH_PEERS)}
        transfers = {reason for _, reason in self.sipp.transfers + self.peers.transfers}
        return sorted((wanted - transfers) | ({*map(str, REJECTED)} - set(self.rejected)))


def any_differs(values: Sequence[object]) -> bool:
    """Whether they are not all the same."""
    return any(value != values[0] for value in values[1:])


def short(values: Sequence[object]) -> str:
    """What differs of sets, and other values as they are."""
    if all(isinstance(value, set | frozenset) for value in values):
        sets: list[set[object]] = [set(value) for value in values]  # type: ignore[call-overload]
        common = set.intersection(*sets)
        return "; ".join(f"{len(one)}, alone {sorted(map(str, one - common))[:20]}" for one in sets)
    return " ≠ ".join(map(str, values))
