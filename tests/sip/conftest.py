# SPDX-License-Identifier: GPL-2.0-or-later
"""One gateway for all scenarios, which have to leave it as they found it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip.aged import PLAYED, Aged
from tests.sip.bed import Bed
from tests.sip.far_ends import FarBed
from tests.sip.hearing import Hearing
from tests.sip.hearing import make_gateway as hearing_gateway
from tests.sip.players import on_wire, player_of
from tests.sip.scenario import Player
from tests.sip.scene import Scene, make_gateway
from tests.sip.sipp_talk import PAIRS, Place
from tests.sip.wires import OnWire, Wired, make_bed
from tests.support.certificates import Authority
from tests.support.processes import Net, eventually, open_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager

    from tests.support.gateway import Gateway

LINGER_S = 45
"""A transaction's 32 s (RFC 3261, timers H and J) after an answer that was repeated for up to as long."""


@pytest.fixture(scope="session")
def wires() -> Iterator[Net]:
    """Addresses that no PBX of the test bed uses."""
    with Net() as claimed:
        yield claimed


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(request: pytest.FixtureRequest, own_net: Net) -> AsyncIterator[Bed]:
    """A gateway with the module's PAIRS of peers, and its SIP settings if it has any."""
    module = request.module
    made = Bed(own_net, module.PAIRS, sip=getattr(module, "SIP", None))
    async with made.gateway:
        yield made


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Vouches for whoever is in these scenarios."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def far_bed(request: pytest.FixtureRequest, own_net: Net, authority: Authority) -> AsyncIterator[FarBed]:
    """A gateway between two Asterisks, with a line to each for every one of the module's PAIRS."""
    async with FarBed(own_net, request.module.PAIRS, authority, getattr(request.module, "SIP", None)) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_gateway(wires: Net) -> AsyncIterator[Gateway]:
    """The gateway, in whatever state the last scenario left it; take `scene` instead."""
    async with make_gateway(wires) as gateway, as_it_was(gateway):
        yield gateway


@asynccontextmanager
async def as_it_was(gateway: Gateway) -> AsyncIterator[None]:
    """In the end it holds no more than at the beginning, if it still runs."""
    before = await held(gateway)
    yield
    if gateway.child.exit_code is not None:
        return
    await gateway.idle()

    async def left() -> dict[str, int]:
        now = await held(gateway)
        return {what: count for what, count in now.items() if count > before[what]}

    async def none_left() -> bool:
        return not await left()

    try:
        await eventually(none_left, "no more than at the beginning", timeout_s=LINGER_S, every_s=0.5)
    except AssertionError:
        raise AssertionError(f"left over {LINGER_S} s after all calls: {await left()}, was {before}") from None


async def held(gateway: Gateway) -> dict[str, int]:
    """What its PJSIP and its process hold, from its own counts and from /proc."""
    stack: dict[str, int] = (await gateway.get("/api/status"))["stack"]
    return {**stack, "sockets": sockets(gateway)}


def sockets(gateway: Gateway) -> int:
    """How many sockets its process holds: listeners, and a pair for each leg with media."""
    return sum(one.startswith("socket:") for one in open_files(gateway.child.pid))


@pytest.fixture(scope="session")
def aged() -> Iterator[dict[str, Aged]]:
    """Calls that grow old, by who plays them, as far as they have begun."""
    begun: dict[str, Aged] = {}
    yield begun
    for one in begun.values():
        one.stop()


@pytest.fixture(scope="module", autouse=True)
def begun_early(request: pytest.FixtureRequest, aged: dict[str, Aged], authority: Authority) -> None:
    """Begins at once what takes a minute and costs nothing, so that it is done when its tests' turn comes.

    A worker that runs beside others does not know which files it will be given, and begins what this one needs.
    """
    items = request.session.items
    if hasattr(request.config, "workerinput"):
        items = [item for item in items if item.getparent(pytest.Module) is request.node]
    wanted = {
        item.callspec.params.get("aged_by")
        for item in items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    for player in PLAYED.keys() & wanted - aged.keys():
        aged[player] = Aged(player, authority)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hearing_place() -> AsyncIterator[tuple[Net, Gateway]]:
    """Another gateway, at addresses of its own; take `hearing` instead."""
    with Net() as net:
        async with hearing_gateway(net) as gateway:
            yield net, gateway


@pytest.fixture
async def hearing(hearing_place: tuple[Net, Gateway]) -> AsyncIterator[Hearing]:
    """The gateway of which it matters what callers hear; whatever a scenario leaves behind in it fails that."""
    async with Hearing(*hearing_place) as opened:
        yield opened


@pytest.fixture
async def scene(wires: Net, shared_gateway: Gateway) -> AsyncIterator[Scene]:
    """The running gateway, with a PBX and platforms of this scenario's own."""
    if shared_gateway.child.exit_code is not None:
        await shared_gateway.start()
    async with Scene(wires, shared_gateway) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def wired(authority: Authority) -> AsyncIterator[OnWire]:
    """A gateway, at addresses of its own, whose platforms and PBXs speak over TCP, TLS, or TLS with SRTP."""
    with Net() as net:
        made = make_bed(net, authority)
        async with made.gateway:
            yield partial(Wired, made, authority)


@pytest.fixture
def player(request: pytest.FixtureRequest) -> Player:
    """Plays a scenario that is written once; see players.py."""
    return player_of(request)


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Scene]:
    """The scene on the wire that a test is parametrized with: "udp" or one of WIRES."""
    return on_wire(request, request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def place(authority: Authority) -> AsyncIterator[Place]:
    """A gateway for calls with SIPp at both ends, at addresses of its own."""
    async with Place(authority, PAIRS) as opened, as_it_was(opened.bed.gateway):
        yield opened
