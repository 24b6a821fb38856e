# SPDX-License-Identifier: GPL-2.0-or-later
"""Goes from state to state, breadth first, and never twice through the same one."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from structlog.testing import capture_logs

from gateway.config import load
from tests.config_directory import ASKING, CALLING_BACK, HOLDING, MAIN, PBX, TRUNK, write, write_whisper
from tests.model import invariants, tables
from tests.model.moves import Move, Scope, World
from tests.model.on_the_wire import company
from tests.model.shape import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.config import Config

Moves: TypeAlias = tuple[Move, ...]
Beyond: TypeAlias = tuple[list[tuple[Moves, str]], Counter[tables.Cell]]
"""The states that are one move further, each with the way there and its digest, and the cells gone through."""


@dataclass
class Found:
    """What there is as far as a depth."""

    states: list[int] = field(default_factory=lambda: [1])
    """New ones at each depth, the beginning first."""
    moves: int = 0
    """From one of them to another, or the same."""
    cells: Counter[tables.Cell] = field(default_factory=Counter)
    """Of the machines' tables, with how often each was gone through."""
    paths: list[Moves] = field(default_factory=list)
    """One to each state, the shortest first."""

    @property
    def complete(self) -> bool:
        """Whether there is nothing beyond."""
        return not self.states[-1]


class BrokenError(AssertionError):
    """What has to hold does not; tells the way there."""


@cache
def configuration(
    early: bool, short: bool = False, asks: bool = False, keeps: bool = False, calls_back: bool = False
) -> Config:
    """That of the bench, or of on_the_wire, with the platform's profile and the destinations as the scope has them."""
    if short:
        with tempfile.TemporaryDirectory() as directory:
            company.alone(early=early).write(Path(directory))
            return load(Path(directory))
    profiles = {"platform": TRUNK + 'final_notify = "on-ring"\nat_deadline = "continue"\n', "asterisk": PBX}
    with tempfile.TemporaryDirectory() as directory:
        write_whisper(Path(directory))
        main = CALLING_BACK if calls_back else HOLDING if keeps else ASKING if asks else MAIN
        return load(write(Path(directory), main, profiles if early else None))


def replayed(scope: Scope, path: Moves) -> World:
    """The world after this."""
    world = World(configuration(scope.early, scope.short, scope.asks, scope.keeps, scope.calls_back), scope)
    for move in path:
        world.play(move)
    return world


def beyond(scope: Scope, path: Moves) -> Beyond:
    """What is one move further, and holds there. Raises BrokenError."""
    found = []
    with tables.counted() as cells, capture_logs():
        for move in list(replayed(scope, path).moves()):
            further = (*path, move)
            try:
                world = replayed(scope, further)
                invariants.always(world.bench)
                state = digest(world.bench)
                invariants.in_the_end(world.bench)
            except Exception as error:
                raise BrokenError(f"{further}: {type(error).__name__}: {error}") from error
            found.append((further, state))
    return found, cells


def explore(scope: Scope, depth: int, each: Callable[..., Iterable[Beyond]] = map) -> Found:
    """All states that so many moves lead to; `each` may be the map() of a pool. Raises BrokenError."""
    told, seen = Found(paths=[()]), {digest(replayed(scope, ()).bench)}
    border: list[Moves] = [()]
    for _ in range(depth):
        results = each(beyond, repeat(scope), border)
        border = []
        for found, cells in results:
            told.moves += len(found)
            told.cells += cells
            for path, state in found:
                if state not in seen:
                    seen.add(state)
                    border.append(path)
        told.states.append(len(border))
        told.paths += border
        if not border:
            break
    return told
