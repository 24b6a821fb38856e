# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of one transfer or one call: the facts every event, metric and API answer is made from.

The fields stand here alone, in the order in which the outside sees them: `core.json_form` turns them into JSON, and
`report.event` makes the published schema of them, in which the words beside a type describe its field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from gateway.core.model import AnsweredBy, Entry, FinalNotify, TransferId
from gateway.core.outcome import CallEnd, Outcome, Reason
from gateway.core.platform_calls import MatchedBy, Promise, PromisedBy


class Milestone(StrEnum):
    """The moments of a transfer that are reported, in this order; `ENDED` exactly once."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    RINGING = "ringing"
    CONNECTED = "connected"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One destination that was tried; `reason` null while it is under way."""

    destination: str
    extension: str  # empty: the gate passed the destination over
    reason: Reason | None = None
    sip_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformView:
    """What the voice platform said of its call that a transfer or call of ours belongs to."""

    # Joined by number, caller and time: see `core.platform_calls`.
    platform: str
    call_id: Annotated[str | None, "the platform's own id; null: several of its calls fit, or the caller is erased"]
    matched_by: MatchedBy
    candidates: int = 1  # how many of the platform's calls fit
    status: Annotated[str | None, "as the platform names it"] = None
    ended_reason: Annotated[str | None, "as the platform names it; null: it goes on, or nothing is told"] = None
    error: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """A transfer as far as it is known at the time of the event."""

    # Ids and slugs are as configured, times in UTC.
    transfer: TransferId
    number: Annotated[str | None, "id of the assigned number; null: the request belongs to none"] = None
    trunk: str | None = None
    pbx: str | None = None
    entry: Entry
    requested_target: Annotated[str, "what was asked for, as it was asked for"]
    destination: Annotated[str | None, "the destination that answered, or was tried last"] = None
    outcome: Annotated[Outcome | None, "null while the transfer runs"] = None
    reason: Reason | None = None
    sip_code: int | None = None
    fault: Annotated[str | None, "what went wrong in words, when something outside the rules did"] = None
    attempts: tuple[Attempt, ...] = ()
    caller: Annotated[str | None, "E.164 where it can be told"] = None
    context: Annotated[Mapping[str, str], "headers that travelled with the request"] = field(default_factory=dict)
    final_notify: Annotated[FinalNotify | None, "null: the request has no NOTIFY"] = None
    returned_to_transferor: bool = False
    requested_at: datetime
    decided_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: Annotated[datetime | None, "the PBX answered"] = None
    human_at: Annotated[datetime | None, "a human answered, as the PBX tells"] = None
    ended_at: datetime | None = None
    talk_s: float | None = None
    trail: Annotated[tuple[str, ...], "each check, and what it found"] = ()
    call_ids: Mapping[str, str | None] = field(default_factory=dict)  # SIP Call-IDs by role
    locale: Annotated[str, "the caller's language, ISO 639-1"] = "en"
    sentence: Annotated[str | None, "why the caller was not put through, as it may be told; null: nothing is"] = None
    author: Annotated[str | None, "who gave the command, such as the name of a token; null: a peer asked"] = None
    answered_by: Annotated[AnsweredBy | None, "who or what took the call, as the PBX says; null: it does not"] = None
    agent: Annotated[str | None, "the interface of the person who took it; null: not reported, or not known"] = None
    platform: Annotated[PlatformView | None, "what the voice platform said of its call by then; null: nothing"] = None
    whispered_at: Annotated[
        datetime | None, "who answered began to hear the whisper, or to be asked for a key; null: neither"
    ] = None
    accepted_at: Annotated[datetime | None, "who answered took the call by its key; null: none was pressed"] = None
    expires_at: Annotated[datetime | None, "until when a caller who was promised it may be called back"] = None
    caller_calls: Annotated[int | None, "how often the caller was called back; null: that was not asked for"] = None
    told_by: Annotated[
        str | None, "the gateway that told its end in place of the one that had it, which was lost; null: that one did"
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegMedia:
    """The audio of one leg of a call, as RTP and RTCP tell of it (RFC 3550 §6.4)."""

    side: str = ""  # "trunk" | "pbx": where the leg leads
    call_id: str | None = None  # SIP Call-ID
    packets_received: int
    packets_lost: int  # sent to us, and not come
    packets_discarded: int  # come, and of no use
    jitter_ms: float
    jitter_max_ms: float
    packets_sent: int
    packets_sent_lost: int | None  # None: that side reports nothing
    round_trip_ms: float | None
    mos: float | None  # see core/quality.py; None: nothing came


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A call that is over."""

    # Two legs that were bridged; `/api/calls` has those that are not over too.
    call: str
    number: str | None
    trunk: str | None
    pbx: str | None
    transfer: Annotated[TransferId | None, "the transfer that made this call"] = None
    destination: str | None = None
    caller: str | None = None
    started_at: datetime
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    talk_s: float | None = None
    hung_up_by: str | None = None  # "trunk" | "pbx" | "gateway"
    reason: Annotated[CallEnd | None, "why it ended; null while it lasts"] = None
    call_ids: Mapping[str, str | None] = field(default_factory=dict)  # SIP Call-IDs by side: trunk, pbx
    media: tuple[LegMedia, ...] = ()  # of each leg that had audio; empty while the call lasts
    platform: Annotated[PlatformView | None, "what the voice platform said of its call by then; null: nothing"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedTransfer:
    """A transfer that a call of the platform may have asked for."""

    transfer: TransferId
    matched_by: MatchedBy
    candidates: int = 1  # how many of the platform's calls it fits


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedCall:
    """A call of ours that a call of the platform may be."""

    call: str
    matched_by: MatchedBy
    candidates: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformCallRecord:
    """A call of a voice platform that is over, as the platform tells of it, and what of ours belongs to it."""

    # No summary, transcript, recording or analysis is in it, or stored anywhere.
    id: Annotated[str, "ours; the same for the same call of the same platform"]
    platform: str
    call_id: Annotated[str | None, "the platform's own, opaque; null: the caller is erased"]
    number: Annotated[str, "id of the assigned number"]
    caller: Annotated[str | None, "E.164; null: withheld, or not told"] = None
    status: Annotated[str | None, "as the platform names it"] = None
    ended_reason: Annotated[str | None, "as the platform names it"] = None
    error: str | None = None
    started_at: Annotated[datetime | None, "by the platform's clock, as far as it can be told"] = None
    ended_at: Annotated[datetime | None, "by the platform's clock"] = None
    duration_s: float | None = None
    reported_at: Annotated[datetime, "by our clock, when the platform first said that it is over"]
    clock_off_s: Annotated[
        float | None, "how much later than it says a report came; null: no more than times are compared by"
    ] = None
    promise: Annotated[Promise, "whether the assistant promised a transfer, and what came of that"] = Promise.NONE
    promised_by: Annotated[PromisedBy | None, "what says so; null: nothing does"] = None
    transfers: tuple[JoinedTransfer, ...] = ()  # oldest first
    calls: tuple[JoinedCall, ...] = ()
