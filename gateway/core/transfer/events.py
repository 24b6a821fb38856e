# SPDX-License-Identifier: GPL-2.0-or-later
"""What can happen to a transfer. Every event carries the moment it happened (aware, UTC): the core has no clock."""

from dataclasses import dataclass
from datetime import datetime

from gateway.core.model import AnsweredBy, Decision, LegId
from gateway.core.outcome import Reason


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class TargetEvent(Event):
    """Something that happened to the leg `target`, which may have been given up by then."""

    target: LegId


@dataclass(frozen=True, slots=True)
class TargetProgress(TargetEvent):
    """The target's PBX sent a provisional response other than 100."""

    code: int


@dataclass(frozen=True, slots=True)
class TargetAnswered(TargetEvent):
    """The target's PBX answered with a 2xx."""


@dataclass(frozen=True, slots=True)
class TargetFailed(TargetEvent):
    """The target's leg ended: a final response of 300 or above, a transport error, or its BYE after the answer."""

    reason: Reason
    sip_code: int
    next: Decision  # what the gate says of the rest of the hunt, now
    caller_moved: bool = False  # the PBX had taken the caller from our leg before it failed (a hand-down)


@dataclass(frozen=True, slots=True)
class Listened(TargetEvent):
    """Whether the transferee's leg still brings audio after a hand-down that failed: whether the caller is there."""

    heard: bool
    next: Decision


@dataclass(frozen=True, slots=True)
class RingTimeout(Event):
    """The target rang for its whole ring time."""

    next: Decision


@dataclass(frozen=True, slots=True)
class Announced(Event):
    """The transferee has heard the announcement that comes before the dialling."""


@dataclass(frozen=True, slots=True)
class TransfereeGone(Event):
    """The caller hung up; or, with a `fault`, lost its leg through us; or was hung up by command of `ended_by`."""

    fault: str | None = None
    ended_by: str | None = None  # a name; empty: nobody in particular


@dataclass(frozen=True, slots=True)
class CallerLost(TargetEvent):
    """The PBX says that the caller whom it had taken from our leg is gone: hung up, or dropped because of `reason`."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Cancelled(Event):
    """By command: the transfer is no longer wanted."""

    by: str = ""  # the name of who gave the command


@dataclass(frozen=True, slots=True)
class TransferorGone(Event):
    """Who asked for the transfer hung up."""


@dataclass(frozen=True, slots=True)
class Deadline(Event):
    """The transferor is about to stop waiting for the final NOTIFY."""

    wait_s: float | None = None  # how long the caller will still wait in the queue, as is expected; None: unknown


@dataclass(frozen=True, slots=True)
class PlaceTimeout(Event):
    """The place in the queue was kept for as long as it is, or an agent has waited there for as long as they do."""


@dataclass(frozen=True, slots=True)
class PlaceLeft(Event):
    """Another transfer of the caller begins; `taken_up`: it goes on with the leg that kept the place."""

    taken_up: bool


@dataclass(frozen=True, slots=True)
class Switched(TargetEvent):
    """Caller and target hear each other."""


@dataclass(frozen=True, slots=True)
class SwitchFailed(TargetEvent):
    """The two legs could not be joined."""

    next: Decision


@dataclass(frozen=True, slots=True)
class HumanAnswered(TargetEvent):
    """The PBX says that a person took the call; `agent` is the person's interface, empty: that is not reported."""

    by: AnsweredBy = AnsweredBy.AGENT
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Identified(TargetEvent):
    """The PBX says what took the call, and that it is no person it knows; `by` None: it is still looking for one."""

    by: AnsweredBy | None
    name: str  # the application's, where it is one
    next: Decision  # what the gate says of the rest of the hunt, now


@dataclass(frozen=True, slots=True)
class TargetPressed(TargetEvent):
    """Who has answered pressed a key, and was asked for one, or hears the whisper."""

    key: str  # one of 0123456789*#ABCD
    next: Decision  # what the gate says of the rest of the hunt, now


@dataclass(frozen=True, slots=True)
class AcceptTimeout(Event):
    """Who has answered has heard the whisper, and had its time for the key, if one was asked for."""

    next: Decision


@dataclass(frozen=True, slots=True)
class WhoTimeout(Event):
    """The PBX has not said in time who took the call."""


@dataclass(frozen=True, slots=True)
class TurnCame(Event):
    """It is time to look whether somebody is free for a caller who is to be called back; `next` is what was found."""

    next: Decision
    names_humans: frozenset[str] = frozenset()  # the PBXs that tell, now, who takes a call


@dataclass(frozen=True, slots=True)
class Expired(Event):
    """The time is over in which the caller was to be called back."""


@dataclass(frozen=True, slots=True)
class TransfereeAnswered(Event):
    """The caller who is called back has answered."""


@dataclass(frozen=True, slots=True)
class TransfereeFailed(Event):
    """The caller who is called back did not answer, for this reason."""

    reason: Reason
    sip_code: int


@dataclass(frozen=True, slots=True)
class HumanTimeout(Event):
    """The PBX did not name a person for a long time after its answer, or can no longer do so."""


@dataclass(frozen=True, slots=True)
class NotifyFailed(Event):
    """The transferor no longer takes NOTIFYs: 481, a time-out, or its unsubscription (RFC 6665 §4.2.2)."""


@dataclass(frozen=True, slots=True)
class ReleaseTimeout(Event):
    """The transferor did not hang up by itself after the final NOTIFY."""


@dataclass(frozen=True, slots=True)
class Fault(Event):
    """Something that the gateway was to do for the transfer could not be done; `text` says what."""

    text: str


@dataclass(frozen=True, slots=True)
class Stop(Event):
    """The gateway stops and can wait no longer."""
