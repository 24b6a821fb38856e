# SPDX-License-Identifier: GPL-2.0-or-later
"""What can happen in a world: who may do what in a state, and that it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gateway.ports import TooLateError
from tests.bench import ASSIGNED, PBX, SALES, TRUNK, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config import Config
    from gateway.core.model import LegId

Move: TypeAlias = tuple[str, int, int]
"""What is done, and to which leg, call or transfer by its place in the order in which they came; -1: to none."""
LONG_S = 1000.0
SOON_S = 0.01


@dataclass(frozen=True)
class Scope:
    """How much there may be."""

    calls: int = 1
    transfers: int = 1
    replacements: int = 0
    commands: bool = True
    """Whether somebody cancels transfers and ends calls."""
    early: bool = False
    """Whether the platform is told of the end when the target rings, and dialling goes on after its deadline."""
    invites: bool = False
    """Whether the first call is the trunk's own, a transfer by itself."""
    asks: bool = False
    """Whether who answers is whispered to, and asked to take the call by a key."""
    keeps: bool = False
    """Whether callers talk on with the assistant, and their place is kept past its deadline."""
    calls_back: bool = False
    """Whether a caller who has hung up may be promised to be called back, once."""
    short: bool = False
    """Whether its time-outs are short enough to be waited for on a real wire."""


class World:
    """A bench, what has happened there, and what may happen next."""

    def __init__(self, config: Config, scope: Scope) -> None:
        self.bench = Bench(config)
        self._scope = scope
        self._calls = self._transfers = self._replacements = 0
        self._promised = not scope.calls_back
        if scope.calls_back:
            self.bench.fails(self.bench.calls_in("in-0", PBX, ASSIGNED), 487)
            self.bench.pass_time(SOON_S)
        self.too_late = 0
        """How many commands were refused for that."""

    # --- what may happen

    def moves(self) -> Iterator[Move]:
        """All of it."""
        legs = list(self.bench.sip.live.items())
        if self._calls < self._scope.calls:
            yield "call", -1, -1
        if not self._promised:
            yield "call back", -1, -1
        for place, (leg, state) in enumerate(legs):
            if state == "dialled":
                yield from (("ring", place, -1), ("answer", place, -1), ("refuse", place, -1))
                continue
            yield "hang up", place, -1
            if leg in self.bench.sip.whispered_to:
                yield from (("accept", place, -1), ("decline", place, -1))
            if state == "up":
                yield from self._requests(place, leg, legs)
        if self._scope.commands:
            yield from (("cancel", place, -1) for place in range(len(self.bench.engine.transfers)))
            yield from (("end", place, -1) for place in range(len(self.bench.engine.calls)))
        if self.bench.clock.waiting:
            yield "wait", -1, -1

    def _requests(self, place: int, leg: LegId, legs: list[tuple[LegId, str]]) -> Iterator[Move]:
        if self._transfers < self._scope.transfers:
            yield "refer", place, -1
            call = self.bench.engine.calls.of(leg)
            for other, (joined, state) in enumerate(legs):
                if state == "up" and self.bench.engine.calls.of(joined) is not call and self._alike(leg, joined):
                    yield "refer to", place, other
        if self._replacements < self._scope.replacements:
            yield "replace", place, -1
        if any(handle.leg == leg and not handle.deaf and handle.answered == [202] for handle in self.bench.handles):
            yield "deafen", place, -1

    def _alike(self, leg: LegId, other: LegId) -> bool:
        """Whether the same peer has both: a Replaces that names another's dialog never comes as far as the engine."""
        return self.bench.peer_of(leg) == self.bench.peer_of(other)

    # --- and does

    def play(self, move: Move) -> None:  # noqa: C901, PLR0912  # one case for each move
        """Have it happen."""
        what, place, other = move
        legs = list(self.bench.sip.live)
        match what:
            case "call":
                self._calls += 1
                peer, called = (TRUNK, SALES) if self._scope.invites and self._calls == 1 else (PBX, ASSIGNED)
                self.bench.calls_in(f"in-{self._calls}", peer, called)
            case "call back":
                self._promised = True
                self.bench.call_back("+31201112222", "support")
            case "ring":
                self.bench.rings(legs[place])
            case "answer":
                self.bench.answers(legs[place])
            case "accept" | "decline":
                self.bench.presses(legs[place], "1" if what == "accept" else "2")
            case "refuse":
                self.bench.fails(legs[place], 486)
            case "hang up":
                up = self.bench.sip.live[legs[place]] == "up"
                self.bench.fails(legs[place], 200 if up else 487)
            case "refer" | "refer to":
                self._transfers += 1
                self.bench.refer(legs[place], SALES, joins=legs[other] if what == "refer to" else None)
            case "replace":
                self._replacements += 1
                leg = legs[place]
                self.bench.calls_in(f"in-9{self._replacements}", self.bench.peer_of(leg), ASSIGNED, replaces=leg)
            case "deafen":
                self.bench.takes_no_more_notifys(legs[place])
            case "cancel":
                self._cancel(place)
            case "end":
                self.bench.engine.hang_up_call([call.id for call in self.bench.engine.calls][place])
                self.bench.sip.cut.clear()  # that is what was asked for
            case "wait":
                self.bench.clock.advance(max(self.bench.clock.due()[0][0], 0.0))

    def _cancel(self, place: int) -> None:
        try:
            self.bench.engine.cancel_transfer(self.bench.engine.transfers[place].id)
        except TooLateError:
            self.too_late += 1
