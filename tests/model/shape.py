# SPDX-License-Identifier: GPL-2.0-or-later
"""What a state is made of, so that two that differ in names and times alone are one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.core.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench import Bench

LEFT_OUT = frozenset({
    "asked", "began", "began_at", "context", "number", "parties", "requested_at", "sentence", "trail",
})  # fmt: skip
"""Fields that say nothing of what happens next: texts, what is configured, and what follows from the rest."""
NAME = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}|\b(?:in|out)-\w+")
"""What each run names anew."""


def digest(bench: Bench) -> str:
    """Of a state. Two that have the same one go on alike."""
    return hashlib.blake2b(repr(Shape(bench).state()).encode(), digest_size=16).hexdigest()


class Shape:
    """A state as tuples, lists and words; names are numbered as they came up."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._now = bench.clock.now()
        self._names: dict[str, str] = {}
        for call in bench.engine.calls._by_id.values():
            self._renamed(call.id)
            for leg in call.legs:
                self._renamed(leg)
            for running in call.transfers:
                self._renamed(running.id)
                for leg in running.peers:
                    self._renamed(leg)

    def state(self) -> object:
        """All that decides what happens next."""
        sip = self._bench.sip
        return (
            [self._of(call) for call in self._bench.engine.calls._by_id.values()],
            self._of([*sip.live.items(), *sip.pairs.items()]),
            self._of([(one.leg, one.deaf, one.answered, one.notified, one.ended) for one in self._bench.handles]),
            [(round(left_s, 3), self._of(_what(act))) for left_s, act in self._bench.clock.due()],
        )

    def _renamed(self, text: str) -> str:
        return NAME.sub(lambda found: self._names.setdefault(found[0], f"#{len(self._names)}"), text)

    def _of(self, value: Any) -> object:  # one for each kind
        match value:
            case str():
                return self._renamed(value)
            case Enum() | int() | float() | None:
                return value
            case Moment():
                return "then"
            case datetime():
                # Of a time that is to come it matters how far off it is, of one that is past that there was one.
                return round(max(0.0, (value - self._now.wall).total_seconds()))
            case Mapping():
                return sorted(((self._of(key), self._of(each)) for key, each in value.items()), key=repr)
            case Set():
                return sorted((self._of(each) for each in value), key=repr)
            case tuple() | list():
                return [self._of(each) for each in value]
        if is_dataclass(value):
            names = [field.name for field in fields(value) if field.name not in LEFT_OUT]
            return type(value).__name__, [(name, self._of(getattr(value, name))) for name in names]
        return repr(value)


def _what(act: Callable[[], object]) -> list[str | int]:
    """What a timer does, and to whom."""
    if isinstance(act, partial):
        return [act.func.__qualname__, *(one for one in act.args if isinstance(one, str | int))]
    held = [cell.cell_contents for cell in getattr(act, "__closure__", None) or ()]
    return [act.__qualname__, *(one for one in held if isinstance(one, str | int))]
