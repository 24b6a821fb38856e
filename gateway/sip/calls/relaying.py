# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the pairs whose packets the binding relays in step with the pair table; see media_way for which those are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pjsua2 as pj

from gateway.core.media_way import Decision, Path, Why, bridged
from gateway.sip.calls.direct import Direct
from gateway.sip.calls.media_way import Side, decide

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import Config
    from gateway.core.model import LegId
    from gateway.ports import Clock
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.pairs import Pairs


class Relays:
    """Carries out, leg by leg, what is decided."""

    def __init__(self, pairs: Pairs, leg_of: Callable[[LegId | None], Leg | None], clock: Clock) -> None:
        """`leg_of` finds a leg by its id while it lasts."""
        self._pairs = pairs
        self._leg_of = leg_of
        self.direct = Direct(leg_of, clock)
        self._config: Config | None = None
        self._tell: Callable[[LegId, Decision | None, Decision | None], None] | None = None
        self._decided: dict[LegId, Decision] = {}
        self._keys: set[LegId] = set()  # who is being sent some

    def configure(self, config: Config) -> None:
        """Take the profiles' settings; they count from a pair's next change on."""
        self._config = config

    def tell(self, changed: Callable[[LegId, Decision | None, Decision | None], None]) -> None:
        """Have each leg's change told: which way it had before, and which it has; None: none."""
        self._tell = changed

    def decided(self, leg: LegId) -> Decision | None:
        """How the leg's audio goes now; None where it has no partner."""
        return self._decided.get(leg)

    def send_keys(self, leg: LegId, *, begin: bool) -> None:
        """A leg is about to be sent keys by its own stream, or has been: that needs the bridge's clock."""
        (self._keys.add if begin else self._keys.discard)(leg)
        self.direct.keep(leg)

    def settle(self, leg: LegId) -> bool:
        """Relay the leg's audio if that may be; whether it is. If not, its port of the bridge works."""
        mine, partner = self._leg_of(leg), self._pairs.partner(leg)
        if mine is None or mine.over:
            self._note(leg, None)
            return False
        other = self._leg_of(partner)
        if partner is None or other is None:
            self._note(leg, None)
            pj.unrelay(mine.number)
            self.direct.leave(leg)
            return False
        first, second = self._side(mine), self._side(other)
        waits = self._pairs.talks_with(leg) is None
        decision = decide(first, second, waits=waits, keys=not self._keys.isdisjoint((leg, partner)))
        if decision.path is Path.RELAY:
            events = first.takes_events_of(second), second.takes_events_of(first)
            if not pj.relay(mine.number, other.number, *events):
                decision = bridged(Why.NOT_RELAYED)
        if decision.path is Path.BRIDGE:
            self.direct.leave(leg, decision.why)
            pj.unrelay(mine.number)
        elif decision.why is Why.BOTH_G711:
            self.direct.leave(leg, decision.why)  # they do not understand each other
        else:
            decision = self.direct.settle(mine, other, first, second)
        self._note(leg, decision)
        return decision.path is not Path.BRIDGE

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        self._note(leg, None)
        self._keys.discard(leg)
        self.direct.forget(leg)

    def stop(self) -> None:
        """Let go of everything."""
        for leg in list(self._decided):
            self._note(leg, None)
        self._keys.clear()
        self.direct.stop()

    def _note(self, leg: LegId, decision: Decision | None) -> None:
        before = self._decided.pop(leg, None)
        if decision is not None:
            self._decided[leg] = decision
        if decision != before and self._tell is not None:
            self._tell(leg, before, decision)

    def _side(self, leg: Leg) -> Side:
        found = leg.format
        profile = self._config.profile(leg.peer.name) if self._config is not None else None
        if profile is None:
            return Side(found)
        return Side(found, profile.media, profile.dtmf == "info")
