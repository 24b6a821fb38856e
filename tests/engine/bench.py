# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine between a user agent that is none, and witnesses; any single thing that is asked of them may fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from gateway.core.caller import Asserted, CallerId
from gateway.core.model import LegId, Peer, PeerKind
from gateway.core.outcome import CallEnd, Reason
from gateway.core.record import CallRecord, Milestone, TransferRecord
from gateway.engine import Engine
from gateway.ports import DialOrder, IncomingCall, Observer, ReferRequest

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import Announcement, PbxState

TRUNK, PBX = Peer("platform", PeerKind.TRUNK), Peer("asterisk", PeerKind.PBX)
ASSIGNED = "sip:+31201234567@gw"
SALES, SUPPORT = "sip:+31612345678@gw", "sip:+31612345679@gw"
EVE = CallerId("sip:+31201112222@far", "Eve")
BEGIN = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


class InjectedError(Exception):
    """What a test makes fail."""


class Chance:
    """Counts what is asked; the `fails`-th time it fails."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.asked = 0
        self.what = ""

    def take(self, what: str) -> None:
        """Something is asked."""
        self.asked += 1
        if self.asked == self.fails:
            self.what = what
            raise InjectedError(what)


class Agent:
    """A SipPort: legs that are there until they are hung up, and who hears whom."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self.live: dict[LegId, str] = {}  # offered | dialled | up
        self.pairs: dict[LegId, LegId] = {}
        self.orders: list[DialOrder] = []
        self.hung_up: list[LegId] = []
        self.asserts: str | None = None  # who answers
        self.engine: Engine

    def dial(self, order: DialOrder) -> None:
        self._chance.take("dial")
        self.orders.append(order)
        self.live[order.leg] = "dialled"

    def hand_down(self, order: object) -> None:
        raise NotImplementedError

    def has_room(self) -> bool:
        self._chance.take("has_room")
        return True

    def heard(self, leg: LegId) -> int:
        return 0

    def respond(self, leg: LegId, code: int) -> None:
        self._chance.take(f"respond {code}")
        if self.live.get(leg) == "offered" and code == 200:
            self.live[leg] = "up"

    def hang_up(self, leg: LegId, code: int, reason: Reason, retry_after_s: int | None = None) -> None:
        self._chance.take(f"hang_up {leg}")
        if leg in self.live:
            self.hung_up.append(leg)
            asyncio.get_running_loop().call_soon(self.end, leg, 487 if self.live[leg] == "dialled" else 200, False)

    def join(self, one: LegId, other: LegId) -> bool:
        self._chance.take("join")
        if one not in self.live or other not in self.live:
            return False
        self._leave(one)
        self._leave(other)
        self.pairs |= {one: other, other: one}
        return True

    def wait(self, leg: LegId, target: LegId | None = None, announcement: Announcement | None = None) -> None:
        self._chance.take("wait")
        self._leave(leg)

    def part(self, leg: LegId) -> None:
        self._chance.take("part")
        self._leave(leg)

    def asserted(self, leg: LegId) -> Asserted:
        self._chance.take("asserted")
        return Asserted((CallerId(self.asserts),) if self.asserts else ())

    def call_id(self, leg: LegId) -> str | None:
        self._chance.take("call_id")
        return f"{leg}@test"

    def end(self, leg: LegId, code: int = 200, by_peer: bool = True) -> None:
        """A leg is over."""
        if self.live.pop(leg, None):
            self._leave(leg)
            self.engine.leg_ended(leg, code, by_peer, CallEnd.HUNG_UP)

    def _leave(self, leg: LegId) -> None:
        other = self.pairs.pop(leg, None)
        if other is not None:
            del self.pairs[other]


class Witness:
    """A Reporter and an Observer."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self.told: list[tuple[Milestone, TransferRecord]] = []
        self.calls: list[CallRecord] = []
        self.stages: Counter[str] = Counter()

    def transfer(self, milestone: Milestone, record: TransferRecord) -> None:
        self.told.append((milestone, record))
        self._chance.take(f"report {milestone}")

    def call_ended(self, record: CallRecord) -> None:
        self.calls.append(record)
        self._chance.take("report call")

    def queue_snapshot(self, state: PbxState) -> None:
        self._chance.take("report queue")

    def transfer_stage(self, stage: str, delta: int) -> None:
        self.stages[stage] += delta
        self._chance.take("stage")

    def __getattr__(self, name: str) -> Any:
        return lambda *_facts: self._chance.take(name)


class Handle:
    """A ReferHandle."""

    def __init__(self, chance: Chance, accepts: bool = True) -> None:
        self._chance = chance
        self._accepts = accepts
        self.answered: list[int] = []
        self.notified: list[int] = []

    def answer(self, code: int, reason: Reason, retry_after_s: int | None = None) -> bool:
        self._chance.take(f"answer {code}")
        if self._accepts:
            self.answered.append(code)
        return self._accepts

    def notify(self, code: int, reason: Reason, final: bool) -> None:
        self._chance.take(f"notify {code}")
        self.notified.append(code)


@dataclass
class Wall:
    """A clock that goes with the loop's, unless it is set."""

    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return BEGIN + self.offset + timedelta(seconds=asyncio.get_running_loop().time() - 1000)


class Bench:
    """An engine with all that it needs; made within a running loop."""

    def __init__(self, config: Config, fails: int = 0) -> None:
        self.chance = Chance(fails)
        self.wall = Wall()
        self.agent = Agent(self.chance)
        self.witness = Witness(self.chance)
        self.engine = Engine(config, self.witness, cast("Observer", self.witness), clock=self.wall)
        self.agent.engine = self.engine
        self.engine.attach(self.agent)

    def calls_in(self, leg: str, peer: Peer, called: str, caller: CallerId = EVE) -> LegId:
        """A peer calls."""
        self.agent.live[LegId(leg)] = "offered"
        self.engine.incoming_call(IncomingCall(LegId(leg), peer, f"{leg}@test", (called,), (caller,)))
        return LegId(leg)

    def rings(self, leg: LegId | None, code: int = 180) -> None:
        """What was dialled rings, if it is there."""
        if leg in self.agent.live:
            self.engine.leg_progress(leg, code)

    def answers(self, leg: LegId | None) -> None:
        """What was dialled answers, if it is there."""
        if leg in self.agent.live:
            self.agent.live[leg] = "up"
            self.engine.leg_answered(leg)

    def fails(self, leg: LegId | None, code: int = 486) -> None:
        """A leg ends, if it is there."""
        if leg in self.agent.live:
            self.agent.end(leg, code)

    @property
    def dialled(self) -> LegId | None:
        """What was dialled last, if it is there."""
        found = [leg for leg, state in self.agent.live.items() if state == "dialled"]
        return found[-1] if found else None

    async def bridged(self) -> tuple[LegId, LegId]:
        """A caller from the PBX talks to the assistant, unless something fails."""
        caller = self.calls_in("in-1", PBX, ASSIGNED)
        assistant = self.dialled or LegId("none")
        self.rings(assistant)
        self.answers(assistant)
        await settled()
        return caller, assistant

    def refer(self, leg: LegId, target: str = SALES, *, accepts: bool = True) -> Handle:
        """A REFER on a leg, if it is there."""
        handle = Handle(self.chance, accepts)
        if leg in self.agent.live:
            peer = TRUNK if leg.startswith("out-") else PBX
            self.engine.refer(ReferRequest(handle, leg, peer, target))
        return handle

    def ends(self) -> list[TransferRecord]:
        """The outcomes that were told."""
        return [record for milestone, record in self.witness.told if milestone is Milestone.ENDED]

    def check(self) -> None:
        """Nobody is in a dead call; every transfer that was told of has ended, once."""
        assert len(self.engine.transfers) == 0
        begun = {record.transfer for _, record in self.witness.told}
        assert sorted(record.transfer for record in self.ends()) == sorted(begun)
        assert not +self.witness.stages
        for leg, state in self.agent.live.items():
            other = self.agent.pairs.get(leg)
            assert other in self.agent.live, f"{leg} is in a dead call"
            assert state == "up"
            call = self.engine.calls.of(leg)
            assert call is not None
            assert call.up
            assert set(call.legs) == {leg, other}

    async def finish(self) -> None:
        """Everybody hangs up: nothing is left."""
        for leg in list(self.agent.live):
            self.agent.end(leg)
            await asyncio.sleep(10)
        assert not self.agent.live
        assert len(self.engine.calls) == 0


async def settled() -> None:
    """Let what was put off to the loop's next turns happen."""
    await asyncio.sleep(0.01)
