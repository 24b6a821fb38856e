# SPDX-License-Identifier: GPL-2.0-or-later
"""Three gateways behind the proxy, restarted one after the other while transfers go on: none may fail."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.kamailio.cluster import NODES, Cluster
from tests.support.kamailio import PORT
from tests.support.many_transfers import Done, ManyTransfers

if TYPE_CHECKING:
    from tests.support.certificates import Authority
    from tests.support.processes import Net

OTHERS = 1000
"""What the proxy lets one source have: all calls come from one. SIPp wants to hear all in order: of one process."""


async def restarted(cluster: Cluster) -> list[float]:
    """Restart each gateway once all of them take calls; how long each took to be back, in seconds."""
    took = []
    for node in NODES:
        await cluster.serve(*NODES)
        begun = time.monotonic()
        cluster.gateways[node].terminate()
        assert await cluster.gateways[node].child.wait(60) == 0
        await cluster.gateways[node].start()
        await cluster.serve(*NODES)
        took.append(time.monotonic() - begun)
    return took


async def roll(net: Net, authority: Authority, *, per_second: int, seconds: int) -> tuple[Done, list[float]]:
    """What became of the transfers, and how long each restart took."""
    async with Cluster(net, authority, loaded=True, CALLS_PER_SECOND=OTHERS, CHILDREN=1) as cluster:
        first = cluster.gateways[NODES[0]]
        remote = (cluster.places.pbx_side, PORT)
        async with ManyTransfers(first, net, per_second=per_second, seconds=seconds, remote=remote) as transfers:
            playing = asyncio.ensure_future(transfers.played())
            took = await restarted(cluster)
            assert not playing.done(), f"the transfers were over before the restarts, which took {took} s"
            return await playing, took
