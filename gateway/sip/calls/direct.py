# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio that goes from peer to peer and past the gateway (`media = "direct"` in both profiles). Without PJSIP.

Such a call begins as any other, with its packets relayed. Once two have talked for a second, each peer is told in a
re-INVITE of ours to send to where the other one takes its audio (RFC 3264 §8.3.1), and told to send to us again when
they are parted: a caller who is put through has to hear ringback, and to come back to the assistant. The relay stays as
it is meanwhile, for what is still on its way, and for when a peer says no.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.core.media_way import DIRECT, RELAYED, Decision, Why, relayed
from gateway.sip.text.audio_place import AudioPlace, Formats, read_place, sent_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.model import LegId
    from gateway.ports import Clock, Timer
    from gateway.sip.calls.leg_control import LegControl
    from gateway.sip.calls.media_way import Side

log = structlog.get_logger(__name__)

SETTLED_S = 1.0
"""How long two have talked before their peers are told: most of what changes a call comes soon after an answer."""
ATTEMPTS = 24
"""So many offers may be of no use, crossings with the peer's own (491) included."""


class Direct:
    """Knows where each peer takes its audio, where each was told to send it, and where it is to be told."""

    def __init__(self, leg_of: Callable[[LegId | None], LegControl | None], clock: Clock) -> None:
        """`leg_of` finds a leg by its id while it lasts."""
        self._leg_of = leg_of
        self._clock = clock
        self._misplaced: Callable[[LegId], None] | None = None
        self._theirs: dict[LegId, AudioPlace] = {}  # where its peer takes audio
        self._told: dict[LegId, AudioPlace] = {}  # where its peer was told to send; none: to us
        self._offered: dict[LegId, AudioPlace | None] = {}  # the same, in an offer that waits for its answer
        self._formats: dict[LegId, tuple[str, bool]] = {}  # its codec, and whether it takes telephone events
        self._with: dict[LegId, LegId] = {}  # whose audio could come to its peer directly
        self._settled: set[LegId] = set()
        self._timers: dict[LegId, Timer] = {}
        self._offering: set[LegId] = set()  # the next offer is one that we make of our own accord
        self._attempts: Counter[LegId] = Counter()
        self._declined: set[LegId] = set()
        self._unfit: dict[LegId, set[LegId]] = {}  # with whom it came to no good
        self._given_up: set[LegId] = set()

    def tell(self, misplaced: Callable[[LegId], None]) -> None:
        """Have it told of a leg whose peer is to be told of another place."""
        self._misplaced = misplaced

    def stop(self) -> None:
        """Let go of everything."""
        for leg in [*self._timers, *self._theirs]:
            self.forget(leg)

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        if (timer := self._timers.pop(leg, None)) is not None:
            timer.cancel()
        for table in (self._theirs, self._told, self._offered, self._formats, self._with, self._unfit):
            table.pop(leg, None)
        del self._attempts[leg]
        for names in (self._settled, self._offering, self._declined, self._given_up):
            names.discard(leg)

    # --- descriptions

    def received(self, leg: LegId, description: str) -> None:
        """A description of the leg's peer."""
        place = read_place(description)
        if place is None:
            self._theirs.pop(leg, None)
        else:
            self._theirs[leg] = place

    def sent(self, leg: LegId, description: str, *, answers: bool) -> str:
        """What goes to the leg's peer in the place of this description of ours."""
        of_our_own = leg in self._offering
        self._offering.discard(leg)
        place = self._wanted(leg) if answers or of_our_own else None
        if answers:
            place = place if self._is_one_numbering(leg, self._with.get(leg, leg)) else None
            self._note(leg, place)
            return description if place is None else sent_to(description, place)
        self._offered[leg] = place
        self._count(leg, of_our_own)
        if place is None:
            return description
        return sent_to(description, place, self._numbering(leg))

    def negotiated(self, leg: LegId) -> None:
        """An offer and its answer have settled where the leg's peer sends."""
        if leg in self._offered:
            self._note(leg, self._offered.pop(leg))
        if not self.is_misplaced(leg):
            del self._attempts[leg]

    def offering(self, leg: LegId) -> None:
        """An offer of our own accord is about to be made, because of a direction, or as this wants it."""
        self._offering.add(leg)

    def declined(self, leg: LegId, code: int) -> None:
        """The leg's peer has refused our newest offer: what was agreed before stands (RFC 3261 §14.1)."""
        if leg not in self._offered:
            return
        self._offering.discard(leg)
        if self._offered.pop(leg) is not None:
            log.warning("direct-declined", leg=leg, code=code)
            self._declined.add(leg)
        elif leg in self._told:
            log.warning("direct-not-ended", leg=leg, code=code)
            self._given_up.add(leg)

    # --- which way

    def settle(self, mine: LegControl, other: LegControl, first: Side, second: Side) -> Decision:
        """Two legs are relayed: whether their audio goes past us by now, and if it is not to, why."""
        direct = (first.media, second.media) == ("direct", "direct")
        if not direct or not {mine.id, other.id} <= self._theirs.keys():
            self.leave(mine.id)
            return RELAYED
        if why := self._obstacle(mine, other, first, second):
            self.leave(mine.id, why)
            return relayed(why)
        if self._with.get(mine.id) != other.id:
            self._part(mine.id)
            self._with[mine.id] = other.id
            self._timers[mine.id] = self._clock.after(SETTLED_S, partial(self._settle, mine.id))
        self._look(mine.id)
        return DIRECT if {mine.id, other.id} <= self._told.keys() else RELAYED

    def leave(self, leg: LegId, why: Why | None = None) -> None:
        """The leg's audio has to come to us."""
        other = self._with.get(leg)
        if (
            other is not None
            and leg in self._told
            and why in (Why.PAYLOAD_TYPES, Why.CODEC, Why.BOTH_G711, Why.PARAMETERS)
        ):
            # They would answer with something else each time.
            self._unfit.setdefault(leg, set()).add(other)
            self._unfit.setdefault(other, set()).add(leg)
        self._part(leg)
        self._look(leg)

    def keep(self, leg: LegId) -> None:
        """The leg's peer needs something that comes from us, and may again."""
        if leg in self._with:
            self._declined.add(leg)

    def goes_past(self, leg: LegId) -> bool:
        """Whether the leg's peer sends to somebody else."""
        return leg in self._told

    def is_misplaced(self, leg: LegId) -> bool:
        """Whether the leg's peer is to be told of another place."""
        if leg in self._given_up:
            return False
        wanted, told = self._wanted(leg), self._told.get(leg)
        return (wanted and (wanted.address, wanted.port)) != (told and (told.address, told.port))

    def _obstacle(self, mine: LegControl, other: LegControl, first: Side, second: Side) -> Why | None:
        if not self._declined.isdisjoint((mine.id, other.id)) or other.id in self._unfit.get(mine.id, ()):
            return Why.DECLINED
        if mine.is_encrypted or other.is_encrypted:
            return Why.ENCRYPTED
        ours, theirs = first.format, second.format
        one_version = self._theirs[mine.id].is_ipv6 is self._theirs[other.id].is_ipv6
        if ours is None or theirs is None or ours.events is not theirs.events or not one_version:
            return Why.PAYLOAD_TYPES
        self._formats[mine.id] = ours.codec, ours.events
        if self._only(mine.id, mine.id) is None or self._only(mine.id, other.id) is None:
            return Why.PAYLOAD_TYPES
        told = {mine.id, other.id} <= self._told.keys()
        return Why.PAYLOAD_TYPES if told and not self._is_one_numbering(mine.id, other.id) else None

    def _only(self, leg: LegId, of: LegId) -> Formats | None:
        """The formats of the call, numbered as the peer of `of` does."""
        codec, events = self._formats.get(leg, ("", False))
        place = self._theirs.get(of)
        return place.only(codec, events=events) if place is not None else None

    def _is_one_numbering(self, leg: LegId, other: LegId) -> bool:
        """Whether both peers have the same numbers for what they send."""
        one, another = self._only(leg, leg), self._only(leg, other)
        return one is not None and another is not None and one.numbers == another.numbers

    def _numbering(self, leg: LegId) -> Formats | None:
        """What both peers are offered: what the one has chosen who called us, for it knew of no other number then."""
        other = self._with.get(leg)
        found = self._leg_of(leg)
        return self._only(leg, leg if found is None or found.incoming or other is None else other)

    def _wanted(self, leg: LegId) -> AudioPlace | None:
        """Where the leg's peer is to send; None: to us."""
        other = self._with.get(leg)
        if other is None or self._with.get(other) != leg or not {leg, other} <= self._settled:
            return None
        return self._theirs.get(other)

    def _settle(self, leg: LegId) -> None:
        """They have talked for a while."""
        found = self._leg_of(leg)
        if found is None or found.over:
            return
        if not found.established:  # its ACK is still to come
            self._timers[leg] = self._clock.after(SETTLED_S, partial(self._settle, leg))
            return
        self._timers.pop(leg, None)
        self._settled.add(leg)
        for each in (leg, self._with.get(leg)):
            if each is not None:
                self._look(each)

    def _part(self, leg: LegId) -> None:
        other = self._with.pop(leg, None)
        self._settled.discard(leg)
        if (timer := self._timers.pop(leg, None)) is not None:
            timer.cancel()
        if other is not None:
            self._look(other)

    def _look(self, leg: LegId) -> None:
        if self._misplaced is not None and self.is_misplaced(leg):
            self._misplaced(leg)

    def _count(self, leg: LegId, of_our_own: bool) -> None:
        if not of_our_own or not self.is_misplaced(leg):
            return
        self._attempts[leg] += 1
        if self._attempts[leg] >= ATTEMPTS:
            log.warning("direct-given-up", leg=leg)
            self._declined.add(leg)
            self._given_up.add(leg)

    def _note(self, leg: LegId, place: AudioPlace | None) -> None:
        if place is None:
            self._told.pop(leg, None)
        else:
            self._told[leg] = place
