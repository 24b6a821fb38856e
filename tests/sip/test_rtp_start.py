# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer whose audio is there before its description is nobody else."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip.bed import ASSISTANT_HZ, Bed, Pair, Stage
from tests.sip.mid_call import both_hear
from tests.sip.talking import gateway_media
from tests.sip.test_rtp_source import DROPPED, MALLORY, counted, warnings
from tests.support.rtp import Rtp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PACKET = bytes([0x80, 8]) + bytes(10 + 160)
"""20 ms of G.711 A-law (RFC 3551 §4.5.14)."""
SOURCE = Path(__file__).parents[1] / "support" / "slow_reading.c"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """What makes it so."""
    made = tmp_path / "slow_reading.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, SOURCE], check=True)
    return made


@pytest_asyncio.fixture(loop_scope="session")
async def bed(own_net: Net, library: Path) -> AsyncIterator[Bed]:
    """A gateway whose thread for media is slow to go on with the first packet that it has read."""
    made = Bed(own_net, {"sdp": Pair()})
    made.gateway.env = {"LD_PRELOAD": str(library), "SLOW_PORTS": "20000"}
    async with made.gateway:
        yield made


@pytest.mark.keeps("16.211")
async def test_audio_that_is_read_as_its_description_comes_is_not_told_of_as_anybody_elses(bed: Bed) -> None:
    async with Stage(bed, "sdp") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        remote = gateway_media(assistant)
        assistant.media.transmit(PACKET, remote)
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        await both_hear(caller, assistant)
        with closing(Rtp(bed.net.host(MALLORY))) as mallory:  # what is told of her is told of all before her
            mallory.transmit(PACKET, remote)
            await counted(bed, "rtp", 1)
        assert await bed.gateway.metric(DROPPED) == 1
        assert [mallory.host in line for line in warnings(bed, assistant)] == [True]
        await caller.hang_up()
        await assistant.wait_request("BYE")
