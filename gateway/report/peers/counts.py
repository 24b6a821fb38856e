# SPDX-License-Identifier: GPL-2.0-or-later
"""How many calls the gateways of a cluster have at the destinations whose limit they share.

Each says so when it changes, and every few seconds again. What a gateway says holds for half a minute, and no longer
than it is there: who is not heard of carries nothing, as far as anybody knows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

from pydantic import ValidationError

from gateway.core.json_form import timestamp
from gateway.core.model import Elsewhere
from gateway.ports import Clock, sleep
from gateway.report.peers.documents import LoadData
from gateway.report.peers.line import Heard, PeerLine

KIND = "load"
LOOK_EVERY_S = 0.2
AGAIN_S = 10.0
HOLDS_S = 30
_MOST_CALLS = 1_000_000  # of one gateway at one destination: whatever it says, its sum can be written out


class SharedCounts:
    """See the module. `running` is what this gateway has, by destination id."""

    def __init__(self, line: PeerLine, running: Callable[[], Mapping[str, int]], clock: Clock) -> None:
        self._line = line
        self._running = running
        self._clock = clock
        self._shared: Collection[str] = ()
        self._nodes: Collection[str] = ()  # the others
        self._counts: dict[str, tuple[float, Mapping[str, int]]] = {}  # by node: until when they hold, steady
        self._away: set[str] = set()
        self._elsewhere = Elsewhere()
        self._until = math.inf  # … when the first of them holds no longer
        self._said: Mapping[str, int] | None = None
        self._said_at = 0.0

    def configure(self, shared: Collection[str], nodes: Collection[str]) -> None:
        """Tell at which destinations calls are counted, and which other gateways there are."""
        self._shared, self._nodes = shared, nodes
        self._counts = {node: told for node, told in self._counts.items() if node in nodes}
        self._away.intersection_update(nodes)
        self._add_up()

    @property
    def elsewhere(self) -> Elsewhere:
        """What the others carry."""
        if self._clock.now().steady >= self._until:
            self._add_up()
        return self._elsewhere

    def heard(self, message: Heard) -> None:
        """Another gateway has said what it carries."""
        if message.node not in self._nodes:
            return
        try:
            calls = LoadData.model_validate_json(message.body).calls
        except ValidationError:  # nothing is retained any more, or nothing that can be read
            self._counts.pop(message.node, None)
            self._add_up()
            return
        calls = {destination: min(count, _MOST_CALLS) for destination, count in calls.items()}
        holds_s = min(HOLDS_S, message.lasts_s if message.lasts_s is not None else HOLDS_S)
        self._counts[message.node] = self._clock.now().steady + holds_s, calls
        self._add_up()

    def there(self, node: str, *, is_there: bool) -> None:
        """Whether a gateway is there: what it said before it went may come after that is known."""
        if node in self._nodes:
            (self._away.discard if is_there else self._away.add)(node)
            self._add_up()

    def _add_up(self) -> None:
        now = self._clock.now().steady
        self._counts = {node: told for node, told in self._counts.items() if told[0] > now}
        there = [calls for node, (_, calls) in self._counts.items() if node not in self._away]
        total: Counter[str] = Counter()
        for calls in there:
            total.update(calls)
        self._elsewhere = Elsewhere(len(there), total)
        self._until = min((until for until, _ in self._counts.values()), default=math.inf)

    async def run(self) -> NoReturn:
        """Say what this gateway carries until cancelled."""
        while True:
            self._look()
            await sleep(self._clock, LOOK_EVERY_S)

    def _look(self) -> None:
        now, running = self._clock.now().steady, self._running()
        counts = {name: running[name] for name in self._shared if running.get(name)}
        if counts == self._said and now < self._said_at + AGAIN_S:
            return
        self._said, self._said_at = counts, now
        document = LoadData(calls=counts, at=timestamp(self._clock.now().wall))
        self._line.say(self._line.topic(KIND), document.model_dump_json().encode(), HOLDS_S)
