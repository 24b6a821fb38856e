# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call takes of the gateway's memory while it lasts, and what is kept of a request when it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compare import process
from tests.compare.media import lasting
from tests.compare.systems import GatewaySystem
from tests.sip.bed import PORT, Bed, Pair, Stage
from tests.support.flood import Flood, again

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.alone, pytest.mark.timeout(120)]

MOST_MB = 0.25
FIRST, CALLS = 20, 150
"""The first calls load what all share."""
KEPT_KB = 14
REQUESTS = 6000


@pytest.mark.broker
@pytest.mark.keeps("18.10")
async def test_a_relayed_call_takes_a_quarter_of_a_megabyte_at_most(own_net: Net) -> None:
    async with GatewaySystem(own_net) as system:
        await lasting(system, own_net, calls=FIRST, seconds=0.1, sound=False)
        told = await lasting(system, own_net, calls=CALLS, seconds=0.1, sound=False)
    print(f"{told.memory_mb * 1024:.0f} KB for each of {CALLS} calls")
    assert told.memory_mb < MOST_MB


@pytest.mark.keeps("18.11")
async def test_what_is_kept_of_an_answered_request_is_small(own_net: Net, tmp_path: Path) -> None:
    # Over UDP a transaction stays for 32 s after its response (RFC 3261 §17.2.2, timer J).
    bed = Bed(own_net, {"only": Pair()})
    async with bed.gateway, Stage(bed, "only") as at:
        caller, assistant = await at.conversation()
        for call in (caller, assistant):
            call.media.pause()
        update = assistant.begin("UPDATE")
        assert (await update.final()).code == 200
        before = process.memory_mb(bed.gateway.child.pid)
        text, port = again(update.request, PORT + 900), PORT + 900
        flood = Flood(
            tmp_path, at.trunk.host, at.gateway, per_second=1500, seconds=REQUESTS / 1500, request=text, port=port
        )
        async with flood:
            told = await flood.told()
        kept = (await bed.gateway.get("/api/status"))["stack"]["transactions"]
        each_kb = (process.memory_mb(bed.gateway.child.pid) - before) * 1024 / kept
        print(f"{each_kb:.1f} KB for each of {kept} transactions; {told}")
        assert kept > REQUESTS * 0.8
        assert each_kb < KEPT_KB
        assistant.cseq = 1_000_000_000  # beyond the flood's
        await assistant.hang_up()
        await caller.wait_request("BYE")
