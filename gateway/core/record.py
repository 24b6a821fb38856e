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

from gateway.core.model import Entry, FinalNotify, TransferId
from gateway.core.outcome import CallEnd, Outcome, Reason


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
