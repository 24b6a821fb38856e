# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays many ways, several at a time, and sees at the end that each request had one outcome and nothing is left."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.model.on_the_wire.playing import DifferenceError, LateError, Play
from tests.model.on_the_wire.script import written
from tests.model.on_the_wire.stage import ENDED, REQUESTED, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.model.moves import Scope
    from tests.model.on_the_wire.choosing import Way
    from tests.model.on_the_wire.stage import Place
    from tests.support.processes import Net

PLACES = 10
"""Each takes three of PJSUA's accounts, of which there are 32 at most."""
TRIES = 5
"""How often a way is played alone for which this machine was too late when others were played beside it."""
LEFT_S = 60.0
"""Within which nothing is left: a NOTIFY that nobody answers any more takes 32 s."""


@dataclass
class Result:
    """What came of it."""

    played: int = 0
    late: int = 0
    """How often a way was played again since this machine was too late."""
    last_late: str = ""
    """What was different when that was so last."""
    faults: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    """Of all transfers, as their events tell."""

    def lines(self) -> Iterator[str]:
        """What is printed."""
        yield f"{self.played} ways played, {self.late} of them again, for this machine was late"
        counted = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        yield f"{self.outcomes.total()} transfers: {counted}"
        yield f"{len(self.faults)} differences" + "".join(f"\n{one}" for one in self.faults[:5])


async def play(net: Net, ways: Iterable[Way], scopes: Mapping[str, Scope], places: int = PLACES) -> Result:
    """Play them all."""
    result, again = Result(), deque["Way"]()
    async with Stage(net, places) as stage:
        waiting = iter(ways)

        async def at(place: Place) -> None:
            for way in waiting:
                if await _play(stage, place, way, scopes[way.scope], result):
                    continue
                again.append(way)

        await asyncio.gather(*map(at, stage.places))
        for way in again:
            for _ in range(TRIES):
                if await _play(stage, stage.places[0], way, scopes[way.scope], result):
                    break
            else:
                result.faults.append(f"{way.scope} {way.path}: too late each time, at last {result.last_late}")
        await _nothing_is_left(stage, result)
    return result


async def _play(stage: Stage, place: Place, way: Way, scope: Scope, result: Result) -> bool:
    """False: it was too late."""
    one = Play(stage, place, written(way.scope, scope, way.path), scope)
    try:
        await one.played()
    except LateError as error:
        result.late, result.last_late = result.late + 1, str(error)
        await one.given_up()
        return False
    except DifferenceError as error:
        result.faults.append(str(error))
        await one.given_up()
    result.played += 1
    return True


async def _nothing_is_left(stage: Stage, result: Result) -> None:
    await stage.gateway.idle(LEFT_S)
    asked = {one["data"]["transfer"] for one in stage.events if one["type"] == REQUESTED}
    await stage.broker.until(lambda: len(_ended(stage)) >= len(asked), within=LEFT_S)
    ended = _ended(stage)
    result.outcomes.update(f"{one['outcome']}: {one['reason']}" for one in ended)
    if sorted(one["transfer"] for one in ended) != sorted(asked):
        result.faults.append(f"{len(ended)} outcomes of {len(asked)} transfers")
    counted = await stage.gateway.metric("transfer_gateway_transfers_total")
    if counted != len(asked):
        result.faults.append(f"the metrics have {counted} transfers, the events {len(asked)}")
    result.faults += [line for line in stage.gateway.log.splitlines() if " error " in line]


def _ended(stage: Stage) -> list[dict[str, str]]:
    return [one["data"] for one in stage.events if one["type"] == ENDED]
