# SPDX-License-Identifier: GPL-2.0-or-later
"""Two platforms behind one proxy, and a second proxy with its files in place of one that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.kamailio.cluster import ANNA, ASSISTANT_HZ, CALLER_HZ, OTHER, TARGET_HZ, Cluster
from tests.support.certificates import Authority
from tests.support.kamailio import TLS_PORT
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer import Peer
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.proxy, pytest.mark.asyncio(loop_scope="session")]

NODES = ("gw-1", "gw-2")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(own_net: Net, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with Cluster(own_net, Authority(tmp_path_factory.mktemp("authority")), nodes=NODES, second=True) as made:
        yield made


async def conversation(cluster: Cluster, platform: Peer, number: str) -> tuple[Call, Call]:
    """A caller of this number talks to the assistant, who is this platform's."""
    caller = cluster.call(number)
    assistant = await platform.wait_call(30)
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered(30)
    await caller.media.hears(ASSISTANT_HZ)
    return caller, assistant


async def put_through(cluster: Cluster, caller: Call, assistant: Call) -> None:
    """The assistant has its caller put through, and everybody hangs up."""
    assert (await assistant.refer(f"<sip:{ANNA}@gateway>")).code == 202
    anna = await cluster.pbx.wait_call(30)
    await anna.answer(hz=TARGET_HZ)
    assert (await assistant.notifies(30))[-1].sipfrag == 200
    caller.forgets()
    await caller.media.hears(TARGET_HZ)
    await anna.media.hears(CALLER_HZ)
    await cluster.hang_up(caller, anna)


@pytest.mark.keeps("22.45")
async def test_each_platform_has_its_own_numbers_and_its_own_calls(cluster: Cluster) -> None:
    first = await conversation(cluster, cluster.platform, "+31201234567")
    second = await conversation(cluster, cluster.second, OTHER)
    assert not cluster.platform.received("INVITE")[1:]
    remote = (cluster.places.outside, TLS_PORT)
    # What one platform names of the other's is not theirs, though it is behind the same address of the proxy.
    named = second[1].named
    stranger = cluster.platform.invite(f"sip:{ANNA}@{remote[0]}", remote, headers=[("Replaces", named)])
    assert (await stranger.final(30)).code in (403, 481)
    await put_through(cluster, *first)
    await second[0].media.hears(ASSISTANT_HZ)
    await put_through(cluster, *second)
    for gateway in cluster.gateways.values():
        await gateway.idle(30)


@pytest.mark.keeps("22.45")
async def test_a_second_proxy_goes_on_with_the_calls_of_one_that_is_gone(cluster: Cluster) -> None:
    caller, assistant = await conversation(cluster, cluster.platform, "+31201234567")

    async def is_up() -> bool:
        listed = [await gateway.get("/api/calls") for gateway in cluster.gateways.values()]
        states = [leg["state"] for each in listed for call in each["calls"] for leg in call["legs"]]
        return states == ["up", "up"]

    await eventually(is_up, "the ACK is through the proxy", timeout_s=30)
    await cluster.proxy.kill()
    await caller.media.hears(ASSISTANT_HZ)
    # Nothing is left of the first one but its files, and the addresses.
    await cluster.proxy.start()
    await cluster.serve(*NODES)
    assert (await caller.reinvite()).code == 200
    # The connection by which the call came is gone: to where its Route leads, over a new one.
    assistant.remote = (cluster.places.outside, TLS_PORT)
    assert (await assistant.reinvite()).code == 200
    await put_through(cluster, caller, assistant)
    for gateway in cluster.gateways.values():
        await gateway.idle(30)
