# SPDX-License-Identifier: GPL-2.0-or-later
"""Three gateways at a broker that is none, by a virtual clock: they die, are back, and lose what they need."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, cast

from gateway.core.json_form import timestamp
from gateway.core.record import Milestone, TransferRecord
from gateway.ports import sleep
from gateway.report.event import transfer_event, write
from gateway.report.peers.claims import Claims
from gateway.report.peers.documents import ClaimData
from gateway.report.peers.open_transfers import OpenTransfers
from gateway.report.peers.orphans import Orphans
from gateway.report.peers.statuses import Statuses
from gateway.report.store_file import StoreError
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.report import samples
from tests.report.peers.bus import Bus, BusLine

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.report.peers.line import Heard, PeerLine

AFTER_S = 2.0
NODES = ("gw-1", "gw-2", "gw-3")
TRANSFERS = [f"01HZX2Q7J8E9RT5VWXYZ00000{number}" for number in range(3)]
Told = tuple[str, str, str | None]  # who has told it, which, and of whom (None: of itself)


def payload(transfer: str) -> str:
    return write(transfer_event("gw-1", Milestone.REQUESTED, samples.requested(transfer), BEGIN))[0]


@dataclass
class Disk:
    """What a gateway keeps: of transfers that it was asked for itself, and of ends that it has told."""

    own: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    @property
    def running(self) -> set[str]:
        return self.own - self.ended


class Node:
    """A run of a gateway; what it keeps on disk is there for the next one."""

    def __init__(self, world: World, name: str, disk: Disk) -> None:
        self.world = world
        self.name = name
        self.disk = disk
        self.is_killed = False
        self.line = BusLine(world.bus, name, self.heard)
        line = cast("PeerLine", self.line)
        self.statuses = Statuses(world.clock)
        self.statuses.configure([node for node in NODES if node != name])
        self.claims = Claims(line, name, world.clock)
        self.line.on_anew = self.claims.anew
        self.own = OpenTransfers(line, world.clock)
        self.orphans = Orphans(
            line, self.claims, self.statuses, self.own, self, instance=name, after_s=AFTER_S,
            lives=self.lives, on_told=lambda _record: None, clock=world.clock,
        )  # fmt: skip
        self.tasks: list[asyncio.Future[None]] = []
        for work in (self.orphans.run(), self.orphans.settle(), self.orphans.tidy(), self.says_that_it_is_there()):
            self.tasks.append(asyncio.ensure_future(work))
        self.line.say(f"{name}/status", b'{"state": "online"}')

    def heard(self, message: Heard) -> None:
        if message.kind == "status":
            self.statuses.heard(message)
        elif message.kind == "load":
            self.statuses.lives(message.node)
        else:
            self.orphans.heard(message)

    async def says_that_it_is_there(self) -> None:
        while True:
            await sleep(self.world.clock, 10)
            self.line.say(f"{self.name}/load", b"1")

    async def lives(self, node: str) -> bool:
        return node in self.world.answering

    async def interrupted(
        self, record: TransferRecord, lost: str | None = None, at: datetime | None = None
    ) -> TransferRecord | None:
        del at
        await self.world.trouble(self)
        if record.transfer in self.disk.ended:
            return None
        assert record.transfer not in self.world.cursed
        await self.world.wait(self)
        self.disk.ended.add(record.transfer)
        self.world.told.append((self.name, record.transfer, lost))
        return record

    async def let_go(self, transfer: str) -> None:
        await self.world.trouble(self)
        await self.world.wait(self)
        self.disk.own.discard(transfer)

    async def knows(self, transfer: str) -> bool:
        await self.world.trouble(self)
        return transfer in self.disk.own | self.disk.ended

    def kill(self) -> None:
        self.is_killed = True
        self.line.kill()
        for task in self.tasks:
            task.cancel()
        self.world.bus.publish(f"{self.name}/status", b'{"state": "offline", "reason": "connection lost"}')

    def back(self) -> None:
        """Tell what was left under way."""
        self.orphans.hold([samples.requested(transfer) for transfer in sorted(self.disk.running)])

    def stop(self) -> None:
        """It is ended in order."""
        self.line.kill()
        for task in self.tasks:
            task.cancel()
        self.world.bus.publish(f"{self.name}/status", b'{"state": "offline", "reason": "stopped"}')

    def lose(self, *, is_seen: bool) -> None:
        """Its connection is lost; `is_seen`: that of its status is as well."""
        self.line.lose()
        if is_seen:
            self.world.bus.publish(f"{self.name}/status", b'{"state": "offline", "reason": "connection lost"}')


class World:
    """Three gateways, of which gw-1 dies with transfers under way."""

    def __init__(self, seed: int = 0, latest_s: float = 0.01) -> None:
        self.clock = VirtualClock(BEGIN)
        self.chance = Random(seed)
        self.bus = Bus(self.clock, self.chance, latest_s)
        self.told: list[Told] = []
        self.answering: set[str] = set()
        self.disks = {name: Disk() for name in NODES}
        self.disks["gw-1"].own.update(TRANSFERS)
        self.refusing: set[str] = set()  # gateways whose disk refuses whatever it is asked
        self.cursed: set[str] = set()  # transfers over which whoever tells them has a fault
        self.slow_s = 0.0  # how long a disk takes at most
        self.nodes = {name: self.node(name) for name in NODES}

    def node(self, name: str) -> Node:
        return Node(self, name, self.disks[name])

    def restart(self, name: str) -> Node:
        self.nodes[name] = made = self.node(name)
        return made

    async def trouble(self, node: Node) -> None:
        """What it is to meet a disk that refuses."""
        await asyncio.sleep(0)
        if node.name in self.refusing:
            raise StoreError("the disk is full")

    async def wait(self, node: Node) -> None:
        """… and one that is slow."""
        if self.slow_s:
            await sleep(self.clock, self.chance.uniform(0, self.slow_s))
        assert not node.is_killed

    def claim(self, by: str, *, told: bool = False) -> None:
        """What the broker retains of claims to all of them: an earlier run of this gateway's."""
        claim = ClaimData(by=by, mark="of its run", told=told, at=timestamp(BEGIN)).model_dump_json().encode()
        for transfer in TRANSFERS:
            self.bus.publish(f"gw-1/orphans/{transfer}", claim)

    async def dies_and_is_back(self) -> None:
        """gw-1, at any moment of the time in which others begin to tell."""
        self.nodes["gw-1"].kill()
        await self.clock.run(self.chance.uniform(0, 2 * AFTER_S))
        self.restart("gw-1").back()

    async def begin(self) -> None:
        await self.clock.run(2)
        for transfer in TRANSFERS:
            self.bus.publish(f"gw-1/open/{transfer}", payload(transfer).encode())

    def end(self) -> None:
        for node in self.nodes.values():
            for task in node.tasks:
                task.cancel()

    @property
    def once(self) -> bool:
        return sorted(transfer for _, transfer, _ in self.told) == TRANSFERS

    @property
    def each(self) -> bool:
        """Each is told; of the same id, whoever tells it."""
        return {transfer for _, transfer, _ in self.told} == set(TRANSFERS)

    @property
    def open(self) -> list[str]:
        return [topic for topic in self.bus.retained if "/open/" in topic]
