# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays, and counts: each request for a transfer has one outcome, and in the end nothing is left.

1. Callers call, at a rate that does not wait for anybody, and the troubles come in turn.
2. The first third of the time warms it up: what is kept is there then. Memory and descriptors of the other two are
   compared.
   With `recovers` the gateway is killed and started every few minutes as well (kills.py).
3. Nobody calls any more. Who has asked for a transfer, and was answered, is compared with the outcomes by MQTT, call by
   call; those with the history and the metrics. What the gateway holds is what it held at the beginning.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.fuzz.held import held
from tests.reconciled.counts import of_history
from tests.reconciled.world import TRANSFERS
from tests.soak.kills import Kills
from tests.soak.kinds import KINDS, PATIENCE_S
from tests.soak.stations import LATE_S, TIMED_OUT_S
from tests.soak.troubles import Troubles
from tests.soak.world import LINES, PBX_OF, SEED, World
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.kinds import Told
    from tests.soak.stations import Station
    from tests.support.processes import Net

LOOK_S, FORGET_S = 5.0, 30.0
BEHIND_S, NAP_S, MOST_S = 0.3, 0.05, 20.0
"""Nobody calls while this process is so late at waking from a nap, or has calls of so many seconds in hand: peers that
have no processor are none that a gateway can be judged by."""
NO_TRANSFER = (408, 481, 500, 503)
"""What a request may be answered with that never becomes a transfer: nobody is there, the call is over, the request is
one that was answered before, there is no room. They may have an outcome or none."""
LINGER_S = TIMED_OUT_S + LATE_S + PATIENCE_S
"""Within which nothing is left: who has vanished is given up after 32 s, and what it held 32 s later."""
WARM_S = 300
"""A run that is shorter says nothing of what grows."""
GROWS_MB, GROWS_DESCRIPTORS = 12.0, 8
"""What the last third of the time may have more than the second, by its median."""
FORESEEN = ("broker-unreachable", "mqtt: failed to receive on socket", "dial-failed", "history-unwritable")
"""Errors in the log that are what fails here, or a disk that others keep busy: in the end all has to be there."""
OUTCOMES = ("answered", "busy", "no-answer", "declined", "unreachable", "pbx-error", "cancelled", "caller-hung-up",
            "unknown-destination", "outside-hours", "queue-unstaffed", "at-capacity", "bad-request",
            "unsupported-extension", "transfer-pending", "not-bridged", "holiday", "address-incomplete",
            "not-acceptable")  # fmt: skip


@dataclass
class Sample:
    """What the gateway holds at a moment."""

    at_s: float
    memory_mb: float
    descriptors: int


@dataclass
class Result:
    """What came of it."""

    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """As it is printed."""
        yield from self.notes
        yield from (f"{count:8,}  {reason}" for reason, count in self.reasons.most_common())
        yield from (f"wrong: {fault}" for fault in self.faults)


class Soak:
    """Calls at so many a second for so many seconds."""

    def __init__(
        self,
        net: Net,
        *,
        seconds: float,
        per_second: float,
        seed: int = SEED,
        tells: bool = False,
        recovers: bool = False,
    ) -> None:
        """`tells`: prints each minute how it goes; `recovers`: the gateway is killed, and its calls outlive it."""
        self._net, self._seconds, self._per_second, self._tells = net, seconds, per_second, tells
        self._recovers = recovers
        self._unwritten = 0
        self._random = random.Random(seed)
        self._samples: list[Sample] = []
        self._late_s = self._held_s = 0.0
        self._result = Result()

    async def play(self) -> Result:
        """All of it."""
        async with World(self._net, recovers=self._recovers) as self._world:
            await eventually(self._is_calm, "the PBX is known, and the broker there", timeout_s=30)
            before = await held(self._world.gateway)
            self._troubles, self._kills = Troubles(self._world), Kills(self._world)
            self._began = time.monotonic()
            plays = [self._look(), self._nap(), self._troubles.play(self._seconds)]
            if self._recovers:
                plays.append(self._kills.play(self._seconds))
            beside = [asyncio.create_task(one) for one in plays]
            await self._call()
            for task in beside:
                task.cancel()
            for ended in await asyncio.gather(*beside, return_exceptions=True):
                if not isinstance(ended, asyncio.CancelledError):
                    self._result.faults.append(f"what was done beside the calls broke off: {ended!r}")
            await self._mended()
            await self._nothing_is_left(before)
            await self._compare()
            self._flat()
            self._note()
        return self._result

    async def _is_calm(self) -> bool:
        status = await self._world.gateway.get("/api/status")
        return bool(status["mqtt"]["connected"] and status["pbx"]["asterisk"]["up"])

    async def _call(self) -> None:
        """Each kind by its share, in an order that the seed shuffles anew each time, over all lines."""
        turns: list[int] = []
        lines, number = list(LINES), 0
        due = time.monotonic()
        while (now := time.monotonic()) - self._began < self._seconds:
            if self._is_too_late():
                await asyncio.sleep(2 * NAP_S)
                self._held_s += time.monotonic() - now
                due = time.monotonic()
                continue
            if now < due:
                await asyncio.sleep(due - now)
            due += 1 / self._per_second
            if not turns:
                turns = [place for place, kind in enumerate(KINDS) for _ in range(kind.share)]
                self._random.shuffle(turns)
            kind, line = turns.pop(), lines[number % len(lines)]
            number += 1
            if KINDS[kind].invites:
                platform = self._world.platforms[line]
                platform.station.begins(platform.invites(KINDS[kind].target))
            else:
                pbx = self._world.pbxs[PBX_OF[line]]
                pbx.station.begins(pbx.calls_in(f"+{LINES[line]}", kind))

    def _is_too_late(self) -> bool:
        in_hand = sum(station.in_hand for station in self._stations)
        return self._late_s > BEHIND_S or in_hand > 2 * MOST_S * self._per_second

    async def _nap(self) -> None:
        """How late this process is, of late."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(NAP_S)
            self._late_s = max(time.monotonic() - before - NAP_S, 0.9 * self._late_s)

    async def _look(self) -> None:
        gateway, world = self._world.gateway, self._world
        forgot = told = 0.0
        while True:
            now = time.monotonic() - self._began
            with suppress(OSError, ValueError):  # it was just killed
                self._samples.append(Sample(now, memory_mb(gateway.child.pid), descriptors(gateway.child.pid)))
            if now - forgot > FORGET_S:
                forgot = now
                for station in self._stations:
                    station.forgets()
                world.manager.actions.clear()
            if self._tells and now - told >= 60 and self._samples:
                told = now
                last = self._samples[-1]
                print(f"{now / 60:4.0f} min  {len(world.ended):7,} outcomes  {last.memory_mb:6.1f} MB  "
                      f"{last.descriptors} descriptors", flush=True)  # fmt: skip
            await asyncio.sleep(LOOK_S)

    @property
    def _stations(self) -> list[Station]:
        return self._world.stations

    async def _mended(self) -> None:
        """Whatever was away when the last one called is there again."""
        world = self._world
        await self._kills.back()
        world.clock.set_to(0)
        if world.broker.child is None:
            await world.broker.start()
        for again in (world.names.__aenter__, lambda: world.manager.listen(world.manager.port)):
            with suppress(OSError):
                await again()
        await world.pbxs["good"].station.comes_back()

    # --- at the end

    async def _nothing_is_left(self, before: dict[str, int]) -> None:
        gateway = self._world.gateway

        async def is_so() -> bool:
            self._last = await held(gateway)
            self._world.streams.drop() if self._world.streams._open else None
            return await self._is_calm() and all(
                self._last[what] <= most for what, most in self._bounds(before).items()
            )

        try:
            await eventually(is_so, "nothing is left", timeout_s=LINGER_S, every_s=0.5)
        except AssertionError:
            more = {what: (most, self._last[what]) for what, most in self._bounds(before).items()
                    if self._last[what] > most}  # fmt: skip
            self._result.faults.append(f"left behind (there may be, there is): {more}")

    def _bounds(self, before: dict[str, int]) -> dict[str, int]:
        """What it may hold in the end: as at the beginning, and descriptors of files that came since."""
        return {what: count + GROWS_DESCRIPTORS * (what == "descriptors") for what, count in before.items()}

    async def _drained(self) -> bool:
        status = await self._world.gateway.get("/api/status")
        counted = await self._world.gateway.metric(TRANSFERS)
        return not (status["outbox"]["events"] or status["history"]["waiting"]) and len(self._world.ended) >= counted

    async def _compare(self) -> None:
        faults, world = self._result.faults, self._world
        try:
            await eventually(self._drained, "all is told", timeout_s=PATIENCE_S, every_s=0.5)
        except AssertionError:
            faults.append(f"not told: {(await world.gateway.get('/api/status'))['outbox']}")
        ended = world.by_call()
        told = {call: one for platform in world.platforms.values() for call, one in platform.told.items()}
        for call, one in told.items():
            outcomes = [(each["outcome"], each["sip_code"]) for each in ended.get(call, [])]
            if wrong := differs(one, outcomes):
                if len(outcomes) <= one.sent and self._kills.may_be_unwritten(one.at):
                    self._unwritten += 1
                else:
                    faults.append(f"{call}: {wrong}")
        faults += [f"{call}: {ends}, and nobody has asked" for call, ends in ended.items() if call not in told]
        transfers = Counter(one["transfer"] for one in world.ended.values())
        faults += [f"{name} ended {count} times" for name, count in transfers.items() if count > 1]
        history = {one["transfer"]: (one["outcome"], one["reason"]) for one in await of_history(world.gateway)}
        events = {one["transfer"]: (one["outcome"], one["reason"]) for one in world.ended.values()}
        if history != events:
            faults.append(f"history and events differ: {sorted(history.items() ^ events.items())[:5]}")
        counted = await world.gateway.counts(TRANSFERS, "reason")
        self._result.reasons = Counter(str(one["reason"]) for one in world.ended.values())
        # Those of a gateway that was killed are gone.
        more, fewer = Counter(counted) - self._result.reasons, self._result.reasons - Counter(counted)
        if more or (fewer and not self._recovers):
            faults.append(f"the metrics have {counted}")
        faults += [f"the end of call {call} was told {count} times"
                   for call, count in world.call_ends.items() if count > 1]  # fmt: skip
        faults += self._kills.compare() if self._recovers else []
        faults += [f"a peer: {fault}" for station in self._stations for fault in station.faults[:5]]
        if not self._recovers or self._seconds >= WARM_S:  # a kill takes from each kind what it can
            faults += [f"never: {reason}" for reason in OUTCOMES if not self._result.reasons[reason]]
        said = [line for line in world.gateway.log.splitlines() if " error " in line]
        faults += [f"log: {line}" for line in said if not any(name in line for name in FORESEEN)][:10]
        self._told = told

    def _flat(self) -> None:
        """Memory and descriptors of the last third of the time are those of the second."""
        third_s = self._seconds / 3
        thirds = [[one for one in self._samples if place == one.at_s // third_s] for place in range(3)]
        for what, most in (("memory_mb", GROWS_MB), ("descriptors", GROWS_DESCRIPTORS)):
            _, before, after = [median(getattr(one, what) for one in third) for third in thirds]
            self._result.notes.append(
                f"{what}: {before:,.1f} in the second third of the time, {after:,.1f} in the last"
            )
            if self._seconds < WARM_S:
                continue
            # Descriptors are sockets of calls as well: no more of those than there may be at a time.
            if after > before + most + (what == "descriptors") * 0.2 * before:
                self._result.faults.append(f"{what} grows: {before:,.1f}, then {after:,.1f}")

    def _note(self) -> None:
        world, told = self._world, self._told
        calls, up = (sum(getattr(pbx, what) for pbx in world.pbxs.values()) for what in ("calls", "up"))
        sent = sum(one.sent for one in told.values())
        answered = sum(len(one.refused) + one.accepted or len(one.finals) for one in told.values())
        broken = sum(station.count for station in self._stations)
        self._result.notes[:0] = [
            f"{self._seconds:.0f} s at {self._per_second:g} a second: {calls:,} callers, {up:,} of them answered",
            f"{sent:,} requests for a transfer sent, {answered:,} answered, {len(world.ended):,} outcomes",
            *self._kills.lines(),
            *([f"{self._unwritten} requests answered just before a kill, of which no outcome, or another, was on disk"]
              if self._recovers else []),
            f"{world.events.total():,} events by MQTT, {world.again} more than once (at least once)",
            "troubles: " + ", ".join(f"{name} {count}" for name, count in self._troubles.counts.items()),
            "bad networks: " + ", ".join(f"{one.carried:,} carried, {one.lost:,} lost, {one.repeated:,} repeated"
                                         for one in world.bad),
            f"nobody called for {self._held_s:.0f} s, since this machine was late",
            f"{broken} conversations were broken off by what failed, as the far ends saw it",
            f"held at the end: {self._last}",
        ]  # fmt: skip


def differs(told: Told, ended: list[tuple[str, int]]) -> str:
    """What is wrong with the outcomes of what one call has asked for; empty: nothing."""
    transfers = [code for code in told.refused if code not in NO_TRANSFER]
    answered = len(transfers) + told.accepted + (len(told.finals) if not told.accepted else 0)
    if not answered <= len(ended) <= told.sent:
        return f"{told.sent} requests, {answered} answered (refused {told.refused}), outcomes {ended}"
    refused = [code for outcome, code in ended if outcome == "refused"]
    if told.accepted and Counter(transfers) - Counter(refused):
        return f"refused with {told.refused}, told as {ended}"
    completed = sum(outcome == "completed" for outcome, _ in ended)
    # The PBX has answered for a queue, and the caller left before anybody took the call.
    left = sum(outcome == "abandoned" for outcome, _ in ended)
    if told.finals.count(200) > completed + left or (told.finals and 200 not in told.finals and completed > 0):
        return f"the far end was told {told.finals}, the outcomes are {ended}"
    return ""


def memory_mb(pid: int) -> float:
    """Of a process, resident (proc(5))."""
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def descriptors(pid: int) -> int:
    """How many it has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
