# SPDX-License-Identifier: GPL-2.0-or-later
"""What the transfer machine wants done. The engine carries the commands out, in their order."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.model import Announcement, Destination, LegId
from gateway.core.outcome import Reason
from gateway.core.record import Milestone


class Timer(StrEnum):
    """The timers of one transfer; each runs at most once at a time."""

    RING = "ring"
    DEADLINE = "deadline"
    HUMAN = "human"
    RELEASE = "release"
    ANNOUNCEMENT = "announcement"
    LISTEN = "listen"
    WHO = "who"
    ACCEPT = "accept"
    TURN = "turn"
    EXPIRY = "expiry"
    PLACE = "place"


RELEASE_S = 1.0
"""How long the transferor has to send its BYE after the final NOTIFY."""
HUMAN_S = 300.0
"""How long the outcome waits, after the PBX has answered for a queue, until it names the person who took the call."""
WHO_S = 1.0
"""How long the PBX has, after its answer, to say who that was: most say it within milliseconds."""
SWITCH_S = 1.0
"""How long a deadline that passes while two legs are being joined waits for what comes of that."""
LISTEN_S = 0.5
"""How long the caller's leg is listened to: 25 packets of audio, where there is somebody."""
AGENT_WAITS_S = 20.0
"""How long an agent who has taken the call of a place that is kept hears ringback, and the place is still there."""


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Give the REFER (or the command) its own response; exactly one for each request."""

    code: int
    reason: Reason
    retry_after_s: int | None = None
    sentence: str | None = None  # a refusal as the caller may be told it


@dataclass(frozen=True, slots=True)
class Notify:
    """Send the state of the transfer to the transferor (RFC 3515 §2.4.5)."""

    code: int
    reason: Reason
    final: bool = False
    sentence: str | None = None  # a failure as the caller may be told it
    retry_after_s: int | None = None  # when to ask again


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer the fresh INVITE that is the transfer: 180 or 200."""

    leg: LegId
    code: int


@dataclass(frozen=True, slots=True)
class Dial:
    """Call the destination's extension on the PBX; the new leg has the id `target`."""

    target: LegId
    destination: Destination


@dataclass(frozen=True, slots=True)
class CallCaller:
    """Call the caller back, as the leg `transferee`; the target, who has answered, hears that it rings."""

    transferee: LegId
    target: LegId
    destination: Destination


@dataclass(frozen=True, slots=True)
class HandDown:
    """Have the PBX take the transferee to the destination's extension by itself: a REFER on the transferee's own leg.

    There is no leg `target`; its events are those of the PBX's NOTIFYs.
    """

    target: LegId
    transferee: LegId
    destination: Destination


@dataclass(frozen=True, slots=True)
class Listen:
    """Note whether the transferee's leg still brings audio from now on, until the timer `listen` has run out."""

    transferee: LegId


@dataclass(frozen=True, slots=True)
class Identify:
    """Have the PBX say who or what has answered the target; HumanAnswered or Identified may come of it."""

    target: LegId


@dataclass(frozen=True, slots=True)
class Whisper:
    """Let the target, which has answered, and nobody else hear sounds, one after the other.

    Its keys become TargetPressed from now on.
    """

    target: LegId
    sounds: tuple[Announcement, ...]
    tones: str = ""  # keys that are understood as tones in its audio too


@dataclass(frozen=True, slots=True)
class Hold:
    """Let the target, which has answered, hear ringback: whom it is there for is still to come."""

    target: LegId


@dataclass(frozen=True, slots=True)
class Announce:
    """Let the transferee hear an announcement; nothing is dialled meanwhile."""

    transferee: LegId
    announcement: Announcement


@dataclass(frozen=True, slots=True)
class Wait:
    """Take the transferee out of the conversation and let it hear that something is being tried."""

    transferee: LegId
    transferor: LegId | None


@dataclass(frozen=True, slots=True)
class Switch:
    """Join transferee and target; answered with Switched or SwitchFailed."""

    transferee: LegId
    target: LegId


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys for the target, which has answered; nobody else is given them. `w` is half a second of nothing."""

    target: LegId
    keys: str


@dataclass(frozen=True, slots=True)
class Return:
    """Give the transferee back to the transferor, as if nothing had happened."""

    transferee: LegId
    transferor: LegId


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a leg in the way its state asks for: CANCEL, a final response with `code`, or BYE."""

    leg: LegId
    reason: Reason
    code: int
    retry_after_s: int | None = None
    sentence: str | None = None  # why, as the caller may be told it, where an INVITE is refused


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Start (or restart) a timer."""

    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Stop a timer; nothing happens when it does not run."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the outside that the transfer reached a milestone."""

    milestone: Milestone


Command = (
    AnswerRequest
    | Notify
    | Respond
    | Dial
    | CallCaller
    | HandDown
    | Listen
    | Identify
    | Whisper
    | Hold
    | Announce
    | Wait
    | Switch
    | Press
    | Return
    | HangUp
    | StartTimer
    | StopTimer
    | Report
)
