# SPDX-License-Identifier: GPL-2.0-or-later
"""What calls cost that have A-law on one side and µ-law on the other: relayed, or mixed by a bridge of 8 or 16 kHz.

The three in turn, each with a gateway of its own, and the median of the rounds. Delays tell of the gateway on a machine
that does nothing else; the processor's time is fair beside other work as well.

    python -m tests.measure.transcoding --calls 100 --rounds 3 --seconds 6
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.compare import process
from tests.compare.figures import percentile
from tests.compare.media import Lasting, lasting
from tests.support.fetch import programs
from tests.support.gateway import Gateway
from tests.support.many_transfers import configured
from tests.support.processes import Net

if TYPE_CHECKING:
    from tests.support.sip_message import Address

LINGER_S = 60.0
TOO_LATE_MS = 1000.0


@dataclass(frozen=True)
class Way:
    """How the gateway is configured for it."""

    media: str
    also: tuple[str, ...] = ()
    """Codecs that nobody speaks."""


WAYS = {
    "mixed, 16 kHz": Way("bridge", ("G722",)),
    "mixed, 8 kHz": Way("bridge"),
    "relayed": Way("relay"),
}


@dataclass(frozen=True)
class Measured:
    """A gateway as tests/compare looks at it."""

    sip: Address
    pid: int


async def measure(net: Net, way: Way, calls: int, seconds: float) -> Lasting:
    """What the calls take."""
    files = configured(net)
    for name, codec in (("hms", "PCMU"), ("asterisk", "PCMA")):
        files.profiles[name].update(codecs=[codec, *way.also], media=way.media)
    async with Gateway(files) as gateway:
        told = await lasting(
            Measured(gateway.sip, gateway.child.pid), net, calls=calls, seconds=seconds, sound=True,
            too_late_ms=TOO_LATE_MS, transcoded=True,
        )  # fmt: skip
        await gateway.idle(LINGER_S)
    return told


async def play(calls: int, rounds: int, seconds: float) -> None:
    """Print a row for each way."""
    found: dict[str, list[Lasting]] = {name: [] for name in WAYS}
    load = process.load()
    with Net() as net:
        for _ in range(rounds):
            for name, way in WAYS.items():
                found[name].append(await measure(net, way, calls, seconds))
                print(f"  {name}: {found[name][-1].core / calls:.3%}", flush=True)
    print(
        f"{calls} calls, A-law to µ-law and back, {rounds} rounds of {seconds:.0f} s, load {load:.1f} at the beginning"
    )
    print("| | of a core each | one way, p50 / p99 | packets lost |\n|---|---|---|---|")
    for name, all_ in found.items():
        each = sorted(one.core / calls for one in all_)
        delays = [statistics.median(percentile(one.delays_ms, share) or 0.0 for one in all_) for share in (0.5, 0.99)]
        print(
            f"| {name} | {statistics.median(each):.3%} ({each[0]:.3%} to {each[-1]:.3%}) | "
            f"{delays[0]:.2f} / {delays[1]:.1f} ms | {max(one.lost for one in all_):.2%} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100, help="at a time (100)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (3)")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each time (6)")
    options = parser.parse_args()
    programs()
    asyncio.run(play(options.calls, options.rounds, options.seconds))
