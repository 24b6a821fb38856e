# SPDX-License-Identifier: GPL-2.0-or-later
"""Which legs the last calls had, and what was decided about them when: what their SIP messages are told with.

In memory alone, and as many calls as messages are kept of. A call's machine knows two legs at a time; here all of them
stay, those that were tried in vain too.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from gateway.core.model import Peer, TransferId
from gateway.core.record import Attempt, TransferRecord
from gateway.engine import audio_notes

if TYPE_CHECKING:
    from gateway.core.call.state import Call, Running
    from gateway.core.media_way import Decision
    from gateway.core.model import Announcement, LegId
    from gateway.ports import Clock

MOST_LEGS = 64
"""Of one call. A hunt dials some ten."""
MOST_NOTES = 300
"""Of one call: the newest."""
MOST_AUDIO_NOTES = 100
"""The same of who heard whom: apart, as a peer that changes its media again and again is to push out nothing else."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened or was decided, between the messages."""

    at: datetime
    what: str  # as `web.answers.Mark` lists them
    text: str
    transfer: TransferId | None = None
    legs: tuple[str, ...] = ()  # SIP Call-IDs of those that it is about


@dataclass(slots=True)
class KnownLeg:
    """A SIP dialog of a call."""

    call_id: str  # SIP Call-ID
    peer: Peer | None  # None: it is not known any more
    roles: dict[TransferId, str] = field(default_factory=dict)  # "transferor" | "transferee" | "target"


@dataclass(slots=True)
class KnownCall:
    """A call, or a transfer that belonged to none."""

    call: str | None
    caller: str | None
    legs: dict[str, KnownLeg] = field(default_factory=dict)  # by SIP Call-ID, in the order in which they came
    transfers: dict[TransferId, TransferRecord] = field(default_factory=dict)
    notes: deque[Note] = field(default_factory=lambda: deque(maxlen=MOST_NOTES))
    audio: deque[Note] = field(default_factory=lambda: deque(maxlen=MOST_AUDIO_NOTES))
    seen: Mapping[LegId, object] | None = None  # the legs of the call as they were last
    way: Decision | None = None  # that its audio took last

    def add(self, call_id: str, peer: Peer | None) -> KnownLeg | None:
        """The leg with this Call-ID; None: there are too many."""
        leg = self.legs.get(call_id)
        if leg is None and len(self.legs) < MOST_LEGS:
            leg = self.legs[call_id] = KnownLeg(call_id, peer)
        elif leg is not None and leg.peer is None:
            leg.peer = peer
        return leg


class CallBook:
    """The last calls, each under its own id, those of its transfers and the Call-IDs of its legs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._most = 0
        self._calls: OrderedDict[str, KnownCall] = OrderedDict()  # by the call's id, or that of a transfer without one
        self._keys: dict[str, str] = {}  # by the id of a transfer, or a SIP Call-ID

    def __len__(self) -> int:
        return len(self._calls)

    def resize(self, most: int) -> None:
        """Know so many calls at most, from now on."""
        self._most = most
        self._make_room()

    def see(self, call: Call) -> None:
        """A call is so now."""
        if not self._most:
            return
        known = self._calls.get(call.id)
        if known is None:
            known = self._begin(call.id, call.id, call.caller)
        if known.seen is not call.legs:
            known.seen = call.legs
            for leg in call.legs.values():
                if leg.call_id is not None:
                    self._add(call.id, known, leg.call_id, leg.peer)
        for running in call.transfers:
            if known.transfers.get(running.id) is not running.record:
                self._see_transfer(call.id, known, running)

    def see_refused(self, running: Running) -> None:
        """A transfer was refused that belongs to no call."""
        if self._most:
            known = self._begin(running.id, None, running.record.caller)
            self._see_transfer(running.id, known, running)

    def note_pbx(self, name: str, at: datetime, text: str) -> None:
        """The PBX told something of a leg, by its SIP Call-ID, or of a transfer."""
        known = self._calls.get(self._keys.get(name, ""))
        if known is not None:
            known.notes.append(Note(at, "pbx", text))

    def note_joined(self, call: Call, one: LegId, other: LegId) -> None:
        """Two legs hear each other from now on."""
        self._note_audio(call, audio_notes.joined, one, other)

    def note_waits(self, call: Call, leg: LegId, target: LegId | None, announcement: Announcement | None) -> None:
        """A leg is out of its conversation, and waits for a target, if there is one."""
        self._note_audio(call, partial(audio_notes.waits, announcement=announcement), leg, target)

    def note_silenced(self, call: Call, leg: LegId) -> None:
        """A leg is out of its conversation, and hears nothing."""
        self._note_audio(call, audio_notes.silenced, leg)

    def note_way(self, call: Call, leg: LegId, way: Decision) -> None:
        """The audio of a leg and its partner takes this way; it is told once for the two."""
        known = self._calls.get(call.id)
        if known is not None and known.way != way:
            known.way = way
            self._note_audio(call, lambda _: audio_notes.carried(way), leg)

    def _note_audio(self, call: Call, words: Callable[..., str], *legs: LegId | None) -> None:
        known = self._calls.get(call.id)
        if known is None:
            return
        call_ids = [audio_notes.call_id_of(call, leg) if leg is not None else None for leg in legs]
        text = words(*(known.legs.get(each) if each is not None else None for each in call_ids))
        about = tuple(each for each in call_ids if each is not None)
        known.audio.append(Note(self._clock.now().wall, "audio", text, legs=about))

    def call(self, which: str) -> KnownCall | None:
        """The call with this id."""
        known = self._calls.get(which)
        return known if known is not None and known.call is not None else None

    def of_transfer(self, which: str) -> KnownCall | None:
        """The call that a transfer was about."""
        known = self._calls.get(self._keys.get(which, ""))
        return known if known is not None and which in known.transfers else None

    def correlation(self, call_id: str) -> str | None:
        """The id of the newest transfer that a leg takes part in, or else of its call, by its SIP Call-ID."""
        key = self._keys.get(call_id)
        known = self._calls.get(key or "")
        if known is None:
            return None
        leg = known.legs.get(call_id)
        return next(reversed(leg.roles), key) if leg is not None else key

    def forget(self, caller: str, call_ids: frozenset[str]) -> set[str]:
        """Let go of the calls of a caller, and of those with one of these legs: the Call-IDs of all their legs."""
        gone: set[str] = set()
        for key, known in list(self._calls.items()):
            if known.caller == caller or not call_ids.isdisjoint(known.legs):
                gone |= known.legs.keys()
                self._remove(key)
        return gone

    def _begin(self, key: str, call: str | None, caller: str | None) -> KnownCall:
        known = self._calls[key] = KnownCall(call, caller)
        self._make_room()
        return known

    def _add(self, key: str, known: KnownCall, call_id: str, peer: Peer | None) -> KnownLeg | None:
        leg = known.add(call_id, peer)
        if leg is not None:
            self._keys[call_id] = key
        return leg

    def _see_transfer(self, key: str, known: KnownCall, running: Running) -> None:
        record, before = running.record, known.transfers.get(running.id)
        known.transfers[running.id] = record
        self._keys[running.id] = key
        if before is None or before.call_ids is not record.call_ids:
            for role, call_id in record.call_ids.items():
                if call_id is not None and (leg := self._add(key, known, call_id, _peer(running, role))):
                    leg.roles.setdefault(running.id, role)
        known.notes.extend(news(before, record, self._clock.now().wall))

    def _make_room(self) -> None:
        while len(self._calls) > self._most:
            self._remove(next(iter(self._calls)))

    def _remove(self, key: str) -> None:
        known = self._calls.pop(key)
        for name in (*known.legs, *known.transfers):
            if self._keys.get(name) == key:
                del self._keys[name]


def _peer(running: Running, role: str) -> Peer | None:
    machine = running.machine
    leg = {"transferor": machine.transferor, "transferee": machine.transferee, "target": machine.target}.get(role)
    return running.peers.get(leg) if leg is not None else None


def news(before: TransferRecord | None, now: TransferRecord, at: datetime) -> Iterator[Note]:
    """What a record says that it did not say before; `at` is when, where the record has no time of it."""
    transfer = now.transfer
    if before is None:
        yield Note(now.requested_at, "requested", f"{now.requested_target} is asked for", transfer)
    said, tried = (len(before.trail), before.attempts) if before is not None else (0, ())
    for line in now.trail[said:]:
        yield Note(now.decided_at or at if before is None or before.decided_at is None else at, "gate", line, transfer)
    if now.attempts != tried:
        yield from (Note(at, "attempt", text, transfer) for text in _of_attempts(tried, now.attempts))
    if now.returned_to_transferor and not (before and before.returned_to_transferor):
        yield Note(at, "returned", "the caller goes back to the assistant", transfer)
    for field_name, what, text in _MOMENTS:
        moment = getattr(now, field_name)
        if moment is not None and (before is None or getattr(before, field_name) is None):
            yield Note(moment, what, text or f"{now.outcome}, {now.reason} ({now.sip_code})", transfer)


_MOMENTS = (
    ("ringing_at", "ringing", "the target rings"),
    ("answered_at", "answered", "the PBX has answered"),
    ("human_at", "human", "a person has answered"),
    ("ended_at", "ended", ""),
)


def _of_attempts(before: tuple[Attempt, ...], now: tuple[Attempt, ...]) -> Iterator[str]:
    for place, attempt in enumerate(now):
        known = before[place] if place < len(before) else None
        if known == attempt:
            continue
        where = f"{attempt.destination}, {attempt.extension}" if attempt.extension else attempt.destination
        if attempt.reason is not None:
            code = f" ({attempt.sip_code})" if attempt.sip_code else ""
            yield f"{where}: {'' if attempt.extension else 'passed over, '}{attempt.reason}{code}"
        elif known is None:
            yield f"{where} is dialled"
