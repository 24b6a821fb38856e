# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of one transfer or one call: the facts every event, metric and API answer is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

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
    """One destination that was dialled (or passed over by its gate) for a transfer, and what came of it."""

    destination: str
    extension: str
    reason: Reason | None = None  # None: still under way
    sip_code: int | None = None


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """The data of `transfer.ended.v1`, as far as it is known; ids and slugs as configured, times in UTC."""

    transfer: TransferId
    entry: Entry
    requested_target: str  # the user part or URI as asked for, e.g. "+31612345678"
    requested_at: datetime
    number: str | None = None  # id of the assigned number; None: the request could not be assigned
    trunk: str | None = None
    pbx: str | None = None
    destination: str | None = None  # the one that answered, or was tried last
    outcome: Outcome | None = None  # None while the transfer runs
    reason: Reason | None = None
    sip_code: int | None = None
    fault: str | None = None  # what went wrong in words, when something outside the rules did
    attempts: tuple[Attempt, ...] = ()
    caller: str | None = None  # E.164 where it can be told
    context: Mapping[str, str] = field(default_factory=dict)  # headers that travelled with the request
    final_notify: FinalNotify | None = None  # None: the request has no NOTIFY
    returned_to_transferor: bool = False
    decided_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None  # the PBX answered
    human_at: datetime | None = None  # a human did
    ended_at: datetime | None = None
    talk_s: float | None = None
    trail: tuple[str, ...] = ()
    call_ids: Mapping[str, str] = field(default_factory=dict)  # SIP Call-IDs by role
    locale: str = "en"  # the caller's language
    sentence: str | None = None  # why he was not put through, as he may be told it


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Two legs that were bridged, for `call.ended.v1` and `/api/calls`."""

    call: str  # id of the call
    number: str | None
    trunk: str | None
    pbx: str | None
    started_at: datetime
    caller: str | None = None
    transfer: TransferId | None = None  # the transfer that made this call
    destination: str | None = None
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    talk_s: float | None = None
    hung_up_by: str | None = None  # "trunk" | "pbx" | "gateway"
    reason: CallEnd | None = None
    call_ids: Mapping[str, str] = field(default_factory=dict)  # SIP Call-IDs by side: trunk, pbx
