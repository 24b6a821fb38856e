# SPDX-License-Identifier: GPL-2.0-or-later
"""The bridge is clocked while somebody's audio is mixed, and costs nothing otherwise."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import ASSISTANT_HZ, Pair, Stage
from tests.sip.hearing import RINGBACK_HZ
from tests.sip.mid_call import both_hear
from tests.sip.talking import talking
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.sip.bed import Bed

pytestmark = pytest.mark.sip

PAIRS = {"relayed": Pair(), "mixed": Pair({"media": "bridge"})}
LOOK_S = 0.3
"""Fifteen ticks."""


def wakes(bed: Bed) -> int:
    """How often the bridge's clock has gone to sleep so far (proc(5))."""
    for task in Path(f"/proc/{bed.gateway.child.pid}/task").iterdir():
        if (task / "comm").read_text() == "clock\n":
            found = re.search(r"^voluntary_ctxt_switches:\s*(\d+)$", (task / "status").read_text(), re.MULTILINE)
            assert found
            return int(found[1])
    raise AssertionError("there is no clock")


async def stands_still(bed: Bed) -> None:
    """Wait until it does."""

    async def does() -> bool:
        before = wakes(bed)
        await asyncio.sleep(LOOK_S)
        return wakes(bed) == before

    await eventually(does, "a clock that stands still", timeout_s=20)


async def goes(bed: Bed) -> None:
    """Wait until it does."""
    before = wakes(bed)

    async def does() -> bool:
        return wakes(bed) > before + 10

    await eventually(does, "a clock that goes")


@pytest.mark.keeps("17.19")
async def test_it_stands_still_while_all_calls_are_relayed(bed: Bed) -> None:
    await stands_still(bed)
    async with talking(bed, "relayed") as (_, caller, assistant):
        await stands_still(bed)
        await both_hear(caller, assistant)
    await stands_still(bed)


@pytest.mark.keeps("17.19")
async def test_it_goes_while_a_call_is_mixed(bed: Bed) -> None:
    async with talking(bed, "mixed") as (_, caller, assistant):
        await goes(bed)
        await both_hear(caller, assistant)
        await goes(bed)
    await stands_still(bed)


@pytest.mark.keeps("17.19")
async def test_it_goes_again_for_ringback_and_stands_still_afterwards(bed: Bed) -> None:
    async with Stage(bed, "relayed") as at:
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        await stands_still(bed)
        assert (await assistant.refer("<sip:+31612345681@gateway>")).code == 202
        target = await at.pbx.wait_call()
        await caller.media.hears(RINGBACK_HZ)
        target.reject(486)
        await caller.media.hears(ASSISTANT_HZ)
        await stands_still(bed)
        await both_hear(caller, assistant)
        await caller.hang_up()
        await assistant.wait_request("BYE")
