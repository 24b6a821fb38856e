# SPDX-License-Identifier: GPL-2.0-or-later
"""Which gateways of the cluster the broker has, and which it has lost: their status, which is also their will.

A broker that was restarted may have an old status of one that died meanwhile, and tells no will of it: who says nothing
for a while, though each does every few seconds, is lost as well.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import structlog
from pydantic import BaseModel, ValidationError

from gateway.core.moment import Moment
from gateway.ports import Clock
from gateway.report.peers.line import Heard

KIND = "status"

SILENT_S = 35.0
_MOST = 1000
_LONGEST = 64  # characters of an `instance`

log = structlog.get_logger(__name__)


class _Status(BaseModel):
    state: str
    reason: str | None = None

    @property
    def is_there(self) -> bool:
        return self.state != "offline"


@dataclass(frozen=True, slots=True)
class Lost:
    """A gateway whose will the broker has told."""

    node: str
    since: Moment  # when we heard of it


class Statuses:
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._nodes: Collection[str] = ()  # the others
        self._told: dict[str, _Status] = {}  # what is retained of each, also of one that a reload may make one of them
        self._there: set[str] = set()
        self._lost: dict[str, Lost] = {}
        self._heard: dict[str, float] = {}  # when each of those that are there was last heard of, steady

    def configure(self, nodes: Collection[str]) -> None:
        """Tell which other gateways there are. What was retained of a new one has been heard, and is not told again."""
        added, self._nodes = [node for node in nodes if node not in self._nodes], nodes
        self._there.intersection_update(nodes)
        self._lost = {node: lost for node, lost in self._lost.items() if node in nodes}
        for node in added:
            if (status := self._told.get(node)) is not None:
                self._take(node, status)

    def heard(self, message: Heard) -> bool:
        """A gateway has said how it is, or the broker has; whether it is there."""
        try:
            status = _Status.model_validate_json(message.body)
        except ValidationError:
            return message.node in self._there
        node = message.node
        if node in self._told or (len(self._told) < _MOST and len(node) <= _LONGEST):
            self._told[node] = status
        if node in self._nodes:
            self._take(node, status)
        return status.is_there

    def _take(self, node: str, status: _Status) -> None:
        is_lost = not status.is_there and status.reason == "connection lost"
        self._set(node, is_there=status.is_there, is_lost=is_lost)

    def lives(self, node: str) -> None:
        """A gateway has said anything else."""
        if node in self._nodes:
            self._heard[node] = self._clock.now().steady
            if node in self._lost:
                self._set(node, is_there=True, is_lost=False)

    def connected(self) -> None:
        """Nothing could be heard until now."""
        self._heard = dict.fromkeys(self._there, self._clock.now().steady)

    def look(self) -> None:
        """Find out who says nothing any more; called from time to time while anything could be heard."""
        now = self._clock.now().steady
        for node in list(self._there):
            if now - self._heard.setdefault(node, now) > SILENT_S:
                self._set(node, is_there=False, is_lost=True)

    def _set(self, node: str, *, is_there: bool, is_lost: bool) -> None:
        (self._there.add if is_there else self._there.discard)(node)
        self._heard[node] = self._clock.now().steady
        if not is_lost:
            if self._lost.pop(node, None) is not None:
                log.info("gateway-back", node=node)
        elif node not in self._lost:
            self._lost[node] = Lost(node, self._clock.now())
            log.warning("gateway-lost", node=node)

    @property
    def there(self) -> frozenset[str]:
        """The other gateways that the broker has."""
        return frozenset(self._there)

    @property
    def lost(self) -> list[Lost]:
        """Those that it has lost."""
        return list(self._lost.values())

    def is_lost(self, node: str) -> bool:
        """Whether it has lost this one."""
        return node in self._lost
