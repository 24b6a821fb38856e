# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a transfer went as it did: every reason with its SIP code and the outcome it leads to."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a transfer; each transfer has exactly one."""

    COMPLETED = "completed"
    REFUSED = "refused"
    FAILED = "failed"
    ABANDONED = "abandoned"
    INTERRUPTED = "interrupted"


class Reason(StrEnum):
    """The slug that names a reason in events, metrics and the SIP Reason header."""

    ACCEPTED = "accepted"
    ANSWERED = "answered"
    BAD_REQUEST = "bad-request"
    PEER_NOT_ALLOWED = "peer-not-allowed"
    FORBIDDEN_TARGET = "forbidden-target"
    UNKNOWN_DESTINATION = "unknown-destination"
    NOT_ASSIGNED = "not-assigned"
    UNSUPPORTED_EXTENSION = "unsupported-extension"
    NOT_BRIDGED = "not-bridged"
    NO_SUCH_DIALOG = "no-such-dialog"
    DIALOG_ENDED = "dialog-ended"
    DIALOG_NOT_EARLY = "dialog-not-early"
    OUTSIDE_HOURS = "outside-hours"
    HOLIDAY = "holiday"
    QUEUE_UNSTAFFED = "queue-unstaffed"
    QUEUE_UNKNOWN = "queue-unknown"
    WAIT_TOO_LONG = "wait-too-long"
    AGENTS_BUSY = "agents-busy"
    QUEUE_FULL = "queue-full"
    TRANSFER_PENDING = "transfer-pending"
    AT_CAPACITY = "at-capacity"
    TRUNK_AT_CAPACITY = "trunk-at-capacity"
    LOOP = "loop"
    TOO_MANY_HOPS = "too-many-hops"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    ADDRESS_INCOMPLETE = "address-incomplete"
    NOT_ACCEPTABLE = "not-acceptable"
    PBX_ERROR = "pbx-error"
    VOICEMAIL = "voicemail"
    PLACE_KEPT = "place-kept"
    CALLER_HUNG_UP = "caller-hung-up"
    GATEWAY_STOPPED = "gateway-stopped"
    CANCELLED = "cancelled"
    CALLER_WITHHELD = "caller-withheld"
    CALLER_UNREACHABLE = "caller-unreachable"
    EXPIRED = "expired"
    CLOSED = "closed"
    GATEWAY_ERROR = "gateway-error"

    @property
    def sip_code(self) -> int:
        """The status code a peer is told (RFC 3261 §21)."""
        return _TABLE[self].sip_code

    @property
    def outcome(self) -> Outcome:
        """The outcome a transfer has when it ends for this reason."""
        return _TABLE[self].outcome


class CallEnd(StrEnum):
    """Why a conversation ended, in `call.ended.v1` and metrics."""

    HUNG_UP = "hung-up"
    """One of its sides has said so, as they all should."""
    RTP_TIMEOUT = "rtp-timeout"
    """Nothing was heard of a side any more."""
    TOO_LONG = "too-long"
    """It has lasted as long as a call may."""
    PEER_GONE = "peer-gone"
    """A side no longer refreshed its session (RFC 4028 §10), or answered nothing any more."""
    GATEWAY_STOPPED = "gateway-stopped"
    BY_COMMAND = "by-command"
    """Somebody had it ended."""


@dataclass(frozen=True, slots=True)
class _Row:
    sip_code: int
    outcome: Outcome


_TABLE: dict[Reason, _Row] = {
    Reason.ACCEPTED: _Row(200, Outcome.COMPLETED),
    Reason.ANSWERED: _Row(200, Outcome.COMPLETED),
    Reason.BAD_REQUEST: _Row(400, Outcome.REFUSED),
    Reason.PEER_NOT_ALLOWED: _Row(403, Outcome.REFUSED),
    Reason.FORBIDDEN_TARGET: _Row(403, Outcome.REFUSED),
    Reason.UNKNOWN_DESTINATION: _Row(404, Outcome.REFUSED),
    Reason.NOT_ASSIGNED: _Row(404, Outcome.REFUSED),
    Reason.UNSUPPORTED_EXTENSION: _Row(420, Outcome.REFUSED),
    Reason.NOT_BRIDGED: _Row(480, Outcome.REFUSED),
    Reason.NO_SUCH_DIALOG: _Row(481, Outcome.REFUSED),
    Reason.DIALOG_ENDED: _Row(603, Outcome.REFUSED),
    Reason.DIALOG_NOT_EARLY: _Row(486, Outcome.REFUSED),
    Reason.OUTSIDE_HOURS: _Row(480, Outcome.REFUSED),
    Reason.HOLIDAY: _Row(480, Outcome.REFUSED),
    Reason.QUEUE_UNSTAFFED: _Row(480, Outcome.REFUSED),
    Reason.QUEUE_UNKNOWN: _Row(480, Outcome.REFUSED),
    Reason.WAIT_TOO_LONG: _Row(480, Outcome.REFUSED),
    Reason.AGENTS_BUSY: _Row(486, Outcome.REFUSED),
    Reason.QUEUE_FULL: _Row(486, Outcome.REFUSED),
    Reason.TRANSFER_PENDING: _Row(491, Outcome.REFUSED),
    Reason.AT_CAPACITY: _Row(503, Outcome.REFUSED),
    Reason.TRUNK_AT_CAPACITY: _Row(503, Outcome.REFUSED),
    Reason.LOOP: _Row(482, Outcome.REFUSED),
    Reason.TOO_MANY_HOPS: _Row(483, Outcome.REFUSED),
    Reason.BUSY: _Row(486, Outcome.FAILED),
    Reason.NO_ANSWER: _Row(480, Outcome.FAILED),
    Reason.DECLINED: _Row(603, Outcome.FAILED),
    Reason.UNREACHABLE: _Row(480, Outcome.FAILED),
    Reason.ADDRESS_INCOMPLETE: _Row(484, Outcome.FAILED),
    Reason.NOT_ACCEPTABLE: _Row(488, Outcome.FAILED),
    Reason.PBX_ERROR: _Row(502, Outcome.FAILED),
    Reason.VOICEMAIL: _Row(480, Outcome.FAILED),
    Reason.PLACE_KEPT: _Row(480, Outcome.FAILED),
    Reason.CALLER_HUNG_UP: _Row(487, Outcome.ABANDONED),
    Reason.GATEWAY_STOPPED: _Row(503, Outcome.INTERRUPTED),
    Reason.CANCELLED: _Row(487, Outcome.FAILED),
    Reason.CALLER_WITHHELD: _Row(433, Outcome.REFUSED),  # RFC 5079
    Reason.CALLER_UNREACHABLE: _Row(480, Outcome.FAILED),
    Reason.EXPIRED: _Row(480, Outcome.FAILED),
    Reason.CLOSED: _Row(480, Outcome.FAILED),
    Reason.GATEWAY_ERROR: _Row(500, Outcome.FAILED),
}


_ABOUT_ONE_LEG = frozenset({401, 407, 420, 421, 422, 494})


def reason_for_failure(sip_code: int) -> Reason:
    """Name what a final response of a dialled target means (RFC 3261 §21.4 to §21.6).

    486 and 600 are busy, 603 (and 607, 608) declined, 408 and 487 no answer, 404, 410, 480 and 604 unreachable, 484 an
    address that lacks something, 488 and 606 media that the target cannot take; whatever else a PBX says is its error.
    """
    match sip_code:
        case 486 | 600:
            return Reason.BUSY
        case 603 | 607 | 608:
            return Reason.DECLINED
        case 408 | 487:
            return Reason.NO_ANSWER
        case 404 | 410 | 480 | 604:
            return Reason.UNREACHABLE
        case 484:
            return Reason.ADDRESS_INCOMPLETE
        case 488 | 606:
            return Reason.NOT_ACCEPTABLE
        case _:
            return Reason.PBX_ERROR


def passed_on(sip_code: int, otherwise: int) -> int:
    """The final response of another leg as the answer to an INVITE; `otherwise` for one that is about that leg alone.

    A redirection would be followed past the gate, and the others mean nothing without headers that stay behind: a
    challenge, option tags, Min-SE, Security-Server (RFC 3261 §21.4, RFC 4028 §6, RFC 3329 §2.2).
    """
    return otherwise if sip_code < 400 or sip_code in _ABOUT_ONE_LEG else sip_code


def reason_for_cause(cause: int) -> Reason:
    """Name why a PBX ended a caller whom nobody had answered yet (ITU-T Q.850 §2.2.7, RFC 3398 §7.2.4.1).

    16 is their own hanging up.
    """
    match cause:
        case 16:
            return Reason.CALLER_HUNG_UP
        case 17:
            return Reason.BUSY
        case 18 | 19:
            return Reason.NO_ANSWER
        case 21:
            return Reason.DECLINED
        case 1 | 3 | 20 | 27:
            return Reason.UNREACHABLE
        case 28:
            return Reason.ADDRESS_INCOMPLETE
        case 65 | 70:
            return Reason.NOT_ACCEPTABLE
        case _:
            return Reason.PBX_ERROR
