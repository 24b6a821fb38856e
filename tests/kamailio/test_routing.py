# SPDX-License-Identifier: GPL-2.0-or-later
"""What finds its gateway by the token alone, by its Record-Route, or by a choice of the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.kamailio.cluster import ANNA, ASSISTANT_HZ, CALLER_HZ, NODES, TARGET_HZ, Cluster
from tests.support.certificates import Authority
from tests.support.kamailio import PORT, TLS_PORT
from tests.support.sip_message import Message, parameter, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.proxy, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(own_net: Net, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with Cluster(own_net, Authority(tmp_path_factory.mktemp("authority"))) as made:
        yield made


def tags(call: Call) -> tuple[str, str]:
    """Of a dialog: the peer's own, and the gateway's."""
    own, far = parameter(call.local, "tag"), parameter(call.far, "tag")
    assert own
    assert far
    return own, far


async def all_idle(cluster: Cluster) -> None:
    for gateway in cluster.gateways.values():
        await gateway.idle(30)


@pytest.mark.keeps("22.20")
async def test_calls_are_spread_and_stay_with_their_gateway(cluster: Cluster) -> None:
    talking = await cluster.conversations()
    assert set(talking) == set(NODES)
    for caller, assistant in talking.values():
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        assert (await assistant.reinvite()).code == 200
        assert (await caller.reinvite()).code == 200
    for caller, assistant in talking.values():
        await cluster.hang_up(caller, assistant)
    await all_idle(cluster)


@pytest.mark.keeps("22.21")
async def test_a_refer_in_its_dialog_reaches_the_call_s_gateway(cluster: Cluster) -> None:
    for caller, assistant in (await cluster.conversations()).values():
        assert (await assistant.refer(f"<sip:{ANNA}@gateway>")).code == 202
        anna = await cluster.pbx.wait_call()
        await anna.answer(hz=TARGET_HZ)
        assert (await assistant.notifies())[-1].sipfrag == 200
        await caller.media.hears(TARGET_HZ)
        await cluster.hang_up(caller, anna)
    await all_idle(cluster)


@pytest.mark.keeps("22.22")
async def test_a_refer_outside_of_its_dialog_finds_the_call_s_gateway(cluster: Cluster) -> None:
    for caller, assistant in (await cluster.conversations()).values():
        own, far = tags(assistant)
        headers = [
            ("Refer-To", f"<sip:{ANNA}@gateway>"), ("Require", "tdialog"),
            ("Target-Dialog", f"{assistant.call_id};local-tag={own};remote-tag={far}"),
        ]  # fmt: skip
        answer = await cluster.platform.request(
            "REFER", f"sip:{cluster.places.outside}", (cluster.places.outside, TLS_PORT), headers=headers
        )
        assert answer.code == 202
        anna = await cluster.pbx.wait_call()
        await anna.answer(hz=TARGET_HZ)
        await caller.media.hears(TARGET_HZ)
        await cluster.hang_up(caller, anna)
    await all_idle(cluster)


@pytest.mark.keeps("22.23")
async def test_an_invite_with_replaces_finds_the_gateway_of_the_dialog_it_names(cluster: Cluster) -> None:
    for caller, assistant in (await cluster.conversations()).values():
        own, far = tags(assistant)
        successor = cluster.ask(headers=[("Replaces", f"{assistant.call_id};from-tag={own};to-tag={far}")])
        await successor.answered()
        assert cluster.node_of(tags(successor)[1]) == cluster.node_of(far)
        await assistant.wait_request("BYE", 30)
        await successor.media.hears(CALLER_HZ)
        await cluster.hang_up(caller, successor)
    await all_idle(cluster)


@pytest.mark.keeps("22.24")
async def test_a_token_alone_leads_to_its_gateway_which_lets_nobody_take_what_is_not_theirs(cluster: Cluster) -> None:
    caller, assistant, node = await cluster.conversation()
    _, far = tags(assistant)
    for stranger_s in (f"{assistant.call_id};from-tag=x;to-tag={far}", f"x;to-tag={'a' * 16}-b;from-tag=c", "nonsense"):
        assert (await cluster.ask(headers=[("Replaces", stranger_s)]).final()).code in (400, 481)
    await caller.media.hears(ASSISTANT_HZ)
    # Whoever has lost the Route is found by the tag.
    assistant.routes, assistant.target = [], f"sip:{cluster.places.outside}"
    assert (await assistant.begin("OPTIONS").final()).code == 200
    assistant.far = assistant.far.replace(far, f"{'a' * 16}-b")
    assert (await assistant.begin("OPTIONS").final()).code == 481
    await cluster.hang_up(caller, assistant)
    assert node in NODES
    await all_idle(cluster)


@pytest.mark.keeps("22.25")
async def test_the_platform_sees_no_address_of_the_inside(cluster: Cluster) -> None:
    caller, assistant, _ = await cluster.conversation()
    assert (await assistant.refer(f"<sip:{ANNA}@gateway>")).code == 202
    anna = await cluster.pbx.wait_call()
    await anna.answer(hz=TARGET_HZ)
    await assistant.notifies()
    await cluster.hang_up(caller, anna)
    # The proxy's own address on this side of it stands in To, as in the trunk's `outbound`.
    inside = {*cluster.uris.values(), cluster.places.pbx_side, cluster.net.pbx}
    hosts = {one.removeprefix("sip:").partition(":")[0] for one in inside}
    seen = [one.message for one in cluster.platform.trace if not one.sent]
    told = [f"{name}: {value}" for one in seen for name, value in one.headers if any(host in value for host in hosts)]
    assert seen
    assert told == []
    await all_idle(cluster)


@pytest.mark.keeps("22.26")
async def test_a_stranger_gets_no_answer(cluster: Cluster) -> None:
    from tests.support.peer import Peer  # noqa: PLC0415

    async with Peer(cluster.net.host(99)) as mallory:
        for _ in range(40):
            mallory.send(stranger_s_invite(mallory.host), (cluster.places.outside, PORT))

        # All of them have been looked at once the last is banned.
        async def banned() -> bool:
            return mallory.host in str(await cluster.proxy.ask("htable.dump", "banned"))

        from tests.support.processes import eventually  # noqa: PLC0415

        await eventually(banned, "who sends too much is banned", timeout_s=30)
        assert [one for one in mallory.trace if not one.sent] == []


def stranger_s_invite(host: str) -> Message:
    return Message(
        f"INVITE sip:{ANNA}@proxy SIP/2.0",
        [
            ("Via", f"SIP/2.0/UDP {host}:5060;branch={token('z9hG4bK')}"), ("Max-Forwards", "70"),
            ("From", f"<sip:mallory@{host}>;tag={token()}"), ("To", f"<sip:{ANNA}@proxy>"), ("Call-ID", token()),
            ("CSeq", "1 INVITE"), ("Contact", f"<sip:mallory@{host}>"), ("Content-Length", "0"),
        ],
    )  # fmt: skip
