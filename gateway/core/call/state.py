# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of one call: its legs, whether they are joined, and the transfers under way for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from gateway.core.caller import Party
from gateway.core.model import AnsweredBy, AssignedNumber, Destination, LegId, Peer, PeerKind, TransferId
from gateway.core.moment import Moment
from gateway.core.outcome import CallEnd
from gateway.core.record import CallRecord, TransferRecord
from gateway.core.transfer import State, Transfer


class CallState(StrEnum):
    """Where a call is."""

    NEW = "new"  # its caller's leg is all there is of it, and nobody has answered that
    CALLING = "calling"  # the other leg is dialled
    UP = "up"  # two legs hear each other, or are about to
    MOVING = "moving"  # a transfer decides what becomes of the caller
    ENDING = "ending"  # one leg is left, and about to be hung up
    OVER = "over"  # no leg is left


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a call: a dialog between the gateway and a peer."""

    id: LegId
    peer: Peer
    call_id: str | None = None  # SIP Call-ID; None: not known
    dialled: bool = False  # by the gateway; else the peer called


@dataclass(frozen=True, slots=True)
class PutThrough:
    """Whom a caller was put through to; all None: nobody, who talks is the assistant."""

    destination: str | None = None
    by: TransferId | None = None  # the transfer that did it
    answered_by: AnsweredBy | None = None  # who took the call there, as the PBX says; None: it does not


@dataclass(frozen=True, slots=True)
class Running:
    """A transfer of a call, and what the call knows of it beside the transfer machine."""

    machine: Transfer
    began: Moment
    asked: Destination | None = None  # what the request named
    number: AssignedNumber | None = None  # as configured when the transfer began
    peers: Mapping[LegId, Peer] = field(default_factory=dict)  # of every leg that ever took part
    present: frozenset[LegId] = frozenset()  # the legs whose end is news to the transfer machine
    handed: LegId | None = None  # the target to which the PBX was asked to bring the caller by itself
    consultation: LegId | None = None  # the transferor's leg in the call that an attended transfer joins
    before: PutThrough = field(default_factory=PutThrough)  # whom the caller talked with when it began

    @property
    def id(self) -> TransferId:
        """Of the transfer."""
        return self.machine.record.transfer

    @property
    def record(self) -> TransferRecord:
        """What is known of the transfer."""
        return self.machine.record

    @property
    def holds_transferee(self) -> bool:
        """Whether the transfer still decides what becomes of the caller."""
        return self.machine.state not in (State.RELEASING, State.KEPT, State.ENDED)

    @property
    def keeps_place(self) -> bool:
        """Whether its leg keeps the caller's place in a queue for another transfer."""
        return self.machine.state is State.KEPT

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.machine.state is State.ENDED

    def at(self, now: Moment) -> datetime:
        """The time of `now` for the transfer's record."""
        return self.began.told_at(now)

    def knowing(self, record: TransferRecord) -> "Running":
        """The same transfer, of which this is known."""
        return replace(self, machine=replace(self.machine, record=record))


@dataclass(frozen=True, slots=True)
class Call:
    """One caller's call; its legs change when it is transferred."""

    id: str
    number: AssignedNumber
    began: Moment
    begun_by: str = ""  # the name of the peer whose INVITE it was
    caller: str | None = None  # E.164 where it can be told, else as given
    max_forwards: int = 70  # what a request that goes on for the caller may still use
    legs: Mapping[LegId, Leg] = field(default_factory=dict)  # two at most
    parties: Mapping[LegId, Party] = field(default_factory=dict)  # of legs that have left it too: some come back
    up: bool = False  # both legs are established and joined
    connected_at: Moment | None = None
    destination: str | None = None
    answered_by: AnsweredBy | None = None  # who took the call there, as the PBX says; None: it does not
    put_through_by: TransferId | None = None  # the transfer that has led there
    transfer: TransferId | None = None  # the newest one
    recovering: frozenset[LegId] = frozenset()  # legs of an earlier process that have yet to be taken up
    transfers: tuple[Running, ...] = ()  # under way; one of them at most holds the transferee

    @property
    def state(self) -> CallState:
        """Where the call is."""
        if any(one.holds_transferee for one in self.transfers):
            return CallState.MOVING
        if not self.legs:
            return CallState.OVER
        if len(self.legs) == 1:
            return CallState.ENDING if self.connected_at or self.transfer else CallState.NEW
        return CallState.UP if self.up else CallState.CALLING

    def other(self, leg: LegId) -> LegId | None:
        """The leg at the other end."""
        return next((one for one in self.legs if one != leg), None)

    def leg_at(self, kind: PeerKind) -> LegId | None:
        """The leg towards a peer of this kind, if there is exactly one."""
        found = [one.id for one in self.legs.values() if one.peer.kind is kind]
        return found[0] if len(found) == 1 else None

    def running(self, transfer: TransferId | None) -> Running | None:
        """The transfer with this id, if it is under way for this call."""
        return next((one for one in self.transfers if one.id == transfer), None)

    @property
    def newest(self) -> Running | None:
        """The transfer that began last, if it is under way."""
        return self.running(self.transfer)

    @property
    def put_through(self) -> PutThrough:
        """Whom the caller was put through to."""
        return PutThrough(self.destination, self.put_through_by, self.answered_by)

    @property
    def led_by(self) -> TransferId | None:
        """The transfer that has led the caller to where they are; the newest one, if none has."""
        return self.put_through_by or self.transfer

    @property
    def kept(self) -> Running | None:
        """The transfer that has failed and still keeps the caller's place in a queue."""
        return next((one for one in self.transfers if one.keeps_place), None)

    def transferring(self, leg: LegId) -> Running | None:
        """The transfer to which the end of this leg is news: the newest one in which it takes part."""
        return next((one for one in reversed(self.transfers) if leg in one.present), None)

    def switching_to(self, target: LegId) -> Running | None:
        """The transfer that waits for its caller to be joined with this target."""
        waits = (one for one in self.transfers if one.machine.state is State.SWITCHING)
        return next((one for one in waits if one.machine.target == target), None)

    @property
    def involved(self) -> frozenset[LegId]:
        """The legs of which something is to be made here."""
        return frozenset(self.legs).union(*(one.present for one in self.transfers))

    def record(
        self, ended: Moment | None = None, hung_up_by: str | None = None, reason: CallEnd | None = None
    ) -> CallRecord:
        """What the outside is told of the call."""
        since = self.connected_at
        return CallRecord(
            call=self.id,
            number=self.number.id,
            trunk=self.number.trunk,
            pbx=self.number.pbx,
            caller=self.caller,
            transfer=self.led_by if ended else self.transfer,
            destination=self.destination,
            started_at=self.began.wall,
            connected_at=self.began.told_at(since) if since else None,
            ended_at=self.began.told_at(ended) if ended else None,
            talk_s=ended.steady - since.steady if ended and since else None,
            hung_up_by=hung_up_by,
            reason=reason,
            call_ids={leg.peer.kind.value: leg.call_id for leg in self.legs.values() if leg.call_id},
        )

    def __repr__(self) -> str:
        transfers = "".join(f", {one.machine!r}" for one in self.transfers)
        return f"<Call {self.id} {'up' if self.up else 'not up'}: {' '.join(self.legs) or 'no leg'}{transfers}>"
