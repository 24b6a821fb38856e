# SPDX-License-Identifier: GPL-2.0-or-later
"""A platform of two servers behind one name, and one on IPv6, with SIPp at all ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from socket import SOCK_DGRAM

import pytest
import pytest_asyncio

from tests.sip.bed import CALLER_HZ, FIRST_HOST, PORT, Pair
from tests.sip.sipp_talk import CALLED_HZ, WAYS, Place, Talk
from tests.support.certificates import Authority
from tests.support.names import NameServer
from tests.support.processes import Net, free_port
from tests.support.sipp_script import Called, Calling

pytestmark = pytest.mark.sip

DNS_PORT = 5353
NAME_SERVER, FIRST = 53, 150


def servers(net: Net) -> tuple[str, str]:
    """Where the name's two servers are: the one that is to be asked first, and a Talk's called side."""
    return net.host(FIRST), net.host(FIRST_HOST)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def named(authority: Authority) -> AsyncIterator[Place]:
    with Net() as net:
        pairs = {"udp": Pair({"outbound": "sip:srv.example", "addresses": list(servers(net))})}
        async with Place(authority, pairs, net, name_servers=[f"{net.host(NAME_SERVER)}:{DNS_PORT}"]) as opened:
            yield opened


@pytest.fixture
async def names(named: Place) -> AsyncIterator[NameServer]:
    first, second = servers(named.net)
    records = {
        ("srv.example", "NAPTR"): ['10 10 "S" "SIP+D2U" "" _sip._udp.srv.example.'],
        ("_sip._udp.srv.example", "SRV"): [f"10 1 {PORT} one.srv.example.", f"20 1 {PORT} two.srv.example."],
        ("one.srv.example", "A"): [first],
        ("two.srv.example", "A"): [second],
    }
    async with NameServer(named.net.host(NAME_SERVER), DNS_PORT, records) as opened:
        yield opened


@pytest.mark.keeps("11.1")
@pytest.mark.usefixtures("names")
async def test_the_next_server_when_one_cannot(named: Place) -> None:
    async with Talk(named, "udp") as talk:
        talk.opening()
        talk.closing()
        first = talk.joined_by(named.end(Called(), servers(named.net)[0], CALLED_HZ))
        first.does.invited().answer(503).expect("ACK")
        await talk.start()
        await first.over()
        assert first.taken[0]["Call-ID"] == talk.called.taken[0]["Call-ID"]  # the same call, elsewhere
        await talk.both_hear()
    async with Talk(named, "udp") as talk:  # the first is let alone for a while: nobody is there now
        await talk.begin()
        await talk.both_hear()


@pytest.mark.keeps("11.1")
@pytest.mark.parametrize("way", WAYS)
async def test_a_trunk_on_ipv6_and_a_pbx_on_ipv4(authority: Authority, way: str) -> None:
    port, there = free_port("127.0.0.1", SOCK_DGRAM), free_port("::1", SOCK_DGRAM)
    pairs = {"udp": Pair({"addresses": ["::1"], "outbound": f"sip:[::1]:{there}"})}
    async with Place(authority, pairs, bind_address6="::1", udp_port=port, tcp_port=0) as place:
        talk = Talk(place, "udp", way)
        if way == WAYS[0]:
            talk.called.media.close()
            talk.called = place.end(Called(), "::1", CALLED_HZ, port=there)
        else:
            talk.caller.media.close()
            talk.caller = place.end(Calling(talk.number), "::1", CALLER_HZ, port=there)
        talk.ends = (talk.called, talk.caller)
        async with talk:
            await talk.begin()
            await talk.both_hear()
            trunk = talk.called if way == WAYS[0] else talk.caller
            assert all(b"IN IP6 ::1" in one.body for one in trunk.taken if one.body)
            assert not any(place.net.gateway.encode() in bytes(one) for one in trunk.taken)
