# SPDX-License-Identifier: GPL-2.0-or-later
"""Many times more calls than the gateway can take: those that it takes work, the others are told, it recovers."""

from __future__ import annotations

import time

import pytest

from tests.sip.bed import ASSISTANT_HZ, CALLER_HZ, PORT, Bed, Pair, Stage
from tests.support.sipp import Sipp

pytestmark = [pytest.mark.sip, pytest.mark.alone, pytest.mark.timeout(150)]

CALLS, PER_SECOND, MAX_CALLS = 2400, 400, 40
LINGER_S = 60
"""A transaction's 32 s, and what is still waiting when the last caller has gone."""
PAIRS = {"quiet": Pair(), "flooded": Pair()}
SIP = {"max_calls": MAX_CALLS}


@pytest.mark.keeps("8.21")
async def test_a_flood_of_calls_and_transfers_harms_no_other_call(bed: Bed) -> None:
    trunk, pbx = bed.trunk_host("flooded"), bed.pbx_host("flooded")
    rows = [[f"<sip:+31612345681@{bed.net.gateway}>"]]
    platform = Sipp("assistant", trunk, calls=CALLS, rows=rows, hold_ms=50, timeout_s=100)
    extension = Sipp("extension", pbx, calls=CALLS, timeout_s=100, values={"RINGS_MS": "5"})
    callers = Sipp(
        "call", pbx, port=PORT + 1, remote=(bed.net.gateway, PORT), service=bed.number("flooded"), calls=CALLS,
        rate=PER_SECOND, hold_ms=300, timeout_s=60,
    )  # fmt: skip
    async with Stage(bed, "quiet") as at, platform, extension:
        for listening in (platform, extension):
            await listening.child.ready(listening.listening)
        caller, assistant = await at.conversation()
        async with callers:
            flooded = await callers.finished()
        told = flooded.counters
        assert told["called"] == CALLS
        assert told["refused"] > CALLS / 4, told
        assert told["answered"] > MAX_CALLS, told
        # As soon as the flood has gone, all is as before: the call that was there, a transfer of it, and a new one.
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        anna = await at.transfer(caller, assistant)
        await anna.hang_up()
        await caller.wait_request("BYE")
        began = time.monotonic()
        again, _ = await at.conversation()
        assert time.monotonic() - began < 2
        await again.hang_up()
        await bed.gateway.idle(LINGER_S)  # while everybody is still there to answer
