# SPDX-License-Identifier: GPL-2.0-or-later
"""A broker that is none: it retains, tells all who read a topic in one order, and takes its time, as a seed says."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from gateway.report.peers.line import AwayError, Heard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from random import Random

    from tests.bench.clock import VirtualClock


class Bus:
    """What is retained, and who reads what; `latest_s`: how long a message is on its way at most, each way."""

    def __init__(self, clock: VirtualClock, chance: Random, latest_s: float) -> None:
        self.clock = clock
        self.latest_s = latest_s
        self.chance = chance
        self.retained: dict[str, bytes] = {}
        self.lines: list[BusLine] = []

    def publish(self, topic: str, body: bytes) -> None:
        """Retain a message and tell it to whoever reads its topic."""
        if body and not topic.endswith("/load"):
            self.retained[topic] = body
        else:
            self.retained.pop(topic, None)
        for line in self.lines:
            if line.reads(topic):
                line.deliver(topic, body)


class BusLine:
    """Stands for a PeerLine; `kill` is the end of its process."""

    def __init__(self, bus: Bus, instance: str, on_heard: Callable[[Heard], None]) -> None:
        self._bus = bus
        self._instance = instance
        self._on_heard = on_heard
        self._kinds = {"status", "orphans", "load"}
        self._nodes: set[tuple[str, str]] = set()
        self._free = {"up": 0.0, "down": 0.0}
        self._killed = False
        self.up, self.down = asyncio.Event(), asyncio.Event()
        bus.lines.append(self)
        for topic, body in bus.retained.items():
            if self.reads(topic):
                self.deliver(topic, body)
        self._later("down", self.up.set)

    def kill(self) -> None:
        """Nothing of it goes out any more, and nothing comes in."""
        self._killed = True
        self._bus.lines.remove(self)

    def reads(self, topic: str) -> bool:
        """Whether it has subscribed to this."""
        node, kind, *_ = topic.split("/")
        return kind in self._kinds or (kind, node) in self._nodes

    def deliver(self, topic: str, body: bytes) -> None:
        """Hear of a message, later."""
        node, kind, *rest = topic.split("/")
        self._later("down", lambda: self._on_heard(Heard(node, kind, "".join(rest), body)))

    def topic(self, kind: str, name: str = "", node: str | None = None) -> str:
        """See PeerLine."""
        return "/".join(part for part in (node or self._instance, kind, name) if part)

    def say(self, topic: str, body: bytes, lasts_s: int | None = None) -> None:
        """See PeerLine."""
        del lasts_s
        self._later("up", lambda: self._bus.publish(topic, body))

    async def tell(self, topic: str, body: bytes) -> None:
        """See PeerLine."""
        self.say(topic, body)
        await self._answered(lambda: None)

    @contextlib.asynccontextmanager
    async def listening(self, kind: str, node: str) -> AsyncIterator[None]:
        """See PeerLine."""

        def subscribed() -> None:
            self._nodes.add((kind, node))
            for topic, body in self._bus.retained.items():
                if topic.startswith(f"{node}/{kind}/"):
                    self.deliver(topic, body)

        if not self.up.is_set():
            raise AwayError("away")
        await self._answered(subscribed)
        yield
        self._nodes.discard((kind, node))

    async def _answered(self, act: Callable[[], None]) -> None:
        done = asyncio.get_running_loop().create_future()

        def acted() -> None:
            act()
            self._later("down", lambda: done.set_result(None))

        self._later("up", acted)
        await done

    def _later(self, way: str, act: Callable[[], object]) -> None:
        """Do it when its turn comes on this way: nothing overtakes anything."""
        now = self._bus.clock.now().steady
        at = max(self._free[way], now + self._bus.chance.uniform(0, self._bus.latest_s))
        self._free[way] = at
        self._bus.clock.after(at - now, lambda: None if self._killed else act())
