# SPDX-License-Identifier: GPL-2.0-or-later
"""What is compared, part by part: each takes the two in turn, as often as there are rounds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tests.compare import jobs, process
from tests.compare.figures import Figure, number, percentile
from tests.compare.media import RAMP, TOO_LATE_MS, NotMeasuredError, lasting
from tests.compare.search import LIMIT, highest
from tests.compare.systems import NAMES, Name, System, system
from tests.support.processes import ChildError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.processes import Net

Values: TypeAlias = dict[tuple[str, str], float | None]
"""What one run has measured, by what it is and its unit."""

AROUND_S = 5
"""What starts, ends and waits take around a run of one of the two, on a machine that does nothing else."""


@dataclass
class Bench:
    """How it is measured."""

    net: Net
    rounds: int = 5
    seconds: int = 10
    """How long new calls come, or lasting ones are measured."""
    rates: list[int] = field(default_factory=lambda: [50, 100])
    """Transfers and calls a second."""
    calls: list[int] = field(default_factory=lambda: [50, 200, 500])
    """At a time."""
    many: list[int] = field(default_factory=lambda: [2000, 20_000])
    """Transfers after which memory is looked at."""
    too_late_ms: float = TOO_LATE_MS
    """By how much the ends of lasting calls may be late."""

    async def in_turn(self, measure: Callable[[System], Awaitable[Values]]) -> list[Figure]:
        """The figures of both, each started afresh for each run."""
        found: dict[tuple[str, str], dict[Name, list[float | None]]] = defaultdict(lambda: {name: [] for name in NAMES})
        for _ in range(self.rounds):
            values = {}
            for name in NAMES:
                values[name] = await self._measured(name, measure)
                tell(name, values[name])
            for key in dict.fromkeys(key for one in values.values() for key in one):
                for name in NAMES:
                    found[key][name].append(values[name].get(key))
        return [Figure(what, unit, one["gateway"], one["asterisk"]) for (what, unit), one in found.items()]

    async def _measured(self, name: Name, measure: Callable[[System], Awaitable[Values]]) -> Values:
        """A run of one; nothing where it could not be carried out to its end, which is said."""
        try:
            async with system(name, self.net) as measured:
                return await measure(measured)
        except (AssertionError, TimeoutError, ChildError, NotMeasuredError) as error:
            print(f"  {name}: {type(error).__name__}: {str(error) or 'it took too long'}", flush=True)
            return {}


def tell(name: Name, values: Values) -> None:
    """Say what a run has measured."""
    measured = (f"{what} {number(value)} {unit}" for (what, unit), value in values.items() if value is not None)
    print(f"  {name}: {'; '.join(measured)}; load {process.load():.1f}", flush=True)


async def start(bench: Bench) -> list[Figure]:
    """From the start of the process until it takes calls."""

    async def measure(measured: System) -> Values:
        return {
            ("start to ready", "s"): measured.ready_s,
            ("memory when ready", "MB"): process.memory_mb(measured.pid),
        }

    return await bench.in_turn(measure)


async def transfers(bench: Bench) -> list[Figure]:
    """Transfers at a steady rate: what they take, and how long each waits."""
    figures = []
    for rate in bench.rates:

        async def measure(measured: System, rate: int = rate) -> Values:
            played = await jobs.transfers(measured, bench.net, per_second=rate, count=rate * bench.seconds)
            at = f"{rate} transfers/s: "
            values: Values = {
                (at + "completed", "%"): played.done / played.asked * 100,
                (at + "CPU each", "ms"): played.cpu_ms,
            }
            for name, waits in (
                ("REFER → 202", played.to_202_ms),
                ("REFER → INVITE to the target", played.to_invite_ms),
                ("REFER → final NOTIFY", played.to_final_ms),
            ):
                for share in (50, 99):
                    values[at + f"{name}, p{share}", "ms"] = percentile(waits, share / 100)
            return values

        figures += await bench.in_turn(measure)
    return figures


async def calls(bench: Bench) -> list[Figure]:
    """Calls that are answered and hung up after a second: what they take."""
    figures = []
    for rate in bench.rates:

        async def measure(measured: System, rate: int = rate) -> Values:
            played = await jobs.calls(measured, bench.net, per_second=rate, count=rate * bench.seconds)
            at = f"{rate} calls/s: "
            return {
                (at + "completed", "%"): played.done / played.asked * 100,
                (at + "CPU each", "ms"): played.cpu_ms,
            }

        figures += await bench.in_turn(measure)
    return figures


async def most_transfers(bench: Bench) -> list[Figure]:
    """The highest rate of transfers at which nothing fails."""
    return await _most(bench, "transfers", jobs.transfers)


async def most_calls(bench: Bench) -> list[Figure]:
    """The highest rate of calls at which nothing fails."""
    return await _most(bench, "calls", jobs.calls)


async def _most(bench: Bench, what: str, job: Callable[..., Awaitable[jobs.Played]]) -> list[Figure]:
    found: dict[Name, list[float | None]] = {name: [] for name in NAMES}
    for _ in range(bench.rounds):
        for name in NAMES:

            async def is_good(rate: int, length: int, name: Name = name) -> bool:
                try:
                    async with system(name, bench.net) as measured:
                        played = await job(measured, bench.net, per_second=rate, count=rate * bench.seconds * length)
                except (AssertionError, TimeoutError, ChildError) as error:
                    print(f"  {name}: {rate}/s: {type(error).__name__}: {error}", flush=True)
                    return False
                print(
                    f"  {name}: {rate}/s for {bench.seconds * length} s: {played.done} of {played.asked}, "
                    f"{played.refused} refused, {played.failed} failed, load {process.load():.1f}",
                    flush=True,
                )
                return played.whole

            found[name].append(await highest(is_good, first=50, limit=LIMIT[what]))
    return [Figure(f"{what} a second without a failure", "at most", found["gateway"], found["asterisk"])]


async def media(bench: Bench) -> list[Figure]:
    """Calls with G.711 both ways: what they take, and how late the sound is."""
    return await _lasting(bench, bench.calls, sound=True)


async def silent(bench: Bench) -> list[Figure]:
    """The most calls of those, with no packet from either end."""
    return await _lasting(bench, [max(bench.calls)], sound=False)


async def _lasting(bench: Bench, counts: list[int], *, sound: bool) -> list[Figure]:
    figures = []
    for count in counts:

        async def measure(measured: System, count: int = count) -> Values:
            at = f"{count} calls with sound: " if sound else f"{count} silent calls: "
            seen = await lasting(
                measured, bench.net, calls=count, seconds=bench.seconds, sound=sound, too_late_ms=bench.too_late_ms
            )
            if seen.refused:
                print(f"  {measured.name}: {seen.refused} times a caller had to call again", flush=True)
            values: Values = {(at + "CPU of all", "% of a core"): seen.core * 100}
            if sound:
                values = {
                    (at + "CPU each", "% of a core"): seen.core * 100 / count,
                    (at + "delay one way, p50", "ms"): percentile(seen.delays_ms, 0.5),
                    (at + "delay one way, p99", "ms"): percentile(seen.delays_ms, 0.99),
                    (at + "packets that did not arrive", "%"): seen.lost * 100,
                    (at + "an end sent, at most", "ms late"): seen.late_ms,
                    (at + "a core of which the ends took", "%"): seen.ends_core * 100,
                }
            values[at + "memory each", "MB"] = seen.memory_mb
            return values

        figures += await bench.in_turn(measure)
    return figures


async def memory(bench: Bench) -> list[Figure]:
    """Resident memory when nothing is under way, before and after many transfers."""
    rate = min(bench.rates)

    async def measure(measured: System) -> Values:
        values: Values = {("memory when ready", "MB"): process.memory_mb(measured.pid)}
        done = 0
        for count in sorted(bench.many):
            played = await jobs.transfers(measured, bench.net, per_second=rate, count=count - done)
            done = count
            values[f"memory after {count:,} transfers at {rate}/s", "MB"] = played.memory_mb
            if played.done < played.asked:
                print(f"  {measured.name}: {played.asked - played.done} transfers failed", flush=True)
        return values

    return await bench.in_turn(measure)


@dataclass(frozen=True)
class Part:
    """One that can be chosen."""

    play: Callable[[Bench], Awaitable[list[Figure]]]
    takes_s: Callable[[Bench], float]
    """Roughly how long a round of both takes."""


PARTS = {
    "start": Part(start, lambda _: 6),
    "transfers": Part(transfers, lambda b: 2 * len(b.rates) * (b.seconds + AROUND_S)),
    "calls": Part(calls, lambda b: 2 * len(b.rates) * (b.seconds + AROUND_S)),
    "media": Part(media, lambda b: 2 * sum(b.seconds + AROUND_S + count / RAMP * 1.25 for count in b.calls)),
    "silent": Part(silent, lambda b: 2 * (b.seconds + AROUND_S + max(b.calls) / RAMP * 1.25)),
    "most-transfers": Part(most_transfers, lambda b: 2 * 10 * (b.seconds + AROUND_S)),
    "most-calls": Part(most_calls, lambda b: 2 * 10 * (b.seconds + AROUND_S)),
    "memory": Part(memory, lambda b: 2 * (max(b.many) / min(b.rates) + AROUND_S * len(b.many))),
}
