# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that others make to us: by whom, how many, and how long they may be silent (107)."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip.bed import ASSISTANT_HZ, PORT, TLS_PORT, Bed, Pair, Stage, tls
from tests.support.flood import request
from tests.support.processes import Net, eventually
from tests.support.wire import Streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.certificates import Authority

pytestmark = [pytest.mark.sip, pytest.mark.alone, pytest.mark.timeout(120)]

TCP = {"transport": "tcp"}
MOST_OF_ONE = 1000
REJECTED = "transfer_gateway_requests_rejected_total"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def listening(own_net: Net, authority: Authority) -> AsyncIterator[Bed]:
    """A gateway with TCP and TLS."""
    sip = {"tcp_port": PORT, **tls(authority, own_net.gateway)}
    made = Bed(own_net, {"tcp": Pair(TCP, TCP)}, sip=sip)
    async with made.gateway:
        yield made


def connection(source: str, bed: Bed, port: int) -> socket.socket:
    """A connection attempt that goes on by itself."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.bind((source, 0))
    made.setblocking(False)
    made.connect_ex((bed.net.gateway, port))
    return made


def is_up(one: socket.socket) -> bool:
    """Whether it was accepted."""
    try:
        one.getpeername()
    except OSError:
        return False
    return True


def descriptors(bed: Bed) -> list[int]:
    """Those that the gateway has open."""
    return [int(entry.name) for entry in Path(f"/proc/{bed.gateway.child.pid}/fd").iterdir()]


def is_closed(one: socket.socket) -> bool:
    """Whether the gateway has closed it."""
    try:
        while one.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


async def works(bed: Bed) -> None:
    """A call between the peers that use TCP."""
    async with Stage(bed, "tcp", trunk=Streams(), pbx=Streams()) as at:
        caller, _ = await at.conversation()
        await caller.media.hears(ASSISTANT_HZ)
        await caller.hang_up()


@pytest.mark.keeps("16.26")
@pytest.mark.parametrize("port", [PORT, TLS_PORT])
async def test_a_stranger_gets_no_connection(listening: Bed, port: int) -> None:
    before = await listening.gateway.metric(REJECTED, reason="peer-not-allowed")
    held_before = len(descriptors(listening))
    with ExitStack() as held:
        for _ in range(300):
            held.enter_context(connection(listening.net.host(99), listening, port))
        known = held.enter_context(connection(listening.trunk_host("tcp"), listening, port))
        await eventually(lambda: _true(is_up(known)), "the peer's own connection")
        await works(listening)
        # A few are accepted, to be closed; the others not even that.
        assert len(descriptors(listening)) - held_before < 60
        # Those of the peers that have just called are still there.
        await eventually(lambda: _true(len(descriptors(listening)) < held_before + 10), "the end of all of them")

        async def counted() -> bool:
            return await listening.gateway.metric(REJECTED, reason="peer-not-allowed") >= before + 300

        # While they are held: those for which a busy machine had no room yet come again after a second.
        await eventually(counted, "all of them in the metric")


@pytest.mark.keeps("16.119")
@pytest.mark.parametrize("port", [PORT, TLS_PORT])
async def test_strangers_who_come_one_by_one_close_no_door(listening: Bed, port: int) -> None:
    # PJLIB gave a listener up after fifty times that accept() had nothing to hand on.
    for _ in range(200):
        with suppress(OSError), socket.socket() as stranger:
            stranger.bind((listening.net.host(98), 0))
            stranger.settimeout(0.1)
            stranger.connect((listening.net.gateway, port))
    with connection(listening.trunk_host("tcp"), listening, port) as known:
        await eventually(lambda: _true(is_up(known)), "the peer's own connection")
    await works(listening)


@pytest.mark.keeps("16.120")
async def test_without_a_descriptor_a_connection_is_closed_and_the_next_are_accepted(listening: Bed) -> None:
    process = listening.gateway.child.pid
    before = await listening.gateway.metric(REJECTED, reason="at-capacity")
    held = descriptors(listening)
    most = max(held) + 1
    limits = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (most, limits[1]))
    try:
        with ExitStack() as kept:
            too_many = 60
            spare = 5  # the connection that asked for the metric may have ended since, and left room
            made = [
                kept.enter_context(connection(listening.trunk_host("tcp"), listening, PORT))
                for _ in range(most - len(held) + too_many + spare)
            ]

            async def shown_out() -> bool:
                return sum(is_closed(one) for one in made) >= too_many

            # Those that are accepted are closed for their silence, but later.
            await eventually(shown_out, "the end of those that had no room", timeout_s=4)
    finally:
        resource.prlimit(process, resource.RLIMIT_NOFILE, limits)

    async def counted() -> bool:
        return await listening.gateway.metric(REJECTED, reason="at-capacity") >= before + too_many

    await eventually(counted, "all of them in the metric")
    await works(listening)


async def _all_up(made: list[socket.socket]) -> bool:
    return all(is_up(one) or is_closed(one) for one in made)


async def _true(what: bool) -> bool:
    return what


@pytest.mark.keeps("16.28")
@pytest.mark.parametrize("port", [PORT, TLS_PORT])
async def test_who_says_nothing_is_shown_out(listening: Bed, port: int) -> None:
    with connection(listening.trunk_host("tcp"), listening, port) as silent:
        await eventually(lambda: _true(is_up(silent)), "a connection")
        began = asyncio.get_running_loop().time()
        await eventually(lambda: _true(is_closed(silent)), "its end", timeout_s=10)
        assert asyncio.get_running_loop().time() - began > 3


@pytest.mark.keeps("16.28")
async def test_who_says_something_may_stay(listening: Bed) -> None:
    async with Stage(listening, "tcp", trunk=Streams(), pbx=Streams()) as at:
        answer = await at.trunk.request("OPTIONS", f"sip:{listening.net.gateway}", at.gateway)
        assert answer.code == 200
        with connection(listening.trunk_host("tcp"), listening, PORT) as silent:
            await eventually(lambda: _true(is_closed(silent)), "the end of another one", timeout_s=10)
        assert at.trunk.wire.accepted == 0  # type: ignore[attr-defined]  # a Streams
        assert (await at.trunk.request("OPTIONS", f"sip:{listening.net.gateway}", at.gateway)).code == 200


@pytest.mark.keeps("16.28")
async def test_one_address_has_so_many_connections_and_no_more(listening: Bed) -> None:
    with ExitStack() as held:
        source = listening.pbx_host("tcp")
        made: list[socket.socket] = []
        # Each says something first, or it would be shown out for its silence.
        while len(made) < MOST_OF_ONE + 20:
            batch = [held.enter_context(connection(source, listening, PORT)) for _ in range(60)]
            await eventually(partial(_all_up, batch), "connections")
            for number, one in enumerate(batch, len(made)):
                text = request("OPTIONS", f"sip:{listening.net.gateway}", source).replace("/UDP", "/TCP")
                with suppress(OSError):
                    one.send(text.replace("{n}", f"{number:08x}").encode())
            made += batch

        async def some_are_closed() -> bool:
            return sum(is_closed(one) for one in made) >= len(made) - MOST_OF_ONE

        await eventually(some_are_closed, "those above the limit are closed")
        assert not any(is_closed(one) for one in made[: MOST_OF_ONE - 100])
        with connection(listening.trunk_host("tcp"), listening, PORT) as other:
            other.setblocking(False)
            await eventually(lambda: _true(is_up(other)), "another address connects")
            assert not is_closed(other)
    await works(listening)
