# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs the gateway that somebody looks at the page: 500 calls, 50 transfers a second, five viewers.

While all of that goes on they look for some seconds, look away for as many, and so on: what the gateway's processor
time is in one and in the other, and how they differ.

    python -m tests.measure.viewers --turns 8 --seconds 5
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp

from tests.measure.__main__ import LINGER_S, cpu_s
from tests.support.fetch import programs
from tests.support.gateway import Gateway
from tests.support.many_transfers import ANNA, PBX_PORT, ManyTransfers, configured
from tests.support.processes import Net
from tests.support.sipp import Sipp

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN_S = 5
"""How long it has to go on before it counts."""
RATE = 50  # calls that begin in a second until all that are held are there


class Viewer:
    """Reads what `/api/live` tells, as a browser does."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.received = 0
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Viewer:
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        headers = {"Accept": "text/event-stream"}
        async with self._session.get(f"{self._url}/api/live", headers=headers) as response:
            async for piece in response.content.iter_any():
                self.received += len(piece)


async def used(gateway: Gateway, seconds: float) -> float:
    """Processor time in a second, in seconds."""
    before, began = cpu_s(gateway), time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu_s(gateway) - before) / (time.monotonic() - began)


async def turns(gateway: Gateway, viewers: int, count: int, seconds: float) -> tuple[list[float], list[float], float]:
    """Processor time in a second of each turn without and with viewers, and the bytes a second of one of them."""
    without, beside, received = [], [], 0
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            without.append(await used(gateway, seconds))
            async with AsyncExitStack() as stack:
                looking = [await stack.enter_async_context(Viewer(session, gateway.url)) for _ in range(viewers)]
                beside.append(await used(gateway, seconds))
                received += looking[0].received
    return without, beside, received / count / seconds


async def measure(held: int, per_second: int, viewers: int, count: int, seconds: float) -> None:
    """Print a row of a table."""
    lasts = round(BEGIN_S + held / RATE + 2 * count * seconds + 5)
    with Net() as net:
        async with (
            Gateway(configured(net)) as gateway,
            ManyTransfers(gateway, net, per_second=per_second, seconds=lasts, also=held) as transfers,
        ):
            holding = Sipp(
                "call", net.trunk, port=PBX_PORT + 2, remote=gateway.sip, service=ANNA, calls=held, limit=held,
                rate=RATE,
                hold_ms=lasts * 1000, values={"CALLER_SPEAKS": ""}, timeout_s=lasts + 60, logged=False,
            )  # fmt: skip
            async with holding:
                playing = asyncio.create_task(transfers.played())
                await asyncio.sleep(held / RATE + BEGIN_S)
                calls = (await gateway.get("/api/status"))["calls"]
                without, beside, rate = await turns(gateway, viewers, count, seconds)
                done = await playing
                await holding.finished()
            await gateway.idle(LINGER_S)
    more = statistics.median(paired(without, beside))
    print(
        f"| {calls} calls, {per_second} transfers/s | {done.completed} of {done.asked} | {viewers} viewers | "
        f"without {words(without)}, with {words(beside)} | {more:+.1%} of a core | "
        f"{rate / 1000:.0f} kB/s each |"
    )


def paired(without: Sequence[float], beside: Sequence[float]) -> list[float]:
    """How each turn with viewers differs from what was before and after it."""
    after = [*without[1:], without[-1]]
    return [with_ - (one + two) / 2 for one, with_, two in zip(without, beside, after, strict=True)]


def words(values: Sequence[float]) -> str:
    """The median, and between what all of them are."""
    return f"{statistics.median(values):.1%} ({min(values):.1%} to {max(values):.1%})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=int, default=450, help="calls that are held beside the transfers (450)")
    parser.add_argument("--per-second", type=int, default=50, help="transfers a second (50)")
    parser.add_argument("--viewers", type=int, default=5)
    parser.add_argument("--turns", type=int, default=8, help="how often they look (8)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each time (5)")
    options = parser.parse_args()
    programs()
    asyncio.run(measure(options.held, options.per_second, options.viewers, options.turns, options.seconds))
