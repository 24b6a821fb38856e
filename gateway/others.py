# SPDX-License-Identifier: GPL-2.0-or-later
"""What this gateway and the others of its cluster know of one another; nothing where it is alone or has no broker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gateway.background import BackgroundTasks
from gateway.core.model import Elsewhere

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.engine import Engine
    from gateway.ports import Clock
    from gateway.report.peers.counts import SharedCounts
    from gateway.report.peers.line import Heard, PeerLine
    from gateway.report.sinks.mqtt.broker import Broker


class OtherGateways:
    """See the module. It connects once something is configured that needs it, and stays connected."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._tasks = BackgroundTasks()
        self._line: PeerLine | None = None
        self._counts: SharedCounts | None = None
        engine.beside(lambda: Elsewhere() if self._counts is None else self._counts.elsewhere)

    def configure(self, config: Config, broker: Broker | None) -> None:
        """Take a configuration, at the start or at a reload; on the loop."""
        shared = [
            each.id for number in config.numbers for each in number.destinations.values() if each.max_concurrent_shared
        ]
        if config.cluster is None or broker is None:
            return
        if self._line is None and shared:
            self._begin(broker)
        if self._line is not None and self._counts is not None:
            self._line.log_in(broker)
            self._counts.configure(shared, [node for node in config.cluster.nodes if node != config.gateway.instance])

    def _begin(self, broker: Broker) -> None:
        from gateway.report.peers import counts, line  # noqa: PLC0415 - they bring the broker's client

        self._line = line.PeerLine(broker, self._clock, ("status", counts.KIND), self._heard)
        self._counts = counts.SharedCounts(self._line, self._engine.calls.per_destination, self._clock)
        self._tasks.begin("peers", self._line.run())
        self._tasks.begin("peer-counts", self._counts.run())

    def _heard(self, message: Heard) -> None:
        if self._counts is None:
            return
        if message.kind == "status":
            self._counts.there(message.node, is_there=_state(message.body) != "offline")
        else:
            self._counts.heard(message)

    async def stop(self) -> None:
        """Say nothing any more, and hear nothing."""
        await self._tasks.stop()


def _state(body: bytes) -> str:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(document.get("state", "")) if isinstance(document, dict) else ""
