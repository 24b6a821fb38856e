# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells the broker of each number's availability, when it becomes another one.

What can change it is looked at each second, and costs next to nothing while it stays; hours and wrap-up change by time
alone, so the gate is asked anew every few seconds whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import structlog

from gateway.core.availability import Document, availability_document, what_changes
from gateway.core.json_form import timestamp
from gateway.ports import sleep

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.config import Config
    from gateway.core.gate import Situation
    from gateway.core.model import AssignedNumber, PbxState
    from gateway.ports import Clock

EVERY_S = 1.0
AT_LEAST_EVERY_S = 5.0

log = structlog.get_logger("app")


@dataclass(frozen=True, slots=True)
class _Told:
    """What was last published of a number, and what it was made of."""

    number: AssignedNumber
    circumstances: object
    until: float  # steady
    document: Document


class AvailabilityNotices:
    """`publish` takes the id of a number and its document; `situation` is what the gate looks at now."""

    def __init__(
        self,
        config: Callable[[], Config],
        situation: Callable[[], Situation],
        publish: Callable[[str, Document], object],
        clock: Clock,
    ) -> None:
        self._config = config
        self._situation = situation
        self._publish = publish
        self._clock = clock
        self._told: dict[str, _Told] = {}
        self._states: dict[str, tuple[int, object]] = {}  # by PBX: a count of its changes, and what it last told

    async def run(self) -> NoReturn:
        """Look and publish until cancelled; a fault of ours must not silence it for ever."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("availability-failed")
            await sleep(self._clock, EVERY_S)

    async def look(self) -> None:
        """Publish what has changed since the last time."""
        config, situation = self._config(), self._situation()
        changes = {name: self._changes(state, situation.now) for name, state in situation.pbxs.items()}
        load = situation.load
        for number in config.numbers:
            limited = [one.id for one in number.destinations.values() if one.max_concurrent is not None]
            here = load.per_destination, load.elsewhere.running
            running = tuple(counts.get(one, 0) for counts in here for one in limited)
            told = tuple(changes.get(name) for name in sorted(number.pbxs))
            self._look_at(number, config, situation, (told, running, load.draining, load.exhausted))
            await asyncio.sleep(0)  # calls come first, however many numbers there are
        for gone in self._told.keys() - {number.id for number in config.numbers}:
            last = self._told.pop(gone)
            self._publish(gone, {**last.document, "at": timestamp(situation.now), "destinations": []})

    def _look_at(self, number: AssignedNumber, config: Config, situation: Situation, circumstances: object) -> None:
        last, now = self._told.get(number.id), self._clock.now().steady
        if last is not None and last.number is number and last.circumstances == circumstances and now < last.until:
            return
        document = availability_document(number, config.routes, situation)
        if last is None or what_changes(document) != what_changes(last.document):
            self._publish(number.id, document)
        self._told[number.id] = _Told(number, circumstances, now + AT_LEAST_EVERY_S, document)

    def _changes(self, state: PbxState, now: datetime) -> int:
        """How often a PBX has told something else so far, its silence included."""
        told = (state.fresh(now), state.queues, state.extensions, state.unsettled, state.withheld)
        count, before = self._states.get(state.pbx, (0, None))
        if told != before:
            count += 1
            self._states[state.pbx] = count, told
        return count
