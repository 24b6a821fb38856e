# SPDX-License-Identifier: GPL-2.0-or-later
"""What the configuration says and what the PBX last told, as plain values the core decides with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType, Protocol

from gateway.core.hours import Schedule
from gateway.core.outcome import Reason
from gateway.core.state_sources import StateSource

LegId = NewType("LegId", str)
"""One SIP dialog of ours."""
TransferId = NewType("TransferId", str)
"""A ULID: 26 characters, sortable by time."""


class PeerKind(StrEnum):
    """What a profile describes."""

    TRUNK = "trunk"
    PBX = "pbx"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a request: the profile it was recognised by."""

    name: str
    kind: PeerKind


class Entry(StrEnum):
    """How a transfer was asked for."""

    REFER = "refer"
    INVITE = "invite"
    COMMAND = "command"
    CALLBACK = "callback"  # a command by which a caller is to be called back


class WhenUnknown(StrEnum):
    """What the gate decides when the state of the queue or extension is unknown."""

    ALLOW = "allow"
    REFUSE = "refuse"


class FinalNotify(StrEnum):
    """What the final NOTIFY of a successful transfer waits for."""

    ON_RING = "on-ring"
    ON_ANSWER = "on-answer"
    ON_HUMAN = "on-human"
    ON_ACCEPT = "on-accept"  # the key by which who answered takes the call; where none is asked for, as ON_HUMAN

    @property
    def waits_for_person(self) -> bool:
        """Whether the PBX's answer alone is not enough."""
        return self in (FinalNotify.ON_HUMAN, FinalNotify.ON_ACCEPT)


class AnsweredBy(StrEnum):
    """Who or what took a call, as the PBX says it: never guessed."""

    EXTENSION = "extension"  # a phone of the PBX
    AGENT = "agent"  # of a queue
    OUTSIDE = "outside"  # a line out of the PBX: who is at its other end, the PBX does not know
    VOICEMAIL = "voicemail"
    APPLICATION = "application"  # something else that the PBX itself plays: an announcement, a menu, a conference

    @property
    def is_person(self) -> bool:
        """Whether a person took the call, as far as a PBX can tell."""
        return self in (AnsweredBy.EXTENSION, AnsweredBy.AGENT)


class OnVoicemail(StrEnum):
    """What becomes of a caller whom the PBX's voicemail has answered."""

    NEXT = "next"  # the hunt goes on; where nobody is left, as RETURN
    RETURN = "return"  # the caller goes back to whoever asked; is left there where nobody can take them back
    KEEP = "keep"  # the caller is left there


class WhileWaiting(StrEnum):
    """What a caller does who waits for a destination."""

    RINGBACK = "ringback"  # they hear the announcement and ringback, or what the PBX plays
    ASSISTANT = "assistant"  # they go on talking with whoever asked for the transfer, until somebody has the call


class WhisperWord(StrEnum):
    """What a whisper may have beside sound files."""

    CALLER_NUMBER = "caller-number"  # the caller's number, spelled
    UPLOADED = "uploaded"  # the sound that was uploaded for the transfer


GOES_ON_AFTER = frozenset({Reason.BUSY, Reason.NO_ANSWER, Reason.DECLINED, Reason.UNREACHABLE})
"""The failures after which the hunt can go on."""
_NOT_REACHED_EITHER = frozenset({Reason.PBX_ERROR, Reason.ADDRESS_INCOMPLETE, Reason.NOT_ACCEPTABLE})


class SoundCopy(Protocol):
    """A sound in memory. It is there for as long as anybody has this."""

    @property
    def name(self) -> str:
        """Under which it is opened."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A sound file that is played to a caller who waits for a destination, or to who has answered there."""

    file: str  # absolute path of a WAV file: PCM of 16 bit, mono, 8 or 16 kHz
    duration: timedelta
    before: bool = False  # it is heard to its end before anything is dialled
    then: tuple[str, ...] = ()  # files of the same form that follow on it at once; `duration` is that of all
    copies: tuple[SoundCopy, ...] = field(default=(), compare=False, repr=False)  # of all of them, in this order

    @property
    def played(self) -> tuple[str, ...]:
        """The names of what is opened to be played: copies in memory, where there are any."""
        return tuple(copy.name for copy in self.copies) or (self.file, *self.then)


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a number is spelled: in what language, and for listeners in which country."""

    sounds: Mapping[str, Announcement]  # by the names of `whisper.SPELLED`; all of one sampling rate
    country: str | None = None  # ISO 3166 alpha-2: its numbers are spelled as they are dialled there


@dataclass(frozen=True, slots=True)
class CallBack:
    """That callers who asked for a destination may be called back, and how."""

    pbx: str  # the profile by which they are called
    prefixes: tuple[str, ...]  # how their numbers begin, in E.164
    within: timedelta = timedelta(hours=1)  # after it was promised
    attempts: int = 3  # how often a caller is called
    retry: timedelta = timedelta(minutes=5)  # between two of those
    ring: timedelta = timedelta(seconds=25)  # how long a caller may ring
    per_hour: int = 20  # how many are promised in an hour


@dataclass(frozen=True, slots=True)
class Destination:
    """What an assistant may transfer to, and what is dialled on the PBX for it."""

    id: str
    extension: str
    number: str | None = None  # E.164
    aliases: tuple[str, ...] = ()
    description: str = ""
    message: str = ""
    queue: str | None = None  # None: the extension's own state is checked
    hours: Schedule | None = None  # None: always open
    min_available: int = 1
    max_waiting: int | None = None
    max_wait: timedelta | None = None
    max_concurrent: int | None = None
    max_concurrent_shared: bool = False  # … over all gateways of the cluster, as far as they are heard of
    when_unknown: WhenUnknown = WhenUnknown.ALLOW
    ring_timeout: timedelta = timedelta(seconds=25)
    overflow: tuple[str, ...] = ()  # destination ids
    name: str = ""  # as it is spoken; empty: made from the id
    group: tuple[str, ...] = ()  # extensions that ring together when `extension` is dialled; their states are checked
    max_penalty: int | None = None  # agents of a higher one are not asked for this destination's callers
    wrap_up: timedelta = timedelta(0)  # how long the queue leaves an agent alone after a call
    overflow_on: frozenset[Reason] = GOES_ON_AFTER
    announcement: Announcement | None = None
    digits: str = ""  # keys that are pressed once the target has answered, to it alone; w: half a second of nothing
    voicemail: OnVoicemail = OnVoicemail.NEXT  # where the PBX tells that it was voicemail that answered
    whisper: tuple[Announcement | WhisperWord, ...] = ()  # what who answers hears, and nobody else, at first
    spelling: Spelling | None = None  # … and how a number in it is spelled
    accept: str = ""  # the key by which who answers takes the call; empty: the call is taken by answering
    decline: str = ""  # … and the one by which they refuse it; any other key does so too
    accept_timeout: timedelta = timedelta(seconds=10)  # for that key, once the whisper is over
    while_waiting: WhileWaiting = WhileWaiting.RINGBACK
    hold_place: timedelta = timedelta(0)  # how long a caller's place in the queue is kept whose sender waits no longer
    pbx: str = ""  # empty: that of its number
    outside: bool = False  # … and it is a carrier's line, at whose end anybody may be
    call_back: CallBack | None = None  # None: nobody is called back for it

    @property
    def place(self) -> tuple[str, str]:
        """The PBX and the extension that are dialled: a target, whichever destinations lead to it."""
        return self.pbx, self.extension

    def goes_on_after(self, reason: Reason) -> bool:
        """Whether another target is tried when this one fails for this reason."""
        if reason is Reason.VOICEMAIL:
            return self.voicemail is OnVoicemail.NEXT
        # A PBX that answers with an error of its own, or says what the target lacks, cannot reach it either.
        return (Reason.UNREACHABLE if reason in _NOT_REACHED_EITHER else reason) in self.overflow_on

    @property
    def holds_back(self) -> bool:
        """Whether the caller and who has answered hear nothing of each other yet when that is."""
        return bool(self.whisper or self.accept)

    @property
    def spoken_name(self) -> str:
        """What callers know it by."""
        return self.name or self.id.replace("-", " ")

    @property
    def watched(self) -> tuple[str, ...]:
        """The extensions whose state decides; none where a queue's does."""
        return () if self.queue is not None else self.group or (self.extension,)


@dataclass(frozen=True, slots=True)
class AssignedNumber:
    """A number of ours on a trunk, with the destinations its assistant may transfer to."""

    id: str
    number: str  # E.164
    trunk: str
    pbx: str
    destinations: Mapping[str, Destination]  # by id, in the configuration's order
    answer: str | None = None  # destination id
    fallback: str | None = None  # destination id
    country: str | None = None  # ISO 3166 alpha-2, for numbers given in national form
    locale: str = "en"  # language of what its callers are told
    total_ring: timedelta | None = None  # how long all targets of a hunt may ring together
    assistant: Mapping[str, object] | None = None  # the JSON that its platform is told who answers, if it asks
    # Its own PBX, and those of its destinations; no carriers.
    pbxs: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find out once what each transfer asks for."""
        others = (self.pbx_of(each) for each in self.destinations.values() if not each.outside)
        object.__setattr__(self, "pbxs", frozenset((self.pbx, *others)))

    def pbx_of(self, destination: Destination) -> str:
        """The PBX on which a destination of this number is dialled."""
        return destination.pbx or self.pbx


class DeviceState(StrEnum):
    """State of an extension as the PBX reports it."""

    IDLE = "idle"
    RINGING = "ringing"
    IN_USE = "in-use"
    BUSY = "busy"
    ON_HOLD = "on-hold"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Agent:
    """A member of a queue whose phone is there."""

    idle: bool  # the phone is; whether they are paused or in wrap-up is another matter
    paused: bool = False
    penalty: int = 0
    last_call: datetime | None = None  # when their last call from this queue ended
    wrap_up: timedelta = timedelta(0)  # their own, where the PBX tells it


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue at one moment, counted as the PBX itself counts."""

    name: str
    logged_in: int  # members that are registered; paused and busy ones included
    available: int  # members that could take a call now
    callers: int  # waiting
    longest_wait_s: float = 0.0
    paused: int = 0
    busy: int = 0
    max_len: int | None = None  # the queue's own limit of waiting callers; None: no limit
    expected_wait_s: float | None = None  # of one more caller; None: unknown
    mean_talk_s: float | None = None  # of the calls its agents completed; None: unknown
    rung: int = 0  # of the callers: for whom an agent's phone rings
    agents: tuple[Agent, ...] = ()  # those that are logged in

    @property
    def ahead(self) -> int:
        """Callers for whom nobody's phone rings yet."""
        return self.callers - self.rung


@dataclass(frozen=True, slots=True)
class PbxState:
    """Snapshot of a PBX: what it said of its queues and extensions, and how fresh that is."""

    pbx: str
    source: StateSource = StateSource.NONE
    proven_at: datetime | None = None  # last time the PBX proved to be alive; None: unknown as of now
    max_age: timedelta = timedelta(seconds=10)
    queues: Mapping[str, QueueState] = field(default_factory=dict)
    extensions: Mapping[str, DeviceState] = field(default_factory=dict)
    unknown_because: str = "no state source is configured"  # for the trail, when proven_at is None
    # ("queue" | "extension", name) of those that a PBX which has just started tells, and that are not believed yet.
    unsettled: frozenset[tuple[str, str]] = frozenset()
    withheld: Mapping[tuple[str, str], str] = field(default_factory=dict)  # … that are not told, and why not

    def fresh(self, now: datetime) -> bool:
        """Whether the snapshot may be relied on at `now`."""
        return self.proven_at is not None and now - self.proven_at <= self.max_age


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the other gateways of the cluster carry, as they last said: about right, and never exact."""

    gateways: int = 0  # that are heard of
    running: Mapping[str, int] = field(default_factory=dict)  # calls of all of them together, by destination id


@dataclass(frozen=True, slots=True)
class Load:
    """How much the gateway carries at the moment of a decision."""

    calls: int = 0
    max_calls: int = 500
    per_destination: Mapping[str, int] = field(default_factory=dict)  # running, by destination id
    draining: bool = False
    exhausted: bool = False  # no ports or descriptors are left for another leg
    elsewhere: Elsewhere = Elsewhere()


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer: where to, or why not, and what each check found."""

    accepted: bool
    reason: Reason
    destination: Destination | None  # the one to dial, or the one that was asked for when refused; None: unknown
    trail: tuple[str, ...] = ()
    retry_after_s: int | None = None
    refusals: tuple[tuple[str, Reason], ...] = ()  # (destination id, reason) of those passed over before
    sentence: str | None = None  # a refusal as the caller may be told it, in their language

    @property
    def sip_code(self) -> int:
        """200 when accepted, else the code of the refusal."""
        return self.reason.sip_code
