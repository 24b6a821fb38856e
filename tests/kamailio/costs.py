# SPDX-License-Identifier: GPL-2.0-or-later
"""What a transfer takes of the processor with one, two and three gateways behind the proxy, and what of the proxy."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kamailio.cluster import NODES, Cluster
from tests.kamailio.rolling import OTHERS
from tests.support.kamailio import PORT
from tests.support.many_transfers import Done, ManyTransfers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.certificates import Authority
    from tests.support.processes import Net


@dataclass(frozen=True)
class Cost:
    """Of so many gateways at work."""

    gateways: int
    done: Done
    each_ms: list[float]
    """Of each gateway's processor time, for each of all the transfers."""
    proxy_ms: float


def cpu_s(pids: Iterable[int]) -> float:
    """User's and system's time of these processes so far, with their threads."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and its children: Kamailio is many."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


async def cost(net: Net, authority: Authority, *, gateways: int, per_second: int, seconds: int) -> Cost:
    """Have the first so many gateways alone take calls."""
    async with Cluster(net, authority, loaded=True, CALLS_PER_SECOND=OTHERS, CHILDREN=1) as cluster:
        for node in NODES[gateways:]:
            await cluster.gateways[node].stop()
        await cluster.serve(*NODES[:gateways])
        working = [cluster.gateways[node] for node in NODES[:gateways]]
        assert cluster.proxy.child is not None
        proxy = family(cluster.proxy.child.pid)
        remote = (cluster.places.pbx_side, PORT)
        async with ManyTransfers(working[0], net, per_second=per_second, seconds=seconds, remote=remote) as transfers:
            before, proxy_before = [cpu_s([one.child.pid]) for one in working], cpu_s(proxy)
            done = await transfers.played()
            after, proxy_after = [cpu_s([one.child.pid]) for one in working], cpu_s(proxy)
    each = [1000 * (end - begin) / done.asked for begin, end in zip(before, after, strict=True)]
    return Cost(gateways, done, each, 1000 * (proxy_after - proxy_before) / done.asked)
