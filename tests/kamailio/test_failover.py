# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that drains, is full, or is killed: new calls go elsewhere, and the others' calls do not notice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.kamailio.cluster import ANNA, ASSISTANT_HZ, CALLER_HZ, NODES, Cluster
from tests.support.begun import Begun
from tests.support.certificates import Authority
from tests.support.kamailio import TLS_PORT
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.gateway import Gateway
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.proxy, pytest.mark.asyncio(loop_scope="session")]

ELSEWHERE_S = 2.0
"""How soon a new call is with another gateway."""
LIMIT = 100
"""New calls a second of one source."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(own_net: Net, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with Cluster(
        own_net, Authority(tmp_path_factory.mktemp("authority")), CALLS_PER_SECOND=LIMIT, SILENT_MS=1000
    ) as made:
        yield made


async def still_talk(talking: dict[str, tuple[Call, Call]]) -> None:
    for caller, assistant in talking.values():
        for end in (caller, assistant):
            end.forgets()
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        assert (await assistant.reinvite()).code == 200


async def written(gateway: Gateway) -> None:
    """Wait until its transfer is on disk: what a killed process may lose is 20 ms (decision 0049)."""
    [transfer] = await gateway.transfers()

    async def there() -> bool:
        files = (gateway.directory / "state").iterdir()
        return any(transfer["transfer"].encode() in file.read_bytes() for file in files if file.is_file())

    await eventually(there, "the transfer is on disk", timeout_s=30)


async def interrupted(cluster: Cluster) -> dict[str, int]:
    """How many transfers each gateway has told as interrupted since it was started."""
    name = "transfer_gateway_transfers_total"
    return {node: int(await one.metric(name, outcome="interrupted")) for node, one in cluster.gateways.items()}


@pytest.mark.keeps("22.28")
async def test_a_gateway_that_drains_keeps_its_calls_and_gets_no_new_one(cluster: Cluster) -> None:
    talking = await cluster.conversations()
    drained = NODES[0]
    await cluster.drain(drained)
    # From the first on: what the proxy does not know yet, the gateway's 503 tells it.
    for _ in range(12):
        caller, assistant, node = await cluster.conversation()
        assert node != drained
        await cluster.hang_up(caller, assistant)
    await cluster.serve(*NODES[1:])
    await still_talk(talking)
    await cluster.hang_up(*talking.pop(drained))
    assert await cluster.gateways[drained].child.wait(40) == 0
    await cluster.gateways[drained].start()
    await cluster.serve(*NODES)
    await still_talk(talking)
    for caller, assistant in talking.values():
        await cluster.hang_up(caller, assistant)


@pytest.mark.keeps("22.30")
async def test_a_gateway_that_is_killed_takes_only_its_own_calls_with_it(cluster: Cluster) -> None:
    talking = await cluster.conversations()
    killed = NODES[1]
    _, assistant = talking.pop(killed)
    assert (await assistant.refer(f"<sip:{ANNA}@gateway>")).code == 202
    anna = await cluster.pbx.wait_call()
    await anna.ring()
    await assistant.wait_notify()
    await written(cluster.gateways[killed])
    await cluster.gateways[killed].kill()
    waits = []
    for _ in range(12):
        begun = Begun(*(one.child.pid for name, one in cluster.gateways.items() if name != killed))
        caller, other, node = await cluster.conversation()
        waits.append(begun.took_s)
        assert node != killed
        await cluster.hang_up(caller, other)
    print("new calls after the kill, in seconds:", " ".join(f"{wait:.2f}" for wait in waits))
    assert max(waits) < ELSEWHERE_S
    await still_talk(talking)
    await cluster.gateways[killed].start()
    await cluster.serve(*NODES)
    assert await interrupted(cluster) == {node: int(node == killed) for node in NODES}
    for caller, other in talking.values():
        await cluster.hang_up(caller, other)


@pytest.mark.keeps("22.29")
async def test_a_platform_that_asks_hears_whether_a_call_would_be_taken(cluster: Cluster) -> None:
    async def asked() -> int:
        remote = (cluster.places.outside, TLS_PORT)
        return (await cluster.platform.request("OPTIONS", f"sip:{remote[0]}", remote)).code

    assert await asked() == 200
    await asyncio.gather(*(gateway.stop() for gateway in cluster.gateways.values()))
    await cluster.serve()
    assert await asked() == 503
    refused = await cluster.call().final()
    assert (refused.code, refused["Retry-After"]) == (503, "5")
    await asyncio.gather(*(gateway.start() for gateway in cluster.gateways.values()))
    await cluster.serve(*NODES)
    assert await asked() == 200


@pytest.mark.keeps("22.27")
async def test_more_new_calls_than_the_limit_are_told_when_to_come_again(cluster: Cluster) -> None:
    """To a number that nobody has, which costs next to nothing."""
    calls = [cluster.ask("+31209999999") for _ in range(3 * LIMIT)]
    answers = await asyncio.gather(*(call.final(30) for call in calls))
    refused = [answer for answer in answers if answer.code == 503]
    assert {answer["Retry-After"] for answer in refused} == {"1"}
    assert {answer.code for answer in answers} == {404, 503}
    # Those that are let through may lie in several seconds of the proxy's clock.
    assert len(refused) >= LIMIT / 2
