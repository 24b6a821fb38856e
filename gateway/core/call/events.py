# SPDX-License-Identifier: GPL-2.0-or-later
"""What can happen to a call. Every event carries its moment: the core has no clock."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.core.call.commands import DialOrder
from gateway.core.call.state import Call, Leg, Running
from gateway.core.caller import Party
from gateway.core.model import Announcement, AnsweredBy, AssignedNumber, Decision, Destination, LegId, TransferId
from gateway.core.moment import Moment
from gateway.core.outcome import CallEnd, Reason
from gateway.core.record import TransferRecord
from gateway.core.transfer import Manner
from gateway.core.transfer import events as ev
from gateway.core.transfer.commands import Timer

NOTHING_FOLLOWS = Decision(False, Reason.NO_ANSWER, None)
_GOES_ON_AFTER = frozenset({Timer.RING, Timer.ACCEPT, Timer.LISTEN, Timer.TURN})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at the moment `now`."""

    now: Moment


@dataclass(frozen=True, slots=True)
class HuntEvent(Event):
    """Something after which a hunt may go on: `next` is what the gate says of the rest of it, at that moment."""

    next: Decision = field(default=NOTHING_FOLLOWS, kw_only=True)

    @abstractmethod
    def hunt_of(self, call: Call) -> Running | None:
        """The transfer whose hunt may go on."""


@dataclass(frozen=True, slots=True)
class LegHuntEvent(HuntEvent):
    """Such an event of one leg."""

    leg: LegId

    def hunt_of(self, call: Call) -> Running | None:
        """See HuntEvent: the transfer of which the leg is the target."""
        running = call.transferring(self.leg)
        return running if running is not None and self.leg == running.machine.target else None


@dataclass(frozen=True, slots=True)
class AssistantWanted(Event):
    """The PBX's caller is to talk to the assistant; `party` is how the assistant's leg is shown to others."""

    order: DialOrder
    party: Party


@dataclass(frozen=True, slots=True)
class Consultation:
    """The transferor's other call: its leg there, and the far end with which the caller is to be joined."""

    leg: LegId
    target: Leg


@dataclass(frozen=True, slots=True)
class TransferRequested(Event):
    """Somebody asked for a transfer, and the gate has decided; `record` holds what the request said."""

    record: TransferRecord
    decision: Decision
    transferee: LegId
    transferor: LegId | None
    manner: Manner
    asked: Destination | None = None
    consultation: Consultation | None = None  # an attended transfer: nothing is dialled
    calls_back: bool = False  # the caller is not there, and is to be called back
    kept: bool = False  # … as was promised in another life of the gateway
    takes_up: TransferId | None = None  # the one that has kept the caller's place, if this is for the same destination
    call_ids: Mapping[LegId, str] = field(default_factory=dict)  # SIP Call-IDs of the legs that take part
    uploaded: Announcement | None = None  # a sound for who answers


@dataclass(frozen=True, slots=True)
class LegReplaced(Event):
    """A peer calls in the place of one of its legs (RFC 3891)."""

    replaced: LegId
    leg: Leg
    party: Party


@dataclass(frozen=True, slots=True)
class DialFailed(LegHuntEvent):
    """A leg could not even be dialled; `no_room`: for want of ports or descriptors."""

    no_room: bool


@dataclass(frozen=True, slots=True)
class LegProgress(Event):
    """A dialled leg got a provisional response, 180 to 199."""

    leg: LegId
    code: int


@dataclass(frozen=True, slots=True)
class LegEarlyMedia(Event):
    """A dialled leg has media before its answer."""

    leg: LegId


@dataclass(frozen=True, slots=True)
class LegAnswered(Event):
    """A leg is established."""

    leg: LegId


@dataclass(frozen=True, slots=True)
class LegPressed(LegHuntEvent):
    """Who is at the end of a leg that is whispered to has pressed a key."""

    key: str


@dataclass(frozen=True, slots=True)
class PartyChanged(Event):
    """Somebody else is at the end of a leg now, or is known by more."""

    leg: LegId
    party: Party


@dataclass(frozen=True, slots=True)
class LegEnded(LegHuntEvent):
    """A leg is over: `code` is the final response of its INVITE, or 200 after a BYE."""

    code: int
    by_peer: bool = True
    why: CallEnd = CallEnd.HUNG_UP


@dataclass(frozen=True, slots=True)
class LegFailed(LegHuntEvent):
    """A leg that waits for its answer cannot be given one; `text` says what happened."""

    text: str


@dataclass(frozen=True, slots=True)
class LegTaken(Event):
    """A leg of this call was joined with another call's caller."""

    leg: LegId


@dataclass(frozen=True, slots=True)
class Joined(Event):
    """Two legs hear each other; `party` is whom the second one leads to."""

    one: LegId
    other: LegId
    party: Party | None = None


@dataclass(frozen=True, slots=True)
class JoinFailed(HuntEvent):
    """Two legs could not be joined."""

    one: LegId
    other: LegId

    def hunt_of(self, call: Call) -> Running | None:
        """See HuntEvent."""
        return call.switching_to(self.other)


@dataclass(frozen=True, slots=True)
class HandDownTold(LegHuntEvent):
    """The PBX tells how it gets on with moving the caller on this leg; `accepted`: it has taken the request."""

    code: int
    accepted: bool

    def hunt_of(self, call: Call) -> Running | None:
        """See HuntEvent: it is the caller's own leg that tells of the target."""
        return call.transferring(self.leg) if self.code >= 300 else None


@dataclass(frozen=True, slots=True)
class HumansUnknown(Event):
    """The PBX can no longer tell who takes a call."""

    pbx: str


@dataclass(frozen=True, slots=True)
class TransferEvent(Event):
    """Something that happened to one transfer of the call."""

    transfer: TransferId

    @abstractmethod
    def told_to(self, running: Running) -> ev.Event | None:
        """What the machine of the transfer is told; None: nothing."""


@dataclass(frozen=True, slots=True)
class TimerFired(HuntEvent):
    """A transfer's timer has run out; `heard`: the transferee's leg has brought audio since it was listened to."""

    transfer: TransferId
    timer: Timer
    heard: bool = False
    names_humans: frozenset[str] = frozenset()  # the PBXs that tell, now, who takes a call
    wait_s: float | None = None  # expected for the caller, where it is the deadline and they wait in a queue

    def hunt_of(self, call: Call) -> Running | None:
        """See HuntEvent."""
        return call.running(self.transfer) if self.timer in _GOES_ON_AFTER else None

    def told_to(self, running: Running) -> ev.Event:
        """See TransferEvent."""
        at = running.at(self.now)
        match self.timer:
            case Timer.RING:
                return ev.RingTimeout(at, self.next)
            case Timer.DEADLINE:
                return ev.Deadline(at, self.wait_s)
            case Timer.HUMAN:
                return ev.HumanTimeout(at)
            case Timer.RELEASE:
                return ev.ReleaseTimeout(at)
            case Timer.ANNOUNCEMENT:
                return ev.Announced(at)
            case Timer.WHO:
                return ev.WhoTimeout(at)
            case Timer.ACCEPT:
                return ev.AcceptTimeout(at, self.next)
            case Timer.TURN:
                return ev.TurnCame(at, self.next, self.names_humans)
            case Timer.EXPIRY:
                return ev.Expired(at)
            case Timer.PLACE:
                return ev.PlaceTimeout(at)
            case Timer.LISTEN:
                return ev.Listened(at, running.machine.target, self.heard, self.next)


@dataclass(frozen=True, slots=True)
class HumanAnswered(TransferEvent):
    """The PBX says that a person took the call; `told_at` is when by the PBX's own clock."""

    target: LegId
    told_at: datetime
    by: AnsweredBy = AnsweredBy.AGENT
    agent: str = ""  # the person's interface; empty: it is not to be reported

    def told_to(self, running: Running) -> ev.Event:
        """See TransferEvent: by our clock it was between the answer that it belongs to and now."""
        earliest = running.record.answered_at or running.record.requested_at
        at = max(earliest, min(self.told_at, running.at(self.now)))
        return ev.HumanAnswered(at, self.target, self.by, self.agent)


@dataclass(frozen=True, slots=True)
class Identified(HuntEvent):
    """The PBX says what took a call, and that it is no person it knows; None: it is still looking for one."""

    transfer: TransferId
    target: LegId
    by: AnsweredBy | None
    name: str = ""  # of the application, where it is one

    def hunt_of(self, call: Call) -> Running | None:
        """See HuntEvent: the hunt goes on where it was voicemail."""
        return call.running(self.transfer) if self.by is AnsweredBy.VOICEMAIL else None

    def told_to(self, running: Running) -> ev.Event:
        """See TransferEvent."""
        return ev.Identified(running.at(self.now), self.target, self.by, self.name, self.next)


@dataclass(frozen=True, slots=True)
class CallerLost(TransferEvent):
    """The PBX says that a caller whom it had taken over is gone; `told_at` is when by the PBX's own clock."""

    reason: Reason
    told_at: datetime

    def told_to(self, running: Running) -> ev.Event | None:
        """See TransferEvent."""
        if running.handed is None:
            return None
        at = max(running.record.requested_at, min(self.told_at, running.at(self.now)))
        return ev.CallerLost(at, running.handed, self.reason)


@dataclass(frozen=True, slots=True)
class NotifyFailed(TransferEvent):
    """The transferor takes no more NOTIFYs."""

    def told_to(self, running: Running) -> ev.Event:
        """See TransferEvent."""
        return ev.NotifyFailed(running.at(self.now))


@dataclass(frozen=True, slots=True)
class Cancelled(TransferEvent):
    """By command: the transfer is no longer wanted."""

    by: str = ""  # the name of who gave the command

    def told_to(self, running: Running) -> ev.Event:
        """See TransferEvent."""
        return ev.Cancelled(running.at(self.now), self.by)


@dataclass(frozen=True, slots=True)
class Fault(TransferEvent):
    """Something that the gateway was to do for a transfer could not be done."""

    text: str

    def told_to(self, running: Running) -> ev.Event:
        """See TransferEvent."""
        return ev.Fault(running.at(self.now), self.text)


@dataclass(frozen=True, slots=True)
class Stop(TransferEvent):
    """The gateway stops, and waits for this transfer no longer."""

    def told_to(self, running: Running) -> ev.Event:
        """See TransferEvent."""
        return ev.Stop(running.at(self.now))


@dataclass(frozen=True, slots=True)
class EndWanted(Event):
    """By command: the call is to end, whatever its legs and transfers are at."""

    by: str = ""  # the name of who gave the command


@dataclass(frozen=True, slots=True)
class Reconfigured(Event):
    """The assigned number is configured anew; a running transfer goes on as it began."""

    number: AssignedNumber
