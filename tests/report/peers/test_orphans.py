# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose word it is: of gateways that all want to tell an end, in whatever order they hear of one another, one does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs

from gateway.report.peers import orphans as orphans_module
from gateway.report.peers.line import Heard
from gateway.report.peers.open_transfers import MOST, OpenTransfers
from gateway.report.peers.orphans import AGAIN_S, RANK_S
from gateway.report.peers.statuses import SILENT_S, Statuses
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.report.peers.cluster import AFTER_S, TRANSFERS, World, payload

if TYPE_CHECKING:
    from gateway.report.peers.line import PeerLine


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are there want to tell at the same moment."""
    monkeypatch.setattr(orphans_module, "RANK_S", 0.0)


@pytest.mark.parametrize("seeds", [range(first, first + 10) for first in range(0, 100, 10)], ids=str)
@pytest.mark.usefixtures("together")
async def test_one_tells_whoever_comes_back_and_claims_when(seeds: range) -> None:
    """The dead one is back at any moment: before, while and after two others claim."""
    by = set[str]()
    for seed in seeds:
        world = World(seed, latest_s=0.4)
        await world.begin()
        await world.dies_and_is_back()
        await world.clock.run(60)
        assert world.once, (seed, world.told)
        assert world.open == []
        assert not world.disks["gw-1"].running, "it waits for somebody"
        by |= {name for name, _, _ in world.told}
        world.end()
    assert len(by) > 1, "no race was run"


@pytest.mark.keeps("22.58")
@pytest.mark.usefixtures("together")
async def test_what_others_know_and_its_own_disk_does_not_is_told_once_as_well() -> None:
    """It was killed within the 20 ms in which writes are gathered."""
    by = set[str]()
    for seed in range(30):
        world = World(seed, latest_s=0.4)
        await world.begin()
        world.disks["gw-1"].own.difference_update(TRANSFERS[: 1 + seed % len(TRANSFERS)])
        await world.dies_and_is_back()
        await world.clock.run(60)
        assert world.once, (seed, world.told)
        assert world.open == []
        by |= {name for name, _, _ in world.told}
        world.end()
    assert len(by) > 1, "no race was run"


async def test_what_is_over_and_still_stands_at_the_broker_is_taken_away_and_not_told() -> None:
    world = World()
    await world.begin()
    world.nodes["gw-1"].kill()
    world.disks["gw-1"].ended.update(TRANSFERS)
    world.restart("gw-1").back()
    await world.clock.run(60)
    assert (world.told, world.open) == ([], [])
    world.end()


async def test_of_what_this_run_has_said_nothing_is_told_when_the_broker_is_back() -> None:
    """Its end may be older than all that is remembered."""
    world = World()
    await world.clock.run(2)
    world.disks["gw-1"].own.clear()
    world.nodes["gw-1"].line.lose()
    await world.begin()
    world.nodes["gw-1"].line.connect()
    await world.clock.run(60)
    assert (world.told, world.open) == ([], [])
    world.end()


async def test_of_two_claims_the_first_is_what_those_find_who_come_later() -> None:
    for seed in range(30):
        world = World(seed, latest_s=0.4)
        await world.clock.run(2)
        world.end()  # who has claimed and does not go on would let go of it
        claims = {name: world.nodes[name].claims for name in ("gw-2", "gw-3")}
        both = asyncio.gather(*(each.take("gw-1", TRANSFERS[0]) for each in claims.values()))
        await world.clock.run(10)
        [winner] = [name for name, won in zip(claims, await both, strict=True) if won]
        assert json.loads(world.bus.retained[f"gw-1/orphans/{TRANSFERS[0]}"])["by"] == winner
        world.end()


async def test_the_first_by_name_of_those_that_are_there_tells_and_cleans_up() -> None:
    world = World()
    await world.begin()
    world.nodes["gw-1"].kill()
    await world.clock.run(AFTER_S + RANK_S + 2)
    assert sorted(world.told) == [("gw-2", transfer, "gw-1") for transfer in TRANSFERS]
    assert world.open == []
    world.restart("gw-1").back()
    await world.clock.run(60)
    assert world.once
    assert not world.disks["gw-1"].running
    world.nodes["gw-1"].kill()
    world.restart("gw-1")
    await world.clock.run(10)
    assert [topic for topic in world.bus.retained if "/orphans/" in topic] == []
    world.end()


async def test_one_that_answers_is_left_alone_and_that_is_told_once() -> None:
    world = World()
    await world.begin()
    world.answering.add("gw-1")
    with capture_logs() as logs:
        world.nodes["gw-1"].kill()
        await world.clock.run(60)
        assert world.told == []
        assert [each["event"] for each in logs].count("lost-gateway-lives") == 2
        world.answering.clear()
        await world.clock.run(AGAIN_S + 10)
    assert world.once
    world.end()


async def test_who_claims_and_dies_leaves_it_to_another() -> None:
    world = World()
    await world.begin()
    world.claim("gw-2")
    world.nodes["gw-1"].kill()
    await world.clock.run(30)
    # It is there, and tells by itself what it has claimed, as it would after a restart of its own.
    assert sorted(world.told) == [("gw-2", transfer, "gw-1") for transfer in TRANSFERS]
    world.end()


async def test_a_claim_of_one_that_is_lost_holds_no_longer() -> None:
    world = World()
    await world.begin()
    world.claim("gw-2")
    world.nodes["gw-1"].kill()
    world.nodes["gw-2"].kill()
    await world.clock.run(30)
    assert sorted(world.told) == [("gw-3", transfer, "gw-1") for transfer in TRANSFERS]
    world.restart("gw-2")
    world.restart("gw-1").back()
    await world.clock.run(60)
    assert world.once
    world.end()


async def test_nobody_tells_of_one_that_was_stopped() -> None:
    world = World()
    await world.begin()
    world.nodes["gw-1"].line.kill()
    world.bus.publish("gw-1/status", b'{"state": "offline", "reason": "stopped"}')
    await world.clock.run(60)
    assert world.told == []
    world.end()


BODIES = ("{", "[]", "{}", '{"data": {}}', '{"data": null}', "\x00", "[" * 10_000)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_what_is_no_transfer_is_told_by_nobody_and_keeps_no_other(body: str) -> None:
    world = World()
    await world.begin()
    other = json.loads(payload(TRANSFERS[0]))
    world.bus.publish("gw-1/open/broken", body.encode())
    world.bus.publish("gw-1/open/another", json.dumps(other).encode())  # of another transfer than its topic says
    world.nodes["gw-1"].kill()
    await world.clock.run(60)
    assert world.once
    world.end()


async def test_who_says_nothing_is_lost_and_who_does_is_back() -> None:
    clock = VirtualClock(BEGIN)
    statuses = Statuses(clock)
    statuses.configure(["gw-2", "gw-3"])
    for node in ("gw-2", "gw-3", "a stranger"):
        statuses.heard(_status(node, b'{"state": "online", "at": "now"}'))
    for _ in range(8):
        clock.advance(SILENT_S / 7)
        statuses.lives("gw-3")
        statuses.look()
    assert [lost.node for lost in statuses.lost] == ["gw-2"]
    assert statuses.there == {"gw-3"}
    statuses.lives("gw-2")
    assert not statuses.is_lost("gw-2")
    clock.advance(2 * SILENT_S)
    statuses.connected()
    statuses.look()
    assert statuses.lost == []
    statuses.configure(["gw-3"])
    assert statuses.there == {"gw-3"}
    assert statuses.heard(_status("gw-3", b"["))


def _status(node: str, body: bytes) -> Heard:
    return Heard(node, "status", "", body)


class Said:
    """Stands for the connection to the broker."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []

    def topic(self, kind: str, name: str) -> str:
        return f"{kind}/{name}"

    def say(self, topic: str, body: bytes) -> None:
        self.said.append((topic, body))


async def test_others_are_told_of_what_lasts_and_of_its_end_at_once() -> None:
    line, clock = Said(), VirtualClock(BEGIN)
    own = OpenTransfers(cast("PeerLine", line), clock)
    telling = asyncio.ensure_future(own.run())
    await clock.run(1)
    own.happened("short", "1", ended=False)
    own.happened("short", "2", ended=True)
    own.happened("long", "1", ended=False)
    own.happened("long", "2", ended=False)
    await clock.run(1)
    assert line.said == [("open/long", b"2")]
    assert own.knows("long")
    own.happened("long", "3", ended=True)
    assert line.said == [("open/long", b"2"), ("open/long", b"")]
    own.happened("long", "4", ended=False)  # it comes late
    await clock.run(1)
    assert len(line.said) == 2
    assert not own.knows("long")
    telling.cancel()


async def test_of_very_many_the_first_are_told_of() -> None:
    line, clock = Said(), VirtualClock(BEGIN)
    own = OpenTransfers(cast("PeerLine", line), clock)
    telling = asyncio.ensure_future(own.run())
    with capture_logs() as logs:
        for number in range(MOST + 5):
            own.happened(str(number), "1", ended=False)
        await clock.run(1)
        own.happened("further", "1", ended=False)
        await clock.run(1)
    assert len(line.said) == MOST
    assert [each["event"] for each in logs] == ["open-transfers-untold"]
    telling.cancel()
