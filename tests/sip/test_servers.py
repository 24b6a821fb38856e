# SPDX-License-Identifier: GPL-2.0-or-later
"""A platform that is known by its name: found by NAPTR, SRV and address records, and tried server by server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.sip.bed import ASSISTANT_HZ, CALLER, PORT, Bed, Pair
from tests.support.begun import Begun
from tests.support.names import NameServer
from tests.support.peer import Peer
from tests.support.peer_call import Call
from tests.support.processes import Net
from tests.support.wire import Streams

pytestmark = pytest.mark.sip

DNS_PORT = 5353
NAMES = ("srv", "refusing", "dead", "tcp", "plain", "unknown", "slow")


def hosts(own_net: Net, name: str) -> tuple[str, str]:
    """The addresses of a name's two servers."""
    first = 100 + 2 * NAMES.index(name)
    return own_net.host(first), own_net.host(first + 1)


def records(own_net: Net) -> dict[tuple[str, str], list[str]]:
    made: dict[tuple[str, str], list[str]] = {}
    for name in ("srv", "refusing", "dead", "tcp", "slow"):
        kind = "tcp" if name == "tcp" else "udp"
        service = f"_sip._{kind}.{name}.example"
        made[service, "SRV"] = [f"20 1 {PORT} two.{name}.example.", f"10 1 {PORT} one.{name}.example."]
        for label, host in zip(("one", "two"), hosts(own_net, name), strict=True):
            made[f"{label}.{name}.example", "A"] = [host]
    made["plain.example", "A"] = [hosts(own_net, "plain")[0]]
    # Another name for the service than the one that would be guessed.
    made["srv.example", "NAPTR"] = ['10 10 "S" "SIP+D2U" "" _elsewhere.srv.example.']
    made["_elsewhere.srv.example", "SRV"] = made.pop(("_sip._udp.srv.example", "SRV"))
    return made


class Named(Bed):
    """The gateway with a platform behind each name, and the name server it asks."""

    names: NameServer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(own_net: Net) -> AsyncIterator[Named]:
    pairs = {
        name: Pair({
            "outbound": f"sip:{name}.example", "addresses": list(hosts(own_net, name)),
            "transport": "tcp" if name == "tcp" else "udp",
        })
        for name in NAMES
    }  # fmt: skip
    made = Named(own_net, pairs, sip={"tcp_port": PORT, "name_servers": [f"{own_net.host(53)}:{DNS_PORT}"]})
    async with made.gateway:
        yield made


@pytest.fixture
async def bed(shared: Named) -> AsyncIterator[Named]:
    async with NameServer(shared.net.host(53), DNS_PORT, records(shared.net)) as shared.names:
        yield shared


class Stage(AsyncExitStack):
    """The PBX of a name's pair, and those of its servers that run."""

    def __init__(self, bed: Named, name: str) -> None:
        super().__init__()
        self.bed, self.name = bed, name
        self.pbx = Peer(bed.pbx_host(name), PORT, user="pbx")

    async def server(self, number: int) -> Peer:
        wire = Streams() if self.name == "tcp" else None
        return await self.enter_async_context(Peer(hosts(self.bed.net, self.name)[number], PORT, wire=wire))

    async def call(self) -> Call:
        if self.pbx.trace == [] and self.pbx.calls == []:
            await self.enter_async_context(self.pbx)
        uri = f"sip:{self.bed.number(self.name)}@gateway"
        return self.pbx.invite(uri, (self.bed.net.gateway, PORT), from_=CALLER)


async def talks(caller: Call, assistant: Call) -> None:
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    await caller.media.hears(ASSISTANT_HZ)
    await caller.hang_up()
    await assistant.wait_request("BYE")


@pytest.mark.keeps("8.9")
@pytest.mark.parametrize("name", ["srv", "tcp", "plain"])
async def test_the_server_that_dns_puts_first(bed: Named, name: str) -> None:
    async with Stage(bed, name) as at:
        first = await at.server(0)
        caller = await at.call()
        assistant = await first.wait_call()
        assert assistant.incoming
        assert assistant.incoming.uri.partition("@")[2].partition(";")[0] == f"{name}.example"
        await talks(caller, assistant)
        asked = len(bed.names.asked)
        await talks(await at.call(), await first.wait_call())
        assert len(bed.names.asked) == asked  # remembered
        await bed.gateway.idle()


@pytest.mark.keeps("8.9")
async def test_the_next_server_when_one_cannot(bed: Named) -> None:
    async with Stage(bed, "refusing") as at:
        first, second = await at.server(0), await at.server(1)
        caller = await at.call()
        (await first.wait_call()).reject(503)
        assistant = await second.wait_call()
        assert assistant.call_id == first.received("INVITE")[0]["Call-ID"]  # the same call, elsewhere
        await talks(caller, assistant)
        await talks(await at.call(), await second.wait_call())  # the first is let alone for a while
        assert len(first.received("INVITE")) == 1
        await bed.gateway.idle()


@pytest.mark.keeps("8.9")
async def test_busy_is_an_answer(bed: Named) -> None:
    async with Stage(bed, "srv") as at:
        first, second = await at.server(0), await at.server(1)
        caller = await at.call()
        (await first.wait_call()).reject(486)
        assert (await caller.final()).code == 486
        assert not second.trace
        await bed.gateway.idle()


@pytest.mark.keeps("8.9")
@pytest.mark.parametrize("name", ["dead", "tcp"])
async def test_the_next_server_when_one_is_dead(bed: Named, name: str) -> None:
    async with Stage(bed, name) as at:
        second = await at.server(1)
        caller = await at.call()
        await talks(caller, await second.wait_call())
        await bed.gateway.idle(40)


@pytest.mark.keeps("8.10")
async def test_an_unknown_name_refuses_the_call(bed: Named) -> None:
    async with Stage(bed, "unknown") as at:
        assert (await (await at.call()).final()).code in (480, 502)
        await bed.gateway.idle()


@pytest.mark.keeps("8.10")
async def test_a_name_server_that_says_nothing_holds_nobody_else_up(bed: Named) -> None:
    bed.names.silent.add("slow.example")
    async with Stage(bed, "slow") as slow, Stage(bed, "plain") as at:
        waiting = await slow.call()
        await slow.pbx.until(lambda: bed.names.asked or None, "question")
        first = await at.server(0)
        began = Begun(bed.gateway.child.pid)
        caller = await at.call()
        await talks(caller, await first.wait_call())
        assert began.took_s < 1
        assert waiting.invite
        assert all(response.code < 200 for response in waiting.invite.responses)
        assert (await waiting.final()).code in (480, 502)
        await bed.gateway.idle()
