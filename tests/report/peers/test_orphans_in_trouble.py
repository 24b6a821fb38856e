# SPDX-License-Identifier: GPL-2.0-or-later
"""An end is told once whatever fails meanwhile: connections to the broker, disks, and whoever has claimed it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.report.peers import orphans as orphans_module
from gateway.report.peers.line import Heard
from gateway.report.peers.orphans import HELD_S, RANK_S
from gateway.report.peers.statuses import Statuses
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.report.peers.cluster import AFTER_S, NODES, TRANSFERS, World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MOST_WORK = 3000
"""What all gateways publish and subscribe at most in such a minute or three: nobody goes round in circles."""


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are there want to tell at the same moment."""
    monkeypatch.setattr(orphans_module, "RANK_S", 0.0)


async def lose_now_and_then(world: World, *, seen: bool) -> None:
    """Some connections are lost, for a while; of one at most at a time where that is `seen` as its death."""
    for _ in range(6):
        node = world.chance.choice([node for node in world.nodes.values() if not node.is_killed])
        node.lose(is_seen=seen and world.chance.random() < 0.5)
        await world.clock.run(world.chance.uniform(0, 3))
        node.line.connect()
        node.line.say(f"{node.name}/status", b'{"state": "online"}')
        await world.clock.run(world.chance.uniform(0, 3))


async def refuse_now_and_then(world: World) -> None:
    """Some disks take nothing, for a while."""
    for _ in range(6):
        world.refusing = {name for name in NODES if world.chance.random() < 0.5}
        await world.clock.run(world.chance.uniform(0, 5))
    world.refusing = set()


async def both_now_and_then(world: World) -> None:
    for _ in range(3):
        world.refusing = {name for name in NODES if world.chance.random() < 0.4}
        node = world.nodes[world.chance.choice(NODES)]
        node.lose(is_seen=False)
        await world.clock.run(world.chance.uniform(0, 4))
        world.refusing = {name for name in NODES if world.chance.random() < 0.4}
        node.line.connect()
        await world.clock.run(world.chance.uniform(0, 4))
    world.refusing = set()


async def lost_alone(world: World) -> None:
    await lose_now_and_then(world, seen=False)


TROUBLES = (lost_alone, refuse_now_and_then, both_now_and_then)


@pytest.mark.keeps("22.59")
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.usefixtures("together")
async def test_one_tells_whatever_fails_meanwhile(trouble: Callable[[World], Awaitable[None]]) -> None:
    """One is killed and is back at any moment, while connections are lost and disks refuse."""
    by = set[str]()
    for seed in range(25):
        world = World(seed, latest_s=0.4)
        world.slow_s = world.chance.choice((0.0, 0.5))
        world.disks["gw-1"].own.difference_update(TRANSFERS[: seed % 3])
        await world.begin()
        await world.dies_and_is_back()
        await trouble(world)
        await world.clock.run(120)
        assert world.once, (seed, world.told)
        assert world.open == [], seed
        assert not world.disks["gw-1"].running, (seed, "it waits for somebody")
        assert world.bus.work < MOST_WORK, seed
        by |= {name for name, _, _ in world.told}
        world.end()
    assert len(by) > 1, "no race was run"


@pytest.mark.keeps("22.59")
@pytest.mark.usefixtures("together")
async def test_each_is_told_whoever_dies_meanwhile() -> None:
    """Those die that have claimed, too, and are taken for dead that are not: the same event may come twice then."""
    for seed in range(25):
        world = World(seed, latest_s=0.4)
        world.slow_s = world.chance.choice((0.0, 2.0))
        await world.begin()
        world.nodes["gw-1"].kill()
        await world.clock.run(world.chance.uniform(0, 2 * AFTER_S))
        for _ in range(4):
            match world.chance.randrange(3):
                case 0:
                    name = world.chance.choice(NODES)
                    if not world.nodes[name].is_killed:
                        world.nodes[name].kill()
                    await world.clock.run(world.chance.uniform(0, 2 * AFTER_S))
                    world.restart(name).back()
                case 1:
                    await lose_now_and_then(world, seen=True)
                case _:
                    await refuse_now_and_then(world)
        if not world.nodes["gw-1"].is_killed:
            world.nodes["gw-1"].kill()
        world.restart("gw-1").back()
        await world.clock.run(HELD_S + 60)
        assert world.each, (seed, world.told)
        assert world.open == [], seed
        assert not world.disks["gw-1"].running, (seed, "it waits for somebody")
        world.nodes["gw-1"].kill()
        world.restart("gw-1").back()
        await world.clock.run(60)
        assert sorted(topic for topic in world.bus.retained if not topic.endswith("/status")) == [], seed
        world.end()


@pytest.mark.keeps("22.60")
async def test_what_another_has_told_is_not_told_again_where_it_still_stands_at_the_broker() -> None:
    """Its own disk knows nothing of it any more once it has let go of it."""
    for seed in range(20):
        world = World(seed, latest_s=0.4)
        await world.begin()
        world.claim("gw-2", told=True)
        world.nodes["gw-1"].kill()
        world.restart("gw-1").back()
        await world.clock.run(60)
        assert (world.told, world.open) == ([], []), seed
        assert not world.disks["gw-1"].running
        world.end()


@pytest.mark.keeps("22.60")
async def test_a_claim_of_one_that_is_there_and_does_not_tell_holds_for_a_while() -> None:
    """Its disk may be full for hours."""
    world = World()
    await world.begin()
    for task in world.nodes["gw-3"].tasks[:-1]:
        task.cancel()
    world.claim("gw-3")
    world.nodes["gw-1"].kill()
    await world.clock.run(HELD_S / 2)
    world.restart("gw-1").back()
    await world.clock.run(HELD_S / 4)
    assert world.told == []
    await world.clock.run(HELD_S)
    assert world.once
    assert not world.disks["gw-1"].running
    world.end()


@pytest.mark.keeps("22.60")
async def test_who_was_restarted_after_it_had_claimed_lets_go_of_what_is_back() -> None:
    world = World()
    await world.begin()
    world.claim("gw-2")
    world.nodes["gw-1"].kill()
    world.restart("gw-1").back()
    await world.clock.run(60)
    assert sorted(world.told) == [("gw-1", transfer, None) for transfer in TRANSFERS]
    world.end()


@pytest.mark.keeps("22.60")
async def test_one_that_cannot_be_told_keeps_no_other() -> None:
    world = World()
    await world.begin()
    world.cursed.add(TRANSFERS[0])
    world.nodes["gw-1"].kill()
    with capture_logs() as logs:
        await world.clock.run(60)
    assert sorted(transfer for _, transfer, _ in world.told) == TRANSFERS[1:]
    assert "orphans-failed" in [each["event"] for each in logs]
    world.restart("gw-1").back()
    await world.clock.run(60)
    world.cursed.clear()
    await world.clock.run(60)
    assert world.once
    world.end()


@pytest.mark.keeps("22.62")
async def test_who_is_stopped_as_it_tells_tells_what_it_has_claimed_and_nothing_more() -> None:
    shares = set[int]()
    for seed in range(20):
        world = World(seed, latest_s=0.1)
        world.slow_s = 1.0
        await world.begin()
        world.nodes["gw-1"].kill()
        await world.clock.run(AFTER_S + world.chance.uniform(0, RANK_S))
        stopping = world.nodes["gw-2"]
        await asyncio.gather(stopping.orphans.finish(5.0), world.clock.run(5.0))
        stopping.stop()
        await world.clock.run(60)
        assert world.once, (seed, world.told)
        shares.add([node for node, _, _ in world.told].count("gw-2"))
        world.end()
    assert shares & {1, 2}, "nobody was stopped in the middle"


def _status(node: str, body: bytes) -> Heard:
    return Heard(node, "status", "", body)


@pytest.mark.keeps("22.63")
@pytest.mark.parametrize(
    ("body", "is_there", "is_lost"),
    [
        (b'{"state": "online"}', True, False),
        (b'{"state": "draining", "reason": null}', True, False),
        (b'{"state": "offline", "reason": "stopped"}', False, False),
        (b'{"state": "offline", "reason": "connection lost"}', False, True),
    ],
)
def test_of_a_gateway_that_a_reload_adds_is_known_what_it_has_said_before(
    body: bytes, is_there: bool, is_lost: bool
) -> None:
    """Its status is retained, and was told when we connected: it is not told again."""
    statuses = Statuses(VirtualClock(BEGIN))
    statuses.configure(["gw-2"])
    statuses.heard(_status("gw-3", body))
    assert (statuses.there, statuses.lost) == (frozenset(), [])
    statuses.configure(["gw-2", "gw-3"])
    assert ("gw-3" in statuses.there, statuses.is_lost("gw-3")) == (is_there, is_lost)
    statuses.configure(["gw-2"])
    assert ("gw-3" in statuses.there, statuses.is_lost("gw-3")) == (False, False)
    statuses.configure(["gw-2", "gw-3"])
    assert ("gw-3" in statuses.there, statuses.is_lost("gw-3")) == (is_there, is_lost)


@pytest.mark.keeps("22.63")
def test_of_strangers_only_so_many_are_remembered() -> None:
    statuses = Statuses(VirtualClock(BEGIN))
    online = b'{"state": "online"}'
    statuses.heard(_status("x" * 60_000, online))
    for number in range(2000):
        statuses.heard(_status(f"stranger-{number}", online))
    statuses.configure([f"stranger-{number}" for number in range(2000)])
    assert len(statuses.there) == 1000
