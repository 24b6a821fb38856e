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
        self.work = 0
        """How often somebody has published or subscribed."""

    def publish(self, topic: str, body: bytes) -> None:
        """Retain a message and tell it to whoever reads its topic."""
        self.work += 1
        if body and not topic.endswith("/load"):
            self.retained[topic] = body
        else:
            self.retained.pop(topic, None)
        for line in self.lines:
            if line.reads(topic):
                line.deliver(topic, body)


class BusLine:
    """Stands for a PeerLine; `kill` is the end of its process, `lose` that of its connection."""

    def __init__(self, bus: Bus, instance: str, on_heard: Callable[[Heard], None]) -> None:
        self._bus = bus
        self._instance = instance
        self._on_heard = on_heard
        self.on_anew: Callable[[], None] = lambda: None
        self._kinds = {"status", "orphans", "load"}
        self._said: dict[str, tuple[bytes, bool]] = {}
        self._answers: set[asyncio.Future[None]] = set()
        self._killed = False
        self.times_up = 0
        self.retains_nothing = False
        self.up, self.down = asyncio.Event(), asyncio.Event()
        self.known = self.up
        self.connect()

    def connect(self) -> None:
        """Be at the broker, soon."""
        self._nodes: set[tuple[str, str]] = set()
        self._free = {"up": 0.0, "down": 0.0}
        self._bus.lines.append(self)
        self.on_anew()
        for topic, body in self._bus.retained.items():
            if self.reads(topic):
                self.deliver(topic, body, is_old=True)
        self._later("down", self._is_up)

    def _is_up(self) -> None:
        self.times_up += 1
        self.down.clear()
        self.up.set()
        for topic in list(self._said):
            self._send(topic)

    def lose(self) -> None:
        """What is on its way either way is lost."""
        self._bus.lines.remove(self)
        self.up.clear()
        self.down.set()
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(AwayError("lost"))

    def kill(self) -> None:
        """Nothing of it goes out any more, and nothing comes in."""
        self._killed = True
        if self in self._bus.lines:
            self._bus.lines.remove(self)

    def reads(self, topic: str) -> bool:
        """Whether it has subscribed to this."""
        node, kind, *_ = topic.split("/")
        return kind in self._kinds or (kind, node) in self._nodes

    def deliver(self, topic: str, body: bytes, *, is_old: bool = False) -> None:
        """Hear of a message, later."""
        node, kind, *rest = topic.split("/")
        self._later("down", lambda: self._on_heard(Heard(node, kind, "".join(rest), body, is_old=is_old)))

    def topic(self, kind: str, name: str = "", node: str | None = None) -> str:
        """See PeerLine."""
        return "/".join(part for part in (node or self._instance, kind, name) if part)

    def say(self, topic: str, body: bytes, lasts_s: int | None = None, *, once: bool = False) -> None:
        """See PeerLine."""
        del lasts_s
        self._said[topic] = body, bool(body) and not once
        if self.up.is_set():
            self._send(topic)

    def _send(self, topic: str) -> None:
        said = self._said[topic]

        def taken() -> None:
            if not said[1] and self._said.get(topic) is said:
                del self._said[topic]

        def publish() -> None:
            self._bus.publish(topic, said[0])
            self._later("down", taken)

        self._later("up", publish)

    async def tell(self, topic: str, body: bytes) -> None:
        """See PeerLine."""
        if not self.up.is_set():
            raise AwayError("away")
        if not self._said.get(topic, (b"", True))[1]:
            del self._said[topic]
        await self._answered(lambda: self._bus.publish(topic, body))

    @contextlib.asynccontextmanager
    async def listening(self, kind: str, node: str) -> AsyncIterator[None]:
        """See PeerLine."""

        def subscribed() -> None:
            self._bus.work += 1
            self._nodes.add((kind, node))
            for topic, body in self._bus.retained.items():
                if topic.startswith(f"{node}/{kind}/"):
                    self.deliver(topic, body, is_old=True)

        if not self.up.is_set():
            raise AwayError("away")
        await self._answered(subscribed)
        yield
        self._nodes.discard((kind, node))

    async def _answered(self, act: Callable[[], None]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def answer() -> None:
            if not done.done():
                done.set_result(None)

        def acted() -> None:
            act()
            self._later("down", answer)

        self._answers.add(done)
        try:
            self._later("up", acted)
            await done
        finally:
            self._answers.discard(done)

    def _later(self, way: str, act: Callable[[], object]) -> None:
        """Do it when its turn comes on this way: nothing overtakes anything, and nothing outlives its connection."""
        now, free = self._bus.clock.now().steady, self._free
        at = max(free[way], now + self._bus.chance.uniform(0, self._bus.latest_s))
        free[way] = at

        def arrive() -> None:
            if not self._killed and self in self._bus.lines and free is self._free:
                act()

        self._bus.clock.after(at - now, arrive)
