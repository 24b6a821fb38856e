# SPDX-License-Identifier: GPL-2.0-or-later
"""What the HTTP API takes and answers, as models: for its OpenAPI document, and for tests that hold answers against it.

The answers themselves are written by `core.json_form`, which takes a fraction of the time.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.commands import Id
from gateway.core.call.state import CallState
from gateway.core.call_line import Stage
from gateway.core.media_way import Path, Why
from gateway.core.model import AnsweredBy
from gateway.core.open_call import LegState
from gateway.core.outcome import Outcome, Reason
from gateway.core.state_sources import StateSource
from gateway.core.transfer import State
from gateway.documents import (
    CallData,
    Count,
    ErrorData,
    OpenCallData,
    PlatformCallData,
    Published,
    QueueData,
    SipCode,
    Timestamp,
    TransferData,
)


class Description(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    paths: dict[str, Any]


class Addresses(Published):
    """What can be asked for; the same as text to who takes that alone."""

    name: Literal["transfer-gateway"]
    version: str
    addresses: dict[str, str] = Field(description="what each is for, by method and path")


class Answered(Published):
    """What is answered to a POST."""

    ignored: list[str] = Field(
        default_factory=list, description="fields of a body that mean nothing here; absent where there are none"
    )


class Health(Published):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Published):
    """Whether calls are taken, and what that hangs on."""

    ready: bool
    conditions: dict[str, bool]
    missing: list[str]


class StrangerData(Published):
    """Who was turned away by SIP, since no profile has the address."""

    source: str = Field(description="address")
    requests: int = Field(ge=1, description="of the last hour; more where they never stopped for one")
    last_at: Timestamp


class Status(BaseModel):
    """How the gateway is; more fields than these are there."""

    model_config = ConfigDict(extra="allow")

    instance: str
    state: Literal["online", "draining"]
    version: str
    pjsip: str
    bridge_hz: int = Field(
        description="samples a second of what is mixed: 8000 where no profile had a wide codec at the start"
    )
    started_at: str
    problems: list[str] = Field(description="what is not well, in words; empty: all is")
    listening: dict[str, list[str]] = Field(description="addresses, by `sip` and `http`")
    calls: Count
    transfers: Count
    strangers: list[StrangerData] = Field(description="of the last hour, the last of them first, 16 at most")
    webhooks: dict[str, Any]
    restart_needed: list[str]


Next = Annotated[
    str | None, Field(description="the `cursor` of the page that follows; null at the end, absent where none was asked")
]


class Audio(Published):
    """The way that the audio of a call takes."""

    path: Path
    why: Why


class OpenLeg(Published):
    """A leg of a call that is under way."""

    side: Literal["trunk", "pbx"]
    peer: str = Field(description="name of its profile")
    call_id: str | None = Field(description="SIP Call-ID")
    state: LegState = Field(description="`ending`: we have hung it up, and its peer has not said so yet")
    codec: str | None = Field(description="null: no audio was agreed on")
    encrypted: bool
    media_address: str | None = Field(description="host and port that our audio goes to")
    rtp_age_s: float | None = Field(
        description="for how long its peer has sent nothing, to some 2 s; null: nobody looks (on hold, not up)"
    )


class OpenCall(OpenCallData):  # type: ignore[valid-type, misc]
    """A call; while it is under way with how it is, and, where it has two legs, with the way that its audio takes."""

    audio: Audio | None = None
    state: CallState | None = None
    duration_s: float | None = Field(default=None, ge=0, description="since its INVITE came")
    legs: list[OpenLeg] | None = None


class LiveCall(Published):
    """Where the caller of a call is."""

    call: str
    caller: str | None = Field(description="masked where `[history] callers` has callers so")
    number: str = Field(description="id of the assigned number")
    begun_by: str = Field(description="the peer whose INVITE it was")
    started_at: Timestamp
    stage: Stage
    stage_at: Timestamp | None = Field(description="since when; null: not known")
    destination: str | None
    destination_name: str | None
    transfer: str | None = Field(description="the newest one, under way or not")
    transfer_state: State | None = Field(description="of the transfer that holds the caller; null: none does")
    answered_by: AnsweredBy | None


class LiveCounts(Published):
    """How many there are."""

    calls: Count
    transfers: Count


class Live(BaseModel):
    """What goes on. An event `change` has `at`, the parts that are new, and of the calls those to `set` or `gone`."""

    model_config = ConfigDict(extra="allow")

    at: Timestamp
    counts: LiveCounts
    calls: list[LiveCall] = Field(description="100 at most: those whose caller is being transferred, then the newest")


class CallList(Published):
    """Calls, newest first: those under way alone, unless a page of the history was asked for."""

    calls: list[OpenCall]
    next: Next = None


class DialogList(Published):
    """SIP dialogs that PJSIP holds."""

    dialogs: list[dict[str, Any]]


class TransferList(Published):
    """Transfers, newest first."""

    transfers: list[TransferData]  # type: ignore[valid-type]  # made of the record
    next: Next = None


class PlatformCallList(Published):
    """Calls of voice platforms that are over, newest first."""

    platform_calls: list[PlatformCallData]  # type: ignore[valid-type]  # made of the record
    next: Next = None


class ToldEvent(Published):
    """An event that told of a transfer."""

    id: str
    type: str
    time: Timestamp


class OneTransfer(TransferData):  # type: ignore[valid-type, misc]
    """One transfer; with the events that told of it, once it is over and in the history."""

    events: list[ToldEvent] = Field(default_factory=list)


ExactTime = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$",
        json_schema_extra={"format": "date-time"},
        description="RFC 3339, UTC, to the microsecond",
    ),
]


class MessagesLeg(Published):
    """A leg whose messages these are."""

    call_id: str = Field(description="SIP Call-ID")
    side: Literal["trunk", "pbx"] | None = Field(description="where it leads; null: that is not known any more")
    peer: str | None = Field(description="name of its profile")
    role: Literal["transferor", "transferee", "target"] | None = Field(description="in the transfer; null: in none")
    messages: Count
    left_out: Count = Field(description="messages in the middle that are not kept, as there were too many")
    late: bool = Field(description="its first messages made room for other calls")
    name: str = Field(description="who is at its end: its profile, or its side")
    part: str = Field(description="its role in words, with a number where several are alike")


class MessageData(Published):
    """A SIP message, without what proves who somebody is, keys of media and keys that a caller presses."""

    leg: Count = Field(description="its place in `legs`")
    at: ExactTime
    sent: bool = Field(description="by the gateway; false: it was received")
    transport: Literal["UDP", "TCP", "TLS"]
    source: str = Field(description="address and port")
    destination: str
    size: Count = Field(description="in bytes, on the wire")
    again: bool = Field(description="a retransmission: the same bytes went the same way before")
    cut: bool = Field(description="`text` ends before the message does")
    text: str
    words: str = Field(description="what it is, in a few words: `200 OK of INVITE, SDP`")


class Mark(Published):
    """What happened or was decided between the messages."""

    at: ExactTime
    what: Literal["requested", "gate", "attempt", "ringing", "answered", "human", "returned", "ended", "pbx", "audio"]
    text: str
    transfer: str | None = Field(description="that it is about; null: about the call")
    legs: list[Count] = Field(description="of those that it is about, their places in `legs`; of `audio` alone")


class Messages(Published):
    """The SIP messages of a call, the oldest first, and what was decided between them."""

    call: str | None = Field(description="its id; null: it is not known any more, or there was none")
    transfer: str | None = Field(description="the one that was asked for; null: a call was")
    kept: bool = Field(description="whether there are any")
    because: str | None = Field(description="why there are none")
    masked: bool = Field(description="phone numbers are masked, as `[history] callers` says")
    legs: list[MessagesLeg]
    messages: list[MessageData]
    marks: list[Mark]


class FunnelData(Published):
    """How many of some transfers came how far: each of the first five is among those before it."""

    asked: Count
    accepted: Count
    rang: Count
    answered: Count = Field(description="by the PBX")
    reached: Count = Field(description="a person answered")
    lost: Count = Field(description="the caller hung up first")
    returned: Count = Field(description="the caller went back to the assistant")
    median_s: float | None = Field(description="from the request to the person; null: nobody reached one")
    p95_s: float | None


class DestinationFunnel(FunnelData):
    """The same of a destination."""

    number: str | None
    destination: str | None = Field(description="null: none that we have was asked for, or it is one of very many")


class DayFunnel(FunnelData):
    """The same of a day, by the clock of the destination's hours."""

    day: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$", json_schema_extra={"format": "date"})]


class ReasonCount(Published):
    """How often transfers ended so."""

    outcome: Outcome
    reason: Reason
    count: Count


class FiguresAnswer(Published):
    """Figures of a span."""

    since: Timestamp
    until: Timestamp
    number: str | None
    destination: str | None
    total: FunnelData
    reasons: list[ReasonCount] = Field(description="the most frequent first")
    destinations: list[DestinationFunnel] = Field(description="those first that were asked for most")
    days: list[DayFunnel] = Field(description="those with any, in their order")


class SessionBody(BaseModel):
    """Who wants to go on by a cookie."""

    token: str = Field(min_length=1, max_length=4096)


class SessionAnswer(Answered):
    """Whose session it is, and what it is good for."""

    author: str | None = Field(description="the name of the token; null: there is no session")
    may: list[str]
    numbers: list[str] | None = Field(description="ids of the numbers it is good for; null: of all")


class ForgetBody(BaseModel):
    """A caller is to be forgotten."""

    caller: str = Field(min_length=1, max_length=200, description="their number, as it is dialled")


class ForgetAnswer(Answered):
    """What was erased, by where it was; what will still be stored; and what was not reached."""

    erased: dict[str, Count]
    under_way: dict[str, Count]
    not_reached: list[str]


class PbxData(Published):
    """Whether the state of a PBX is known."""

    pbx: str
    source: StateSource
    known: bool
    unknown_because: str | None
    proven_at: Timestamp | None


class QueueList(Published):
    """Every queue that is known of, and every PBX."""

    queues: list[QueueData]
    pbxs: list[PbxData]


class Explanation(Published):
    """What the gate would say."""

    decision: Literal["accept", "refuse"]
    destination: str | None
    extension: str | None
    reason: Reason
    sip_code: SipCode
    trail: list[str]
    sentence: str | None


class ConfiguredKey(Published):
    """A key that is set, or has a default."""

    file: str
    key: str
    value: str | float | bool | list[str] | None = Field(description="null: it is hidden")
    hidden: bool = Field(description="what it says is not shown: a secret, or something that may hold one")


class ConfiguredDestination(Published):
    """What `explain` may be asked about."""

    id: str
    number: str | None
    aliases: list[str]
    name: str
    hours: str | None


class ConfiguredNumber(Published):
    """A number, with its destinations."""

    id: str
    number: str
    destinations: list[ConfiguredDestination]


class ConfigurationAnswer(Published):
    """What is in force."""

    loaded_at: Timestamp
    keys: list[ConfiguredKey] = Field(description="in the order of the files")
    left_out: Count = Field(description="keys that are not told, as there are very many")
    numbers: list[ConfiguredNumber]


class ConfigurationRemark(Published):
    """A mistake, or something that is hardly meant."""

    file: str
    key: str
    problem: str


class CheckAnswer(Published):
    """What `check` says."""

    ok: bool = Field(description="a reload would take these files")
    mistakes: list[ConfigurationRemark]
    warnings: list[ConfigurationRemark]
    changed: list[str] = Field(description="keys that have another value in the files than in the running gateway")
    restart_needed: list[str]


class AuditEntry(Published):
    """A command that was given."""

    at: Timestamp
    author: str = Field(description="name of the token; `token_file` for that of [http], `mqtt`, or `signal`")
    via: Literal["http", "mqtt", "signal"]
    action: Literal["transfer", "callback", "cancel", "hangup", "probe", "forget", "reload", "restart"]
    result: str = Field(description="`done`, `accepted`, or the code of the error")
    call: str | None
    transfer: str | None
    number: str | None
    destination: str | None
    remote: str | None = Field(description="the address that it came from; null: over the broker, or a signal")


class AuditTrail(Published):
    """Who has given which command."""

    commands: list[AuditEntry]


class TransferBody(BaseModel):
    """A running call is to be transferred."""

    type: Literal["transfer"]
    destination: str = Field(min_length=1, max_length=512, description="a phone number, SIP URI, alias or id")
    message: str | None = Field(default=None, max_length=2000)
    whisper: Id | None = Field(default=None, description="of a sound that was uploaded for this transfer")
    id: Id | None = Field(default=None, description="the same id again gets the first answer, and does nothing")


class CallBackBody(BaseModel):
    """A caller is to be called back; one of `call`, `transfer` and `caller` says who."""

    type: Literal["callback"] = "callback"
    call: Id | None = Field(default=None, description="of a call that is under way, or was in the last hour")
    transfer: Id | None = Field(default=None, description="of such a call, also one that was refused")
    caller: Id | None = Field(default=None, description="the number that such a call was presented with")
    destination: str = Field(min_length=1, max_length=512, description="a phone number, SIP URI, alias or id")
    id: Id | None = Field(default=None, description="the same id again gets the first answer, and does nothing")


class WhisperAnswer(Answered):
    """A sound for one transfer is kept."""

    whisper: str = Field(description="by which the transfer names it")
    duration_s: float = Field(ge=0)
    expires_at: Timestamp = Field(description="where no transfer has named it by then")


class CancelBody(BaseModel):
    """A transfer is to be cancelled."""

    type: Literal["cancel"] = "cancel"
    id: Id | None = Field(default=None, description="the same id again gets the first answer, and does nothing")


class HangUpBody(BaseModel):
    """A running call is to end."""

    type: Literal["hangup"] = "hangup"
    id: Id | None = Field(default=None, description="the same id again gets the first answer, and does nothing")


class HangUpAnswer(Answered):
    """The call, as it was when it ended."""

    call: CallData  # type: ignore[valid-type]  # made of the record


class TransferAnswer(Answered):
    """The transfer as far as it is known."""

    transfer: TransferData  # type: ignore[valid-type]  # made of the record


class ProbeBody(BaseModel):
    """Which destination is to be called for a moment."""

    number: str
    destination: str


class ProbeAnswer(Answered):
    """What came of a test call."""

    reached: bool
    code: SipCode | None
    text: str
    seconds: float = Field(ge=0)


class ReloadAnswer(Answered):
    """The configuration is in force, but for what takes a restart."""

    reloaded: Literal[True]
    applied: list[str]
    restart_needed: list[str]


class RestartAnswer(Answered):
    """A restart has begun: no new calls are taken, and it comes when no call is in the middle of something."""

    restarting: Literal[True]
    started_at: str = Field(description="of the process that ends, as its status has it")
    calls: Count = Field(description="under way; those whose two sides talk go on")
    transfers: Count = Field(description="that are waited for")
    within_s: float = Field(description="how long they are waited for at most (`drain_timeout_s`)")


class Failure(Answered):
    """An answer that is no success."""

    error: ErrorData


class Refusal(Failure):
    """The gate, or the transfer's course, said no."""

    transfer: TransferData | None = None  # type: ignore[valid-type]  # made of the record


class ReloadRefusal(Failure):
    """The configuration before it stays in force."""

    mistakes: list[str]
    restart_needed: list[str]


class RestartRefusal(Failure):
    """The gateway goes on as it was."""

    mistakes: list[str] = Field(description="of the configuration, where it has any")
