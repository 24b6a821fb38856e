# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the model's ways are played, by a rule.

1. Of all ways that can be played (`script.LeftOut` says which cannot), whichever adds most to the transitions of the
   machines' tables and to the outcomes that those before it have gone through; the shorter one of two, then the first.
2. When there is nothing more to add: whichever has most moves, each with the state in which it is made and the move
   before it, that none has had so far; the longer one of two, then as a seed has it.

So the first few of them already go through all that can be gone through.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from tests.model.on_the_wire.script import LeftOut, LeftOutError, written

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from tests.model.explore import Moves
    from tests.model.moves import Scope
    from tests.model.tables import Cell

SEED = 15


@dataclass(frozen=True)
class Way:
    """One that can be played, and what it adds."""

    scope: str
    path: Moves
    cells: frozenset[Cell]
    outcomes: tuple[str, ...]
    """Of its transfers, with their reasons."""
    moves: frozenset[tuple[str, str]]
    """Each with the one before it, and the state in which it is made."""
    waits_s: float


Judged: TypeAlias = "Way | LeftOut"


@dataclass
class Ways:
    """All that can be played."""

    found: list[Way] = field(default_factory=list)
    left_out: Counter[LeftOut] = field(default_factory=Counter)


def judged(name: str, scope: Scope, path: Moves) -> Judged:
    """A way, or why it is left out."""
    try:
        script = written(name, scope, path)
    except LeftOutError as error:
        why: LeftOut = error.args[0]
        return why
    return Way(
        name, path, script.cells, tuple(f"{one.outcome}: {one.reason}" for one in script.records),
        frozenset(pairwise(("", *script.states))), sum(step.waits_s for step in script.steps),
    )  # fmt: skip


def all_ways(name: str, scope: Scope, paths: Iterable[Moves], each: Callable[..., Iterable[Judged]] = map) -> Ways:
    """Those of a scope; `each` may be the map() of a pool."""
    ways = Ways()
    for one in each(partial(judged, name, scope), paths):
        if isinstance(one, Way):
            ways.found.append(one)
        else:
            ways.left_out[one] += 1
    return ways


def chosen(ways: Sequence[Way], count: int, seed: int = SEED) -> list[Way]:
    """So many of them by the rule above."""
    first = list(_greedy(ways, count, lambda way: {*way.cells, *way.outcomes}, lambda way: len(way.path)))
    chance = random.Random(seed)
    order = {id(way): chance.random() for way in ways}
    taken = {id(way) for way in first}
    rest = [way for way in ways if id(way) not in taken]
    known = frozenset(move for way in first for move in way.moves)
    more = list(_greedy(
        rest, count - len(first), lambda way: set(way.moves), lambda way: (-len(way.path), order[id(way)]), known,
    ))  # fmt: skip
    taken |= {id(way) for way in more}
    left = sorted((way for way in rest if id(way) not in taken), key=lambda way: (-len(way.path), order[id(way)]))
    return [*first, *more, *left][:count]


def _greedy(
    ways: Sequence[Way],
    count: int,
    holds: Callable[[Way], set[Hashable]],
    tie: Callable[[Way], object],
    known: Iterable[Hashable] = (),
) -> Iterable[Way]:
    """Whichever adds most, again and again, as long as one adds anything."""
    seen = set(known)
    heap = [(-len(holds(way) - seen), tie(way), place) for place, way in enumerate(ways)]
    heapq.heapify(heap)
    while heap and count > 0:
        promised, by, place = heapq.heappop(heap)
        adds = holds(ways[place]) - seen
        if not adds:
            continue
        if len(adds) < -promised:  # others were taken since: whether it is still the first has to be seen
            heapq.heappush(heap, (-len(adds), by, place))
            continue
        seen |= adds
        count -= 1
        yield ways[place]
