# SPDX-License-Identifier: GPL-2.0-or-later
"""What must happen on the wire when a way through the model is played there, or why it cannot be played.

A way goes on behind its end until nobody is left: who rings is refused, who talks hangs up, time-outs run out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from gateway.core.record import Milestone
from tests.model import tables
from tests.model.explore import configuration
from tests.model.moves import World

if TYPE_CHECKING:
    from gateway.core.model import LegId, TransferId
    from gateway.core.record import TransferRecord
    from tests.bench.bench import Handle
    from tests.model.explore import Moves
    from tests.model.moves import Move, Scope

AT_ONCE_S = 0.05
"""What is due so soon happens in the gateway's own turn: nobody outside can be sure to come before it."""
GAP_S = 0.8
"""Two time-outs have to be so far from each other, and a move so far from the next of them, to have an order."""
WAIT: Move = ("wait", -1, -1)


class LeftOut(StrEnum):
    """Why a way is not played: the order of two things in it is nobody's outside of the gateway to decide."""

    CROSSING = "something is done while the gateway has yet to do what it has decided"
    AT_HAND = "something is done when a time-out is about to fall due"
    TOGETHER = "two time-outs fall due almost at once"


class LeftOutError(Exception):
    """The way cannot be played; the reason is its argument."""


@dataclass
class Told:
    """What a leg's far end is told, from the beginning of the leg; a peer's own requests and answers are not in it."""

    called: str = ""
    """The user whom the gateway's INVITE names, where it dials."""
    responses: list[int] = field(default_factory=list)
    """To the far end's INVITE, 100 left out."""
    referred: list[int] = field(default_factory=list)
    """Final responses to its REFERs."""
    requests: list[str] = field(default_factory=list)
    """NOTIFYs with the code that they tell of, CANCEL and BYE."""


@dataclass
class Step:
    """A move, and what the far ends have been told when it is done and nothing is due at once any more."""

    move: Move
    leg: LegId | None
    """Whose far end does it."""
    other: LegId | None = None
    """The leg that a REFER's Replaces names, or that a new one replaces is `leg`."""
    new: LegId | None = None
    """The leg that comes of it, where a peer calls."""
    call: tuple[LegId, ...] = ()
    """The legs of the call that is ended by command."""
    number: int = -1
    """Of the transfer that is cancelled, in the order in which all were asked for."""
    accepted: bool = True
    """Whether a command is carried out."""
    waits_s: float = 0.0
    running: bool = False
    """Whether time-outs run when it begins."""
    dialled: list[LegId] = field(default_factory=list)
    """In this order."""
    told: dict[LegId, Told] = field(default_factory=dict)


@dataclass
class Script:
    """A way through the model, as the wire has to show it."""

    scope: str
    path: Moves
    steps: list[Step] = field(default_factory=list)
    records: list[TransferRecord] = field(default_factory=list)
    """The outcomes, in the order in which the transfers were asked for."""
    joined: tuple[int, dict[LegId, LegId]] = (0, {})
    """Who hears whom after so many steps, which are those of the path itself."""
    refused: dict[tuple[LegId, int], int] = field(default_factory=dict)
    """Which NOTIFY of a leg (by its place) is kept waiting, until its refusal at this step."""
    cells: frozenset[tables.Cell] = frozenset()
    states: tuple[str, ...] = ()
    """What is done, and in which state of the call and its transfers: by these ways are compared."""


def written(name: str, scope: Scope, path: Moves) -> Script:
    """The script of a way. Raises LeftOutError."""
    with tables.counted() as cells, capture_logs():
        script = _Writer(name, scope, path).written()
    script.cells = frozenset(cells)
    return script


class _Writer:
    def __init__(self, name: str, scope: Scope, path: Moves) -> None:
        self._script = Script(name, path)
        self._world = World(configuration(scope.early, scope.short), scope)
        self._bench = self._world.bench
        self._told: dict[LegId, Told] = defaultdict(Told)
        self._states: dict[LegId, str] = {}  # offered | dialled | up | over, as the wire has them
        self._said = 0
        self._known: dict[int, tuple[int, int]] = {}  # of each handle, how many answers and NOTIFYs were seen
        self._seen: list[str] = []

    def written(self) -> Script:
        """All of it."""
        for move in self._script.path:
            self._play(move)
        self._settle()
        self._script.joined = len(self._script.steps), dict(self._bench.sip.pairs)
        while (last := self._ending()) is not None:
            self._play(last)
        self._bench.check()
        by_transfer = {one.transfer: one for one in self._bench.ends()}
        self._script.records = [by_transfer[one] for one in self._transfers()]
        self._script.states = tuple(self._seen)
        return self._script

    def _ending(self) -> Move | None:
        """What is done next so that nothing is left in the end."""
        due = self._bench.clock.due()
        if due and due[0][0] < GAP_S:
            return WAIT
        for place, state in enumerate(self._bench.sip.live.values()):
            return ("refuse" if state == "dialled" else "hang up"), place, -1
        return WAIT if due else None

    def _play(self, move: Move) -> None:
        due = [left_s for left_s, _ in self._bench.clock.due()]
        if move == WAIT and due[0] <= AT_ONCE_S:
            self._settle()
            return
        if due and move != WAIT and due[0] <= AT_ONCE_S:
            raise LeftOutError(LeftOut.CROSSING)
        if due and move != WAIT and due[0] < GAP_S:
            raise LeftOutError(LeftOut.AT_HAND)
        later = [left_s for left_s in due if left_s > due[0] + AT_ONCE_S]
        if move == WAIT and later and later[0] < due[0] + GAP_S:
            raise LeftOutError(LeftOut.TOGETHER)
        step = self._step(move)
        step.running = bool(due)
        step.waits_s = due[0] if move == WAIT else 0.0
        self._seen.append(self._state(move))
        self._script.steps.append(step)
        if move[0] == "deafen" and step.leg is not None:
            self._refuse_notifys(step.leg)
        before, refused = set(self._bench.sip.live), self._world.too_late
        self._world.play(move)
        step.accepted = self._world.too_late == refused
        self._note(move, step, before)

    def _settle(self) -> None:
        """Whatever is due at once is done, as part of the last step."""
        if not self._script.steps:
            return
        before = set(self._bench.sip.live)
        while (due := self._bench.clock.due()) and due[0][0] <= AT_ONCE_S:
            self._bench.clock.advance(max(due[0][0], 0.0))
        self._note(WAIT, self._script.steps[-1], before)

    def _step(self, move: Move) -> Step:
        what, place, other = move
        legs = list(self._bench.sip.live)
        if what in {"call", "wait"}:
            return Step(move, None)
        if what == "end":
            return Step(move, None, call=tuple(list(self._bench.engine.calls)[place].legs))
        if what == "cancel":
            transfer = self._bench.engine.transfers[place]
            return Step(move, None, number=self._transfers().index(transfer.id))
        return Step(move, legs[place], other=legs[other] if what == "refer to" else None)

    def _state(self, move: Move) -> str:
        """What is done, in which state of all calls."""
        calls = (f"{call.state}:{','.join(str(one.machine.state) for one in call.transfers)}"
                 for call in self._bench.engine.calls)  # fmt: skip
        return f"{move[0]} in {' '.join(calls)}"

    def _transfers(self) -> list[TransferId]:
        """In the order in which they were asked for."""
        return list(dict.fromkeys(one.transfer for stage, one in self._bench.witness.told
                                  if stage is Milestone.REQUESTED))  # fmt: skip

    def _refuse_notifys(self, leg: LegId) -> None:
        """The last NOTIFY so far is the one that is refused, at this step."""
        told = sum(one.startswith("NOTIFY") for one in self._told[leg].requests)
        self._script.refused[leg, told - 1] = len(self._script.steps) - 1

    # --- what the far ends are told

    def _note(self, move: Move, step: Step, before: set[LegId]) -> None:
        what, _, _ = move
        for leg, state in self._bench.sip.live.items():
            if leg not in before and leg not in self._states and state in {"offered", "up"} and leg.startswith("in-"):
                step.new = leg
        if step.new is not None:
            self._states.setdefault(step.new, "offered")
        if what == "answer" and step.leg is not None:
            self._states[step.leg] = "up"
        if what in {"hang up", "refuse"} and step.leg is not None:
            if what == "hang up" and self._states[step.leg] == "offered":
                self._told[step.leg].responses.append(487)
            self._states[step.leg] = "over"
        for handle in self._bench.handles:
            self._note_notifys(handle)
        for line in self._bench.said[self._said :]:
            self._note_line(line.split(), step)
        self._said = len(self._bench.said)
        step.told = {
            leg: Told(one.called, list(one.responses), list(one.referred), list(one.requests))
            for leg, one in self._told.items()
        }

    def _note_notifys(self, handle: Handle) -> None:
        answers, notifys = self._known.get(id(handle), (0, 0))
        told = self._told[handle.leg]
        told.referred += handle.answered[answers:]
        # A subscription outlives the call of its dialog (RFC 5057 §4.1).
        told.requests += [f"NOTIFY {code}" for code in handle.notified[notifys:]]
        self._known[id(handle)] = len(handle.answered), len(handle.notified)

    def _note_line(self, words: list[str], step: Step) -> None:
        match words:
            case ["dial", user, "at", _, "as", name]:
                leg = self._named(name)
                self._states[leg] = "dialled"
                self._told[leg].called = user
                step.dialled.append(leg)
            case ["respond", name, code] if self._states[self._named(name)] == "offered":
                self._told[self._named(name)].responses.append(int(code))
                if int(code) == 200:
                    self._states[self._named(name)] = "up"
            case ["hang", "up", name, code, *_]:
                self._hung_up(self._named(name), int(code))

    def _hung_up(self, leg: LegId, code: int) -> None:
        match self._states[leg]:
            case "offered":
                self._told[leg].responses.append(code)
            case "dialled":
                self._told[leg].requests.append("CANCEL")
            case "up":
                self._told[leg].requests.append("BYE")
        self._states[leg] = "over"

    def _named(self, name: str) -> LegId:
        return next(leg for leg in (*self._states, *(one.leg for one in self._bench.sip.orders)) if leg == name)
