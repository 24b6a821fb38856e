# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call wants done. The engine carries the commands out, in their order."""

from dataclasses import dataclass

from gateway.core.call.state import Leg
from gateway.core.model import Announcement, LegId, Peer, TransferId
from gateway.core.outcome import Reason
from gateway.core.record import CallRecord
from gateway.core.transfer.commands import AnswerRequest, Identify, Listen, Notify, Report, StartTimer, StopTimer


@dataclass(frozen=True, slots=True)
class DialOrder:
    """A leg to dial."""

    leg: LegId  # the id the new leg will have
    peer: Peer
    user: str  # user part of the request URI: an extension or a number
    caller: str | None = None  # user part of From
    caller_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    private: bool = False  # the caller withholds who they are
    diverted: tuple[str, ...] = ()  # users whom the caller had called before, the latest first
    max_forwards: int = 70
    beside: LegId | None = None  # the leg that is to hear the new one: its codec is tried first


@dataclass(frozen=True, slots=True)
class HandDownOrder:
    """A transfer for the PBX to carry out: a REFER on the leg of the caller who is to be moved (RFC 3515)."""

    leg: LegId
    user: str  # user part of Refer-To: an extension of the PBX
    transfer: str  # the transfer's id, put into Refer-To where the PBX can find it again
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial a leg; a failure is answered with DialFailed."""

    order: DialOrder


@dataclass(frozen=True, slots=True)
class HandDown:
    """Have the PBX move a caller; a failure is answered with HandDownTold."""

    order: HandDownOrder


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer the INVITE of an incoming leg: 180, 183 or 200; a final one that fails is answered with LegFailed."""

    leg: LegId
    code: int
    beside: LegId | None = None  # whom it will hear: what that one speaks comes first in an answer with media


@dataclass(frozen=True, slots=True)
class Whisper:
    """Let one leg, which is in no conversation, hear sounds, and nobody else; its keys come as LegPressed."""

    leg: LegId
    sounds: tuple[Announcement, ...]
    tones: str = ""  # keys that are understood as tones in its audio too


@dataclass(frozen=True, slots=True)
class Join:
    """Let two legs hear each other; answered with Joined or JoinFailed."""

    one: LegId
    other: LegId
    dialled: str | None = None  # the extension that reached `other`; None: nothing new is known of who is there


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys for the peer of one leg; `w` is half a second of nothing."""

    leg: LegId
    keys: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Take a leg out of its conversation; it hears the announcement, then ringback or what `target` has to say."""

    leg: LegId
    target: LegId | None = None
    announcement: Announcement | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """Take a leg out of its conversation; it hears nothing."""

    leg: LegId


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a leg in the way its state asks for: CANCEL, a final response with `code`, or BYE."""

    leg: LegId
    code: int
    reason: Reason
    retry_after_s: int | None = None
    in_s: float = 0.0  # how long to wait before
    sentence: str | None = None  # why, as the caller may be told it, where an INVITE is refused


OwnCommand = AnswerRequest | Notify | StartTimer | StopTimer | Report | Listen | Identify
"""The commands of a transfer that concern no leg of the call: answers, timers, reports."""


@dataclass(frozen=True, slots=True)
class OfTransfer:
    """What the machine of one transfer wants done."""

    transfer: TransferId
    command: OwnCommand


@dataclass(frozen=True, slots=True)
class ReportCall:
    """A conversation is over; `event`: it is one that `call.ended` events tell of. `legs`: who took part in it."""

    record: CallRecord
    event: bool
    legs: tuple[Leg, ...] = ()


@dataclass(frozen=True, slots=True)
class CountRejected:
    """Count a request that never became a conversation."""

    reason: Reason


Command = (
    Dial
    | HandDown
    | Respond
    | Whisper
    | Join
    | Press
    | Wait
    | Silence
    | HangUp
    | OfTransfer
    | ReportCall
    | CountRejected
)
