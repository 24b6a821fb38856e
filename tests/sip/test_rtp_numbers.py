# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers of our RTP packets go on when a stream is made anew, however early in a call that happens."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip.bed import CALLER_HZ, Bed, Pair, Stage
from tests.support.processes import eventually
from tests.support.srtp import Key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

SOURCE = Path(__file__).parents[1] / "support" / "slow_sending.c"
HALF = 0x8000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What makes the first packet to a host a slow one."""
    made = tmp_path_factory.mktemp("library") / "slow_sending.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, SOURCE], check=True)
    return made


@pytest_asyncio.fixture(loop_scope="session")
async def bed(own_net: Net, library: Path) -> AsyncIterator[Bed]:
    """A gateway that is slow to send its first packet to the assistant."""
    made = Bed(own_net, {"sealed": Pair({"srtp": "required"})})
    made.gateway.env = {"LD_PRELOAD": str(library), "SLOW_TO": made.trunk_host("sealed")}
    async with made.gateway:
        yield made


@pytest.mark.keeps("16.183")
async def test_a_re_invite_at_the_first_packet_leaves_the_numbers_as_they_were(bed: Bed) -> None:
    async with Stage(bed, "sealed") as at:
        at.trunk.encryption = "required"
        caller, assistant = await at.conversation()
        await eventually(lambda: arrived(assistant), "the first packet", every_s=0.002)
        assistant.key = Key.new()
        assert (await assistant.reinvite()).code == 200
        await assistant.media.hears(CALLER_HZ)
        numbers = [one.sequence for one in assistant.media.received]
        assert all((later - earlier) % 0x10000 < HALF for earlier, later in pairwise(numbers))
        # The next stream does not know of the packet that is on its way, and gives its own first the same number.
        assert len(assistant.media.unopened) <= 1
        await caller.hang_up()


async def arrived(call: Call) -> bool:
    """Whether a packet has come."""
    return bool(call.media.received)
