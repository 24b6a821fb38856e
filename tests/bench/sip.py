# SPDX-License-Identifier: GPL-2.0-or-later
"""A user agent that is none: legs that are there until they are hung up, and who hears whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.caller import Asserted, CallerId
from gateway.core.open_call import LegCondition, LegState
from gateway.core.outcome import CallEnd, Reason
from gateway.core.transfer import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.kept_call import KeptDialog, RecoveryOrder
    from gateway.core.media_way import Decision
    from gateway.core.model import Announcement, LegId
    from gateway.core.record import LegMedia
    from gateway.engine import Engine
    from gateway.ports import DialOrder, HandDownOrder, NotSentError
    from tests.bench.chance import Chance
    from tests.bench.clock import VirtualClock


class FakeSip:
    """Implements ports.SipPort; tells in `said` what it was asked to do."""

    def __init__(self, chance: Chance, clock: VirtualClock, said: list[str]) -> None:
        self._chance = chance
        self._clock = clock
        self._said = said
        self.live: dict[LegId, str] = {}  # offered | dialled | up
        self.pairs: dict[LegId, LegId] = {}
        self.orders: list[DialOrder] = []
        self.recovered: list[RecoveryOrder] = []
        self.kept_dialogs: dict[LegId, KeptDialog] = {}
        self.hung_up: list[LegId] = []
        self.cut: list[
            tuple[LegId, LegId]
        ] = []  # legs that were hung up in the middle of a conversation, and with whom
        self.asserts: str | None = None  # who answers
        self.dropped: list[LegId] = []  # callers who were hung up although a transfer was still to decide about them
        self.no_way: NotSentError | None = None  # why nothing can be dialled, nor handed down
        self.packets: dict[LegId, int] = {}  # of audio that a leg has brought
        self.counted: dict[LegId, LegMedia] = {}
        self.ways: dict[LegId, Decision] = {}
        self.whispered_to: set[LegId] = set()  # whose keys the engine is told of
        self.engine: Engine

    def dial(self, order: DialOrder) -> None:
        """See ports.SipPort."""
        self._chance.take("dial")
        if self.no_way is not None:
            raise self.no_way
        self._said.append(f"dial {order.user} at {order.peer.name} as {order.leg}")
        self.orders.append(order)
        self.live[order.leg] = "dialled"

    def recover(self, order: RecoveryOrder) -> None:
        """See ports.SipPort."""
        self._chance.take("recover")
        if self.no_way is not None:
            raise self.no_way
        self._said.append(f"take up {order.dialog.call_id} of {order.peer.name} as {order.leg}")
        self.recovered.append(order)
        self.live[order.leg] = "dialled"

    def dialog(self, leg: LegId) -> KeptDialog | None:
        """See ports.SipPort."""
        self._chance.take("dialog")
        return self.kept_dialogs.get(leg) if leg in self.live else None

    def hand_down(self, order: HandDownOrder) -> None:
        """See ports.SipPort."""
        self._chance.take("hand_down")
        if self.no_way is not None:
            raise self.no_way
        self._said.append(f"hand {order.leg} down to {order.user}")

    def has_room(self) -> bool:
        """See ports.SipPort."""
        self._chance.take("has_room")
        return True

    def heard(self, leg: LegId) -> int:
        """See ports.SipPort."""
        self._chance.take("heard")
        return self.packets.get(leg, 0)

    def media(self, leg: LegId) -> LegMedia | None:
        """See ports.SipPort."""
        self._chance.take("media")
        return self.counted.get(leg)

    def media_way(self, leg: LegId) -> Decision | None:
        """See ports.SipPort."""
        self._chance.take("media_way")
        return self.ways.get(leg)

    def condition(self, leg: LegId) -> LegCondition:
        """See ports.SipPort."""
        self._chance.take("condition")
        states = {"offered": LegState.CALLING, "dialled": LegState.CALLING, "up": LegState.UP}
        return LegCondition(states.get(self.live.get(leg, ""), LegState.GONE))

    def respond(self, leg: LegId, code: int, _beside: LegId | None = None) -> None:
        """See ports.SipPort."""
        self._chance.take(f"respond {code}")
        self._said.append(f"respond {leg} {code}")
        if self.live.get(leg) == "offered" and code == 200:
            self.live[leg] = "up"

    def hang_up(
        self, leg: LegId, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None
    ) -> None:
        """See ports.SipPort."""
        self._chance.take(f"hang_up {leg}")
        if leg in self.live:
            retry = f", again after {retry_after_s} s" if retry_after_s else ""
            self._said.append(f"hang up {leg} {code} {reason}{retry}")
            self.hung_up.append(leg)
            holding = [one for one in self.engine.transfers if one.holds_transferee and one.machine.transferee == leg]
            # Unless the PBX has the caller, or it is the gateway that calls them.
            if any(one.machine.state is not State.HANDED and not one.machine.calls_back for one in holding):
                self.dropped.append(leg)
            if (other := self.pairs.get(leg)) in self.live:
                self.cut.append((leg, other))
            self._send_away(leg, code)

    def _send_away(self, leg: LegId, code: int) -> None:
        """A leg that is hung up is over a moment later; `code` is what an unanswered caller is told."""
        last = 487 if self.live[leg] == "dialled" else 200
        self._clock.after(0, lambda: self.end(leg, last, by_peer=False))

    def join(self, one: LegId, other: LegId) -> bool:
        """See ports.SipPort."""
        self._chance.take("join")
        if one not in self.live or other not in self.live:
            return False
        self._said.append(f"join {one} {other}")
        self._leave(one)
        self._leave(other)
        self.whispered_to -= {one, other}
        self.pairs |= {one: other, other: one}
        return True

    def wait(self, leg: LegId, target: LegId | None = None, announcement: Announcement | None = None) -> None:
        """See ports.SipPort."""
        self._chance.take("wait")
        what = f" hears {announcement.file}" if announcement else ""
        self._said.append(f"wait {leg}" + (f" for {target}" if target else "") + what)
        self._leave(leg)

    def whisper(self, leg: LegId, sounds: Sequence[Announcement], *, tones: str) -> None:
        """See ports.SipPort."""
        self._chance.take("whisper")
        names = [file.rpartition("/")[2] for sound in sounds for file in (sound.file, *sound.then)]
        self._said.append(f"whisper to {leg}" + (f": {' '.join(names)}" if names else ""))
        self._leave(leg)
        self.whispered_to.add(leg)

    def press(self, leg: LegId, keys: str) -> None:
        """See ports.SipPort."""
        self._chance.take("press")
        self._said.append(f"press {keys} on {leg}")

    def silence(self, leg: LegId) -> None:
        """See ports.SipPort."""
        self._chance.take("silence")
        self._said.append(f"silence {leg}")
        self._leave(leg)

    def asserted(self, leg: LegId) -> Asserted:
        """See ports.SipPort."""
        self._chance.take("asserted")
        return Asserted((CallerId(self.asserts),) if self.asserts else ())

    def call_id(self, leg: LegId) -> str | None:
        """See ports.SipPort."""
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
