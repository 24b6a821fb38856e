# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio passes rtpengines at the edge: encrypted between them and the platform, in the clear to the gateways behind."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.kamailio.cluster import ANNA, ASSISTANT_HZ, CALLER_HZ, OTHER_PORT, TARGET_HZ, Cluster
from tests.support.certificates import Authority
from tests.support.end import DELAYED
from tests.support.kamailio import KEYS, TLS_PORT
from tests.support.outside_network import OutsideNet
from tests.support.phone import Phone
from tests.support.processes import eventually
from tests.support.rtpengine import Rtpengine
from tests.support.sip_message import parameter
from tests.support.srtp import profile_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.configuration import Table
    from tests.support.kamailio import Places
    from tests.support.peer_call import Call

pytestmark = [pytest.mark.sip, pytest.mark.proxy, pytest.mark.relay, pytest.mark.asyncio(loop_scope="session")]

NODES = ("gw-1", "gw-2")
SIDES = ((63, 64), (65, 66))
"""Of each relay: its address to the inside, and that to the outside."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    with OutsideNet() as net:
        authority = Authority(tmp_path_factory.mktemp("authority"))
        relays = [Rtpengine(net.host(inside), net.host(outside)) for inside, outside in SIDES]
        identity = authority.identity(net.trunk)
        assistant = Phone(net.trunk, hz=ASSISTANT_HZ, encryption="dtls_srtp", transport="tls", identity=identity)
        async with Cluster(net, authority, nodes=NODES, relays=relays, phone=assistant) as made:
            made.platform.encryption = "required"
            yield made


@pytest.fixture
def assistant(cluster: Cluster) -> Phone:
    assert cluster.phone
    cluster.phone.events.clear()
    return cluster.phone


async def talking(cluster: Cluster, assistant: Phone) -> Call:
    """A caller whom the PBX has put through to the assistant; they hear each other."""
    caller = cluster.call()
    await caller.answered(30)
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.hears(CALLER_HZ, timeout_s=30)
    return caller


async def relayed(cluster: Cluster) -> list[Rtpengine]:
    """The relays that have calls; of those that run."""
    return [relay for relay in cluster.relays if relay.child and await relay.calls()]


async def all_over(cluster: Cluster) -> None:
    """No gateway and no relay has anything left."""
    for gateway in cluster.gateways.values():
        if gateway.child.exit_code is None:
            await gateway.idle(30)

    async def none_left() -> bool:
        return not await relayed(cluster)

    await eventually(none_left, "no relay has a call", timeout_s=30)


async def of_the_trunk(cluster: Cluster) -> tuple[Table, Table]:
    """The one call, and its leg that is the platform's."""
    [call] = [call for gateway in cluster.gateways.values() for call in (await gateway.get("/api/calls"))["calls"]]
    [leg] = [leg for leg in call["legs"] if leg["side"] == "trunk"]
    return call, leg


@pytest.mark.keeps("22.36")
async def test_who_speaks_dtls_and_ice_outside_is_heard_by_who_does_not_inside(
    cluster: Cluster, assistant: Phone
) -> None:
    caller = await talking(cluster, assistant)
    assert "DTLS-SRTP complete (audio/RTP)" in assistant.log
    assert "connectivity check is complete" in assistant.log
    [relay] = await relayed(cluster)
    call, leg = await of_the_trunk(cluster)
    assert call["audio"]["path"] == "relay"
    assert (leg["encrypted"], leg["media_address"].rpartition(":")[0]) == (False, relay.inside)
    await assistant.refer(f"sip:{ANNA}@gateway")
    anna = await cluster.pbx.wait_call(30)
    await anna.answer(hz=TARGET_HZ)
    caller.forgets()
    await caller.media.hears(TARGET_HZ)
    await anna.media.hears(CALLER_HZ)
    await assistant.event("CALL_CLOSED", timeout_s=30)
    [transfer] = await cluster.gateways[cluster.node_of(parameter(caller.far, "tag"))].ended()
    assert transfer["outcome"] == "completed"
    await cluster.hang_up(caller, anna)
    await all_over(cluster)


@pytest.mark.keeps("22.37")
async def test_who_calls_from_outside_with_dtls_and_ice_reaches_who_has_neither(
    cluster: Cluster, assistant: Phone
) -> None:
    await assistant.dial(f"sip:{ANNA}@{cluster.places.outside}:{TLS_PORT};transport=tls")
    anna = await cluster.pbx.wait_call(30)
    await anna.answer(hz=TARGET_HZ)
    await assistant.hears(TARGET_HZ, timeout_s=30)
    await anna.media.hears(ASSISTANT_HZ)
    await assistant.hang_up()
    await anna.wait_request("BYE", 30)
    await all_over(cluster)


@pytest.mark.keeps("22.38")
async def test_nothing_of_the_inside_is_described_to_the_outside(cluster: Cluster, assistant: Phone) -> None:
    caller = await talking(cluster, assistant)
    await cluster.hang_up(caller)
    await all_over(cluster)
    inside = {cluster.places.pbx_side, cluster.net.pbx, *(relay.inside for relay in cluster.relays)}
    inside |= {uri.removeprefix("sip:").partition(":")[0] for uri in cluster.uris.values()}
    described = re.findall(r"^(?:[oc]=|a=candidate|a=rtcp).*$", assistant.log, re.MULTILINE)
    assert described
    assert [line for line in described if any(host in line for host in inside)] == []
    # Keys in the description beside those of DTLS are refused by browsers.
    assert "a=crypto" not in assistant.log


async def spoken(cluster: Cluster) -> tuple[Call, Call]:
    """The platform calls somebody of the company, with keys in its description; they hear each other."""
    caller = cluster.ask()
    anna = await cluster.pbx.wait_call(30)
    await anna.answer(hz=TARGET_HZ)
    await caller.answered(30)
    await hear(caller, anna)
    return caller, anna


async def hear(caller: Call, anna: Call) -> None:
    await caller.media.hears(TARGET_HZ)
    await anna.media.hears(ASSISTANT_HZ)


@pytest.mark.keeps("22.39")
async def test_keys_in_the_description_do_as_well_and_a_call_goes_on_through_each_change(cluster: Cluster) -> None:
    caller, anna = await spoken(cluster)
    _, leg = await of_the_trunk(cluster)
    assert not leg["encrypted"]
    # A BYE that is refused ends nothing at the relay either.
    right, caller.far = caller.far, re.sub(r"(;tag=.{20}).*", r"\1", caller.far)
    assert (await caller.begin("BYE").final()).code == 481
    caller.far = right
    await caller.changes("sendonly")
    await caller.changes("sendrecv", "UPDATE")
    await caller.changes("sendrecv", DELAYED)
    for end in (caller, anna):
        end.forgets()
    await hear(caller, anna)
    await cluster.hang_up(caller, anna)
    await all_over(cluster)


@pytest.mark.keeps("22.40")
async def test_a_call_that_the_next_gateway_takes_has_audio(cluster: Cluster) -> None:
    """One that drains for a call that it has says so itself to the first INVITEs, which the proxy gives it."""
    caller, anna = await spoken(cluster)
    drained = cluster.node_of(parameter(caller.far, "tag"))
    await cluster.drain(drained)
    for _ in range(8):
        other, answering = await spoken(cluster)
        assert cluster.node_of(parameter(other.far, "tag")) != drained
        await cluster.hang_up(other, answering)
    await cluster.hang_up(caller, anna)
    assert await cluster.gateways[drained].child.wait(60) == 0
    await cluster.gateways[drained].start()
    await cluster.serve(*NODES)
    await all_over(cluster)


@pytest.mark.keeps("22.41")
async def test_a_killed_relay_silences_its_calls_until_they_are_described_anew(cluster: Cluster) -> None:
    caller, anna = await spoken(cluster)
    [killed] = await relayed(cluster)
    await killed.kill()
    await caller.hears_nothing()
    # It is still a call, and the next description of it goes to another relay.
    assert (await caller.reinvite()).code == 200
    for end in (caller, anna):
        end.forgets()
    await hear(caller, anna)
    assert await relayed(cluster)
    await cluster.hang_up(caller, anna)
    # New ones find the other relay by themselves.
    for _ in range(4):
        await cluster.hang_up(*await spoken(cluster))
    await killed.start()
    await all_over(cluster)


@pytest.mark.keeps("22.42")
async def test_where_no_relay_is_left_calls_are_refused_and_taken_again_when_one_is_back(
    cluster: Cluster, assistant: Phone
) -> None:
    caller = await talking(cluster, assistant)
    asking = cluster.ask()
    late = await cluster.pbx.wait_call(30)
    for relay in cluster.relays:
        await relay.kill()
    # The assistant hears nothing any more, and can still have the caller put through.
    await assistant.refer(f"sip:{ANNA}@gateway")
    anna = await cluster.pbx.wait_call(30)
    await anna.answer(hz=TARGET_HZ)
    caller.forgets()
    await caller.media.hears(TARGET_HZ)
    await assistant.event("CALL_CLOSED", timeout_s=30)
    await cluster.hang_up(caller, anna)
    # Nothing that could be heard, and no address of the inside.
    await late.answer(hz=TARGET_HZ)
    assert (await asking.answered(30)).body == b""
    await cluster.hang_up(asking, late)
    refused = await cluster.ask().final(30)
    assert (refused.code, refused["Retry-After"]) == (503, "5")
    for relay in cluster.relays:
        await relay.start()

    async def taken() -> bool:
        nobody_s = "+31209999999"
        return (await cluster.ask(nobody_s).final(30)).code == 404

    await eventually(taken, "a call reaches a gateway again", timeout_s=30, every_s=0.5)
    await cluster.hang_up(*await spoken(cluster))
    await all_over(cluster)


@pytest.mark.keeps("22.43")
async def test_a_platform_may_be_offered_keys_instead_and_is_to_the_end(cluster: Cluster) -> None:
    before = cluster.proxy.places
    scripted_one = f"sip:{cluster.net.trunk}:{OTHER_PORT};transport=tls"
    await restart(cluster, replace(before, media=KEYS, platform=scripted_one))
    caller = cluster.call()
    assistant = await cluster.platform.wait_call(30)
    assert assistant.incoming
    assert profile_of(assistant.incoming.body) == "RTP/SAVP"
    assert b"NULL" not in assistant.incoming.body
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered(30)
    # What it is offered later on is of the same kind.
    await assistant.changes("sendrecv", DELAYED)
    await assistant.media.hears(CALLER_HZ)
    await caller.media.hears(ASSISTANT_HZ)
    assert (await assistant.refer(f"<sip:{ANNA}@gateway>")).code == 202
    anna = await cluster.pbx.wait_call(30)
    await anna.answer(hz=TARGET_HZ)
    assert (await assistant.notifies())[-1].sipfrag == 200
    await caller.media.hears(TARGET_HZ)
    await cluster.hang_up(caller, anna)
    await all_over(cluster)
    await restart(cluster, before)


async def restart(cluster: Cluster, places: Places) -> None:
    await cluster.proxy.stop()
    cluster.proxy.places = places
    await cluster.proxy.start()
    await cluster.serve(*NODES)
