# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg that is none: it notes what it is told to do, and a test says what its peer does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.model import LegId, Peer, PeerKind
from gateway.sip.calls.leg_control import Direction, Exchange, KeyWay
from gateway.sip.calls.pairs import Pairs
from tests.bench.bench import BEGIN
from tests.bench.clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.outcome import CallEnd


class FakeLeg:
    """Implements leg_control.LegControl: established, in the clear, and with a peer that says nothing."""

    def __init__(
        self,
        name: str,
        kind: PeerKind = PeerKind.PBX,
        *,
        incoming: bool = False,
        established: bool = True,
        began: float = 0.0,
    ) -> None:
        self.id = LegId(name)
        self.peer = Peer(f"peer of {name}", kind)
        self.incoming = incoming
        self.sip_call_id = f"{name}@test"
        self.established = established
        self.established_at = began
        self.progressed_at = began
        self.over = False
        self.ending = False
        self.why: CallEnd | None = None
        self.activity = 0  # see media_path.MediaPath
        self.is_encrypted = False
        self.was_answered_by_anything = False
        self.exchange: Exchange | None = None
        self.offered: list[Direction] = []
        self.keys: list[tuple[str, KeyWay]] = []
        self.ended: int | None = None  # with which code we have ended it
        self.busy = False  # with another transaction: no re-INVITE can be sent
        self.deaf_for: set[KeyWay] = set()

    def offer(self, direction: Direction) -> bool:
        """See leg_control.LegControl."""
        if self.busy:
            return False
        self.offered.append(direction)
        return True

    def press(self, key: str, way: KeyWay, duration_ms: int) -> bool:
        """See leg_control.LegControl."""
        if way in self.deaf_for:
            return False
        self.keys.append((key, way))
        return True

    def end(self, code: int, headers: Sequence[tuple[str, str]] = (), phrase: str = "") -> None:
        """See leg_control.LegControl."""
        self.ended = code
        self.ending = True

    def given_up(self) -> None:
        """See leg_control.LegControl."""
        self.ending = True

    @property
    def given(self) -> str:
        """The keys that its peer was given."""
        return "".join(key for key, _ in self.keys)


class TwoLegs:
    """A caller and an agent, who are joined unless a test does something else, on a clock that it moves."""

    def __init__(self, *, joined: bool = True) -> None:
        self.clock, self.pairs = VirtualClock(BEGIN), Pairs()
        self.caller, self.agent = FakeLeg("caller"), FakeLeg("agent")
        self.legs = {leg.id: leg for leg in (self.caller, self.agent)}
        if joined:
            self.pairs.join(self.caller.id, self.agent.id)
