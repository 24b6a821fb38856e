# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that stands still for as long as it likes: calls begin, are transferred, hear what they should, and end."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import ANNA, ASSISTANT_HZ, CALLER_HZ, PORT, TARGET_HZ, TLS_PORT, Bed, Pair, Stage, tls
from tests.support import tones
from tests.support.processes import eventually
from tests.support.wire import Streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.certificates import Authority
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

SOURCE = Path(__file__).parents[1] / "support" / "still_disk.c"
GREETING_HZ, GREETING_S = 1600, 20.0


@pytest.fixture(scope="module")
def still_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What has a gateway wait for its disk while there is a file of this name with `.now` behind it."""
    made = tmp_path_factory.mktemp("disk") / "still_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, SOURCE], check=True)
    return made


@contextmanager
def standing_still(still_disk: Path) -> Iterator[None]:
    """The gateway's disk, meanwhile."""
    flag = still_disk.with_suffix(".now")
    flag.touch()
    try:
        yield
    finally:
        flag.unlink()


def a_bed(net: Net, authority: Authority, still_disk: Path, name: str) -> Bed:
    """A gateway that may lose its disk, and a pair whose PBX is reached over TCP or TLS."""
    anna = {"announcement": "greeting.wav"}
    pair = {name: Pair(pbx={"transport": name}, anna=anna)}
    bed = Bed(net, pair, sip={"tcp_port": PORT, **tls(authority, net.gateway)})
    tones.write_wav(bed.gateway.directory / "greeting.wav", tones.tone(GREETING_HZ, GREETING_S))
    bed.gateway.env = {"LD_PRELOAD": str(still_disk), "STILL_WHILE": str(still_disk.with_suffix(".now"))}
    return bed


@pytest.mark.keeps("18.12")
@pytest.mark.parametrize("name", ["udp", "tls"])
async def test_a_call_is_transferred_while_the_disk_stands_still(
    own_net: Net, authority: Authority, still_disk: Path, name: str
) -> None:
    bed = a_bed(own_net, authority, still_disk, name)
    wire = Streams(authority.identity(bed.pbx_host(name)), clients=True) if name == "tls" else None
    port = TLS_PORT if name == "tls" else PORT
    async with asyncio.timeout(60), bed.gateway, Stage(bed, name, pbx=wire, port=port) as at:
        with standing_still(still_disk):
            caller, assistant = await at.conversation()
            await caller.media.hears(ASSISTANT_HZ)
            assert (await assistant.refer(ANNA)).code == 202
            anna = await at.pbx.wait_call()
            await caller.media.hears(GREETING_HZ)
            await anna.answer(hz=TARGET_HZ)
            assert (await assistant.notifies())[-1].sipfrag == 200
            await caller.media.hears(TARGET_HZ)
            await anna.media.hears(CALLER_HZ)
            async with asyncio.timeout(10):
                assert (await bed.gateway.http("GET", "/healthz"))[0] == 200
                assert (await bed.gateway.http("GET", "/metrics"))[0] == 200
            await caller.hang_up()
            await anna.wait_request("BYE")
        [ended] = await bed.gateway.ended(timeout_s=30)
        assert ended["outcome"] == "completed"

        async def has_caught_up() -> bool:
            return "transfer-ended" in bed.gateway.log

        await eventually(has_caught_up, "the log has caught up", timeout_s=30)
