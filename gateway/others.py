# SPDX-License-Identifier: GPL-2.0-or-later
"""What this gateway and the others of its cluster know of one another; nothing where it is alone or has no broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.background import BackgroundTasks
from gateway.core.model import Elsewhere, Entry
from gateway.core.record import Milestone
from gateway.options import lives

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import Config
    from gateway.core.record import TransferRecord
    from gateway.engine import Engine
    from gateway.ports import Clock
    from gateway.report.peers.claims import Claims
    from gateway.report.peers.counts import SharedCounts
    from gateway.report.peers.line import Heard, PeerLine
    from gateway.report.peers.orphans import Orphans
    from gateway.report.peers.statuses import Statuses
    from gateway.report.reporter import EventReporter
    from gateway.report.sinks.mqtt.broker import Broker

GOODBYE_S = 2.0


def tells_of_lost(config: Config) -> bool:
    """Whether gateways tell the ends of one another's transfers."""
    return config.cluster is not None and config.cluster.orphan_after_s is not None and config.mqtt is not None


class OtherGateways:
    """See the module. It connects once something is configured that needs it, and stays connected.

    `on_told` gets each transfer whose end is told here, of a gateway that was lost or of this one before its restart.
    """

    def __init__(
        self, engine: Engine, reporter: EventReporter, on_told: Callable[[TransferRecord], None], clock: Clock
    ) -> None:
        self._engine = engine
        self._reporter = reporter
        self._on_told = on_told
        self._clock = clock
        self._tasks = BackgroundTasks()
        self._config: Config
        self._line: PeerLine | None = None
        self._statuses: Statuses
        self._counts: SharedCounts | None = None
        self._claims: Claims | None = None
        self._orphans: Orphans | None = None
        engine.beside(lambda: Elsewhere() if self._counts is None else self._counts.elsewhere)

    def start(self, config: Config, broker: Broker | None, left: Sequence[TransferRecord]) -> None:
        """Begin, where there is something to tell or to hear; `left`: interrupted ones of which nobody has told yet."""
        self.configure(config, broker)
        if self._orphans is not None:
            self._orphans.hold(left)

    def configure(self, config: Config, broker: Broker | None) -> None:
        """Take a configuration, at the start or at a reload; on the loop."""
        self._config = config
        if config.cluster is None or broker is None:
            return
        shared = [
            each.id for number in config.numbers for each in number.destinations.values() if each.max_concurrent_shared
        ]
        if self._line is None and (shared or tells_of_lost(config)):
            self._begin(config, broker)
        if self._line is not None and self._counts is not None:
            nodes = [node for node in config.cluster.nodes if node != config.gateway.instance]
            self._line.log_in(broker)
            self._statuses.configure(nodes)
            self._counts.configure(shared, nodes)

    def _begin(self, config: Config, broker: Broker) -> None:
        from gateway.report.peers import claims, counts, line, statuses  # noqa: PLC0415 - they bring the broker's client

        kinds = [statuses.KIND, counts.KIND]
        if tells_of_lost(config):
            kinds.append(f"{claims.KIND}/+")
        self._line = line.PeerLine(broker, self._clock, kinds, self._heard, self._anew)
        self._statuses = statuses.Statuses(self._clock)
        self._counts = counts.SharedCounts(self._line, self._engine.calls.per_destination, self._clock)
        if config.cluster is not None and config.cluster.orphan_after_s is not None:
            self._claims = claims.Claims(self._line, config.gateway.instance, self._clock)
            self._watch(self._line, self._claims, config.gateway.instance, config.cluster.orphan_after_s)
        self._tasks.begin("peers", self._line.run())
        self._tasks.begin("peer-counts", self._counts.run())

    def _watch(self, line: PeerLine, claims: Claims, instance: str, after_s: float) -> None:
        from gateway.report.peers.open_transfers import OpenTransfers  # noqa: PLC0415 - as above
        from gateway.report.peers.orphans import Orphans  # noqa: PLC0415

        own = OpenTransfers(line, self._clock)

        def happened(milestone: Milestone, record: TransferRecord, payload: str) -> None:
            if record.entry is not Entry.CALLBACK:  # what was promised outlives this process
                own.happened(record.transfer, payload, ended=milestone is Milestone.ENDED)

        self._reporter.on_event = happened
        self._orphans = Orphans(
            line, claims, self._statuses, own, self._reporter,
            instance=instance, after_s=after_s, lives=self._lives, on_told=self._on_told, clock=self._clock,
        )  # fmt: skip
        self._tasks.begin("open-transfers", own.run())
        self._tasks.begin("interrupted", self._orphans.settle())
        self._tasks.begin("open-transfers-tidied", self._orphans.tidy())
        self._tasks.begin("orphans", self._orphans.run())

    async def _lives(self, node: str) -> bool:
        places = self._config.cluster.nodes if self._config.cluster is not None else {}
        return node not in places or await lives(places[node], self._config.sip)

    def _heard(self, message: Heard) -> None:
        if message.kind == "status":
            is_there = self._statuses.heard(message)
            if self._counts is not None:
                self._counts.there(message.node, is_there=is_there)
        elif message.kind == "load" and self._counts is not None:
            if message.body and not message.is_old:
                self._statuses.lives(message.node)
            self._counts.heard(message)
        elif message.kind in {"open", "orphans"} and self._orphans is not None:
            self._orphans.heard(message)

    def _anew(self) -> None:
        if self._claims is not None:
            self._claims.anew()

    async def stop(self) -> None:
        """Have the broker know what is over, then say nothing any more, and hear nothing."""
        if self._orphans is not None:
            await self._orphans.finish(GOODBYE_S)
        self._reporter.settle()
        if self._line is not None:
            await self._line.flush(GOODBYE_S)
        await self._tasks.stop()
