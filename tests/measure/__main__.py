# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts transfers and calls through a real gateway, with SIPp at both ends, and prints what they cost.

The gateway is the only process that is measured; SIPp shares the machine with it. Loopback, UDP, G.711.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import tones
from tests.support.fetch import programs
from tests.support.gateway import Gateway
from tests.support.many_transfers import ANNA, PBX_PORT, ManyTransfers, configured
from tests.support.processes import Net
from tests.support.sipp import SPEAKS, Sipp

if TYPE_CHECKING:
    from collections.abc import Sequence

LINGER_S = 60.0
MILLION = 1 << 20


def cpu_s(gateway: Gateway) -> float:
    """Processor time used so far, of all its threads."""
    fields = Path(f"/proc/{gateway.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(gateway: Gateway) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{gateway.child.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MILLION


def percentiles(values: Sequence[float]) -> str:
    """Median and 99th percentile of sorted values."""
    return f"{values[len(values) // 2]:.2f} / {values[len(values) * 99 // 100]:.2f}" if values else "-"


async def transfers(net: Net, per_second: int, seconds: int) -> str:
    """Callers from the PBX reach the assistant, who has them put through to an extension: a row of the table."""
    async with (
        Gateway(configured(net)) as gateway,
        ManyTransfers(gateway, net, per_second=per_second, seconds=seconds) as asked,
    ):
        used = cpu_s(gateway)
        done = await asked.played()
        await gateway.idle(LINGER_S)
        used = cpu_s(gateway) - used
    refused = f", {done.refused} calls refused" if done.refused else ""
    return (
        f"| {per_second} transfers/s for {seconds} s | {done.completed} of {done.asked}{refused} | "
        f"{used * 1000 / max(1, done.completed):.1f} ms CPU each | "
        f"REFER → 202 p50 / p99 {percentiles(done.waits_ms)} ms |"
    )


async def calls(net: Net, count: int, seconds: int) -> str:
    """Calls from the trunk to an extension, with sound both ways: a row of the table."""
    patience = seconds + 60
    extension = Sipp(
        "extension", net.pbx, port=PBX_PORT, calls=count, timeout_s=patience, logged=False,
        values={"RINGS_MS": "5", "EXTENSION_SPEAKS": SPEAKS, "PATIENCE_MS": str(patience * 1000)},
    )  # fmt: skip
    async with Gateway(configured(net)) as gateway, extension:
        await extension.child.ready(extension.listening)
        before = memory_mb(gateway)
        callers = Sipp(
            "call", net.trunk, remote=gateway.sip, service=ANNA, calls=count, rate=25, limit=count,
            hold_ms=seconds * 1000, timeout_s=patience, logged=False,
        )  # fmt: skip
        async with callers:
            await asyncio.sleep(count / 25 + 3)  # until all of them talk
            used, began = cpu_s(gateway), time.monotonic()
            await asyncio.sleep(max(5, seconds - count / 25 - 6))
            used, took = cpu_s(gateway) - used, time.monotonic() - began
            more = memory_mb(gateway) - before
            done = (await callers.finished()).check().counters
        await gateway.idle(LINGER_S)
    return (
        f"| {count} calls at a time, G.711 both ways | {done['answered']} of {count} | {used / took:.0%} of a core, "
        f"{used / took / count:.2%} each | {more / count:.2f} MB each over {before:.0f} MB |"
    )


async def measure(seconds: int) -> None:
    """Print the table, a row as soon as it is known."""
    programs()
    print("| what | done | processor | besides |\n|---|---|---|---|")
    with Net() as net:
        for per_second in (20, 50, 100):
            print(await transfers(net, per_second, seconds), flush=True)
        for count in (50, 150):
            print(await calls(net, count, seconds + 10), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="how long each row lasts (20)")
    tones.prepare()
    asyncio.run(measure(parser.parse_args().seconds))
