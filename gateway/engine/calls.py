# SPDX-License-Identifier: GPL-2.0-or-later
"""Which legs belong together: the calls under way, and their records."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gateway.core.caller import Party
from gateway.core.model import AssignedNumber, LegId, Peer, PeerKind, TransferId
from gateway.core.outcome import CallEnd
from gateway.core.record import CallRecord


@dataclass(eq=False, slots=True)
class Call:
    """One caller's call; its legs change when it is transferred."""

    id: str
    number: AssignedNumber
    now: Callable[[], datetime]  # of this call's record, which began with the call
    started_at: datetime
    caller: str | None = None  # E.164 where it can be told, else as given
    max_forwards: int = 70  # what a request that goes on for him may still use
    legs: dict[LegId, Peer] = field(default_factory=dict)  # two at most
    call_ids: dict[LegId, str] = field(default_factory=dict)
    parties: dict[LegId, Party] = field(default_factory=dict)  # of legs that have left it too: some come back
    up: bool = False  # both legs are established and joined
    connected_at: datetime | None = None
    destination: str | None = None
    transfer: TransferId | None = None  # the newest one

    def other(self, leg: LegId) -> LegId | None:
        """The leg at the other end."""
        return next((one for one in self.legs if one != leg), None)

    def leg_at(self, kind: PeerKind) -> LegId | None:
        """The leg towards a peer of this kind, if there is exactly one."""
        found = [leg for leg, peer in self.legs.items() if peer.kind is kind]
        return found[0] if len(found) == 1 else None

    def record(
        self, ended_at: datetime | None = None, hung_up_by: str | None = None, reason: CallEnd | None = None
    ) -> CallRecord:
        """What the outside is told of the call."""
        talk = (ended_at - self.connected_at).total_seconds() if ended_at and self.connected_at else None
        return CallRecord(
            call=self.id,
            number=self.number.id,
            trunk=self.number.trunk,
            pbx=self.number.pbx,
            caller=self.caller,
            transfer=self.transfer,
            destination=self.destination,
            started_at=self.started_at,
            connected_at=self.connected_at,
            ended_at=ended_at,
            talk_s=talk,
            hung_up_by=hung_up_by,
            reason=reason,
            call_ids={self.legs[leg].kind.value: sip for leg, sip in self.call_ids.items() if leg in self.legs},
        )


class Calls:
    """The registry of calls, by id and by leg."""

    def __init__(self) -> None:
        self._by_id: dict[str, Call] = {}
        self._by_leg: dict[LegId, Call] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._by_id.values()))

    def of(self, leg: LegId) -> Call | None:
        """The call this leg belongs to."""
        return self._by_leg.get(leg)

    def get(self, call: str) -> Call | None:
        """The call with this id."""
        return self._by_id.get(call)

    def add(self, call: Call) -> None:
        """Begin to know a call; its legs follow by `join`."""
        self._by_id[call.id] = call

    def join(self, call: Call, leg: LegId, peer: Peer, sip_call_id: str | None, party: Party | None = None) -> None:
        """The leg is part of the call; `party` is whom it leads to, None: as it was."""
        call.legs[leg] = peer
        if party is not None:
            call.parties[leg] = party
        if sip_call_id:
            call.call_ids[leg] = sip_call_id
        self._by_leg[leg] = call

    def leave(self, call: Call, leg: LegId) -> None:
        """The leg is no longer part of the call."""
        call.legs.pop(leg, None)
        self._by_leg.pop(leg, None)

    def remove(self, call: Call) -> None:
        """The call is over."""
        for leg in list(call.legs):
            self.leave(call, leg)
        self._by_id.pop(call.id, None)

    def per_destination(self) -> Counter[str]:
        """How many conversations each destination has."""
        return Counter(call.destination for call in self._by_id.values() if call.destination)
