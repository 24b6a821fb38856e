# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine between a user agent that is none, witnesses of what it reports, and a clock that a test moves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from gateway.core.caller import CallerId
from gateway.core.model import AnsweredBy, Entry, LegId, Peer, PeerKind
from gateway.core.record import CallRecord, Milestone, TransferRecord
from gateway.engine import Engine
from gateway.ports import IncomingCall, Observer, ReferRequest
from tests.bench.chance import Chance
from tests.bench.clock import VirtualClock
from tests.bench.sip import FakeSip

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import PbxState
    from gateway.core.outcome import Reason

TRUNK, PBX = Peer("platform", PeerKind.TRUNK), Peer("asterisk", PeerKind.PBX)
ASSIGNED = "sip:+31201234567@gw"
SALES, SUPPORT = "sip:+31612345678@gw", "sip:+31612345679@gw"
EVE = CallerId("sip:+31201112222@far", "Eve")
BEGIN = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


class Witness:
    """A Reporter and an Observer."""

    def __init__(self, chance: Chance, said: list[str]) -> None:
        self._chance = chance
        self._said = said
        self.told: list[tuple[Milestone, TransferRecord]] = []
        self.calls: list[CallRecord] = []
        self.stages: Counter[str] = Counter()

    def transfer(self, milestone: Milestone, record: TransferRecord) -> None:
        """See ports.Reporter."""
        what = f" {record.outcome} {record.reason}" if milestone is Milestone.ENDED else ""
        self._said.append(f"report {milestone}{what}")
        self.told.append((milestone, record))
        self._chance.take(f"report {milestone}")

    def call_ended(self, record: CallRecord) -> None:
        """See ports.Reporter and ports.Observer."""
        self.calls.append(record)
        self._chance.take("report call")

    def queue_snapshot(self, state: PbxState) -> None:
        """See ports.Reporter."""
        self._chance.take("report queue")

    def transfer_stage(self, stage: str, delta: int) -> None:
        """See ports.Observer."""
        self.stages[stage] += delta
        self._chance.take("stage")

    def __getattr__(self, name: str) -> Any:
        return lambda *_facts, **_more: self._chance.take(name)


class Handle:
    """A ReferHandle."""

    def __init__(self, chance: Chance, said: list[str], leg: LegId, accepts: bool = True) -> None:
        self.leg = leg
        self.deaf = False  # who sent the REFER takes no more NOTIFYs
        self._chance = chance
        self._said = said
        self._accepts = accepts
        self.answered: list[int] = []
        self.notified: list[int] = []
        self.final: list[int] = []
        self.ended = 0

    def answer(self, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None) -> bool:
        """See ports.ReferHandle."""
        self._chance.take(f"answer {code}")
        self._said.append(f"answer {code} {reason}")
        if self._accepts:
            self.answered.append(code)
        return self._accepts

    def notify(
        self, code: int, reason: Reason, final: bool, sentence: str | None = None, retry_after_s: int | None = None
    ) -> None:
        """See ports.ReferHandle."""
        self._chance.take(f"notify {code}")
        self._said.append(
            f"notify {code} {reason}"
            + (", final" if final else "")
            + (f", retry after {retry_after_s}" if retry_after_s else "")
        )
        self.notified.append(code)
        if final:
            self.final.append(code)

    def end(self) -> None:
        """See ports.ReferHandle."""
        self.ended += 1
        self._chance.take("end")


@dataclass
class Source:
    """A PbxSource whose state a test sets."""

    state: PbxState
    asked: list[str] = field(default_factory=list)  # Call-IDs of calls whose answerer the engine wants to know

    def identify(self, sip_call_id: str) -> bool:
        """See ports.PbxSource; what comes of it is for the test to tell."""
        self.asked.append(sip_call_id)
        return True


class Bench:
    """An engine with all that it needs."""

    def __init__(self, config: Config, fails: int = 0, clock: VirtualClock | None = None) -> None:
        """With a clock, it is one of several that share it."""
        self.said: list[str] = []
        self.chance = Chance(fails)
        self.clock = clock or VirtualClock(BEGIN)
        self.sip = self._user_agent()
        self.witness = Witness(self.chance, self.said)
        self.handles: list[Handle] = []
        self._callers: dict[LegId, Peer] = {}
        self.engine = Engine(config, self.witness, cast("Observer", self.witness), self.clock)
        self.sip.engine = self.engine
        self.engine.attach(self.sip)

    def _user_agent(self) -> FakeSip:
        return FakeSip(self.chance, self.clock, self.said)

    # --- what happens

    def takes_no_more_notifys(self, leg: LegId) -> None:
        """Whoever is on this leg has refused, or not answered, a NOTIFY of each REFER of theirs."""
        for handle in self.handles:
            if handle.leg == leg:
                handle.deaf = True
                self.engine.notify_failed(handle)

    def calls_in(
        self, leg: str, peer: Peer, called: str, caller: CallerId = EVE, replaces: LegId | None = None
    ) -> LegId:
        """A peer calls."""
        self.sip.live[LegId(leg)] = "offered"
        self._callers[LegId(leg)] = peer
        self.engine.incoming_call(
            IncomingCall(LegId(leg), peer, f"{leg}@test", (called,), (caller,), replaces=replaces)
        )
        return LegId(leg)

    def rings(self, leg: LegId | None, code: int = 180) -> None:
        """What was dialled rings, if it is there."""
        if leg in self.sip.live:
            self.engine.leg_progress(leg, code)

    def early_media(self, leg: LegId | None) -> None:
        """What was dialled has media before its answer, if it is there."""
        if leg in self.sip.live:
            self.engine.leg_early_media(leg)

    def answers(self, leg: LegId | None) -> None:
        """What was dialled answers, if it is there."""
        if leg in self.sip.live:
            self.sip.live[leg] = "up"
            self.engine.leg_answered(leg)

    def presses(self, leg: LegId | None, key: str) -> None:
        """A key is pressed on a leg; the engine hears of it where the leg is whispered to."""
        if leg in self.sip.live and leg in self.sip.whispered_to:
            self.engine.leg_pressed(leg, key)

    def fails(self, leg: LegId | None, code: int = 486) -> None:
        """A leg ends, if it is there."""
        if leg in self.sip.live:
            self.sip.end(leg, code)

    def refer(self, leg: LegId, target: str = SALES, *, accepts: bool = True, joins: LegId | None = None) -> Handle:
        """A REFER on a leg, if it is there; `joins`: the leg of a consultation call that its Replaces names."""
        handle = Handle(self.chance, self.said, leg, accepts)
        if leg in self.sip.live:
            self.handles.append(handle)
            self.engine.refer(ReferRequest(handle, leg, self.peer_of(leg), target, consultation=joins))
        return handle

    def call_back(self, which: str, destination: str = "sales") -> TransferRecord:
        """Somebody commands that a caller be called back: by the number, or the leg, of a call of theirs."""
        call = self.engine.calls.of(LegId(which))
        return self.engine.call_back(call.id if call is not None else which, destination)

    def peer_of(self, leg: LegId) -> Peer:
        """At whose end of it who calls is, or who was dialled."""
        return self._callers.get(leg, TRUNK if leg.startswith("out-") else PBX)

    def pass_time(self, seconds: float = 0.01) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def bridged(self, leg: str = "in-1") -> tuple[LegId, LegId]:
        """A caller from the PBX talks to the assistant, unless something fails."""
        caller = self.calls_in(leg, PBX, ASSIGNED)
        assistant = self.dialled or LegId("none")
        self.rings(assistant)
        self.answers(assistant)
        self.pass_time()
        return caller, assistant

    # --- what came of it

    @property
    def dialled(self) -> LegId | None:
        """What was dialled last, if it is there."""
        found = [leg for leg, state in self.sip.live.items() if state == "dialled"]
        return found[-1] if found else None

    def ends(self) -> list[TransferRecord]:
        """The outcomes that were told."""
        return [record for milestone, record in self.witness.told if milestone is Milestone.ENDED]

    @property
    def put_through_unasked(self) -> list[LegId]:
        """The targets that hear a caller, and were to take the call by a key that they have not pressed."""
        return [
            one.machine.target
            for one in self.engine.transfers
            if one.machine.destination is not None
            and one.machine.destination.accept
            and one.record.accepted_at is None
            and one.record.answered_by is not AnsweredBy.VOICEMAIL
            and one.machine.target in self.sip.pairs
        ]

    def check(self) -> None:
        """Nobody is in a dead call; every transfer that was told of has ended, once."""
        assert len(self.engine.transfers) == 0
        assert len(self.engine.calls) == len(list(self.engine.calls))
        # A call back that was promised waits on disk when the gateway is over.
        kept = {one.transfer for _, one in self.witness.told if one.entry is Entry.CALLBACK and self.engine.draining}
        begun = {record.transfer for _, record in self.witness.told}
        begun -= kept - {record.transfer for record in self.ends()}
        assert sorted(record.transfer for record in self.ends()) == sorted(begun)
        assert not +self.witness.stages
        for leg, state in self.sip.live.items():
            other = self.sip.pairs.get(leg)
            assert other in self.sip.live, f"{leg} is in a dead call"
            assert state == "up"
            call = self.engine.calls.of(leg)
            assert call is not None
            assert call.up
            assert set(call.legs) == {leg, other}

    def finish(self) -> None:
        """Everybody hangs up: nothing is left."""
        for leg in list(self.sip.live):
            self.sip.end(leg)
            self.pass_time(10)
        assert not self.sip.live
        assert len(self.engine.calls) == 0
        assert self.clock.waiting == 0
