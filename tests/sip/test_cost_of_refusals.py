# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call costs that there is no room for: next to nothing, whichever limit it is beyond."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.sip.bed import Bed, Pair, Stage
from tests.support.flood import Flood, invite

pytestmark = [pytest.mark.sip, pytest.mark.alone, pytest.mark.timeout(120)]

PAIRS = {
    "quiet": Pair(),
    "paced": Pair({"calls_per_second": 1}),
    "small": Pair({"max_calls": 1}),
    "greedy": Pair(),
}
MAX_CALLS = 10
SIP = {"max_calls": MAX_CALLS}
TICKS = os.sysconf("SC_CLK_TCK")
TRANSFERS = 15
PER_SECOND, SECONDS = 1500, 2
BESIDE = 5960
"""The port of a trunk from which it floods, beside the one that has its calls."""


def cpu_s(bed: Bed) -> float:
    """The processor time that the gateway has used so far."""
    fields = Path(f"/proc/{bed.gateway.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def cost_of_a_transfer(bed: Bed, at: Stage) -> float:
    """CPU seconds of a caller, an assistant and a transfer to Anna."""
    used = cpu_s(bed)
    for _ in range(TRANSFERS):
        caller, assistant = await at.conversation()
        anna = await at.transfer(caller, assistant)
        await anna.hang_up()
        await caller.wait_request("BYE")
    return (cpu_s(bed) - used) / TRANSFERS


async def cost_of_a_refusal(bed: Bed, tmp_path: Path, pair: str) -> float:
    """CPU seconds of the gateway for each of many calls of a trunk that are refused."""
    source = bed.trunk_host(pair)
    text = invite(f"sip:+31612345681@{bed.net.gateway}", source).replace(f"{source}:5060", f"{source}:{BESIDE}")
    used = cpu_s(bed)
    async with Flood(
        tmp_path, source, bed.gateway.sip, per_second=PER_SECOND, seconds=SECONDS, request=text, port=BESIDE
    ) as flood:
        told = await flood.told()
    used = cpu_s(bed) - used
    assert told.contradicted == 0, told
    assert told.codes["503"] > PER_SECOND * SECONDS * 0.9, told
    return used / told.codes["503"]


@pytest.mark.keeps("18.9")
async def test_a_refusal_costs_next_to_nothing(bed: Bed, tmp_path: Path) -> None:
    async with Stage(bed, "quiet") as at, Stage(bed, "small") as small:
        taken = await cost_of_a_transfer(bed, at)
        held, _ = await small.conversation()
        refused = {pair: await cost_of_a_refusal(bed, tmp_path, pair) for pair in ("paced", "small", "greedy")}
        for pair, cost in refused.items():
            print(f"{pair}: {cost * 1e6:.0f} µs of CPU for a call refused, {taken * 1e3:.1f} ms for a transfer")
        await held.hang_up()
        await bed.gateway.idle(60)
    assert max(refused.values()) < taken / 20
    # Whom Python would refuse costs hardly more than whom C++ refuses by itself.
    assert max(refused.values()) < 1.8 * refused["paced"]
