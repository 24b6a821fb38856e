# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP messages that were kept, and what was captured of calls, as values."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One message as it went over the wire, but for the secrets that were in it."""

    at: datetime  # to the microsecond, UTC
    sent: bool  # by the gateway
    transport: str  # "UDP" | "TCP" | "TLS"
    source: str  # "192.0.2.1:5060", "[2001:db8::1]:5060"
    destination: str
    size: int  # in bytes, on the wire
    again: bool  # the same bytes have gone the same way before: a retransmission
    cut: bool  # `text` ends before the message does
    text: str


@dataclass(frozen=True, slots=True)
class KeptMessages:
    """What was kept of one leg, the oldest first."""

    messages: tuple[SipMessage, ...] = ()
    left_out: int = 0  # of those in the middle, for want of room
    late: bool = False  # the first ones had to make room for other calls


@dataclass(frozen=True, slots=True)
class RtcpPacket:
    """One packet of RTCP (RFC 3550 §6), opened where it was encrypted."""

    at: datetime  # to the microsecond, UTC
    sent: bool  # by the gateway
    source: str  # "192.0.2.1:4001", as the descriptions of either side have it
    destination: str
    packet: bytes


@dataclass(frozen=True, slots=True)
class Captured:
    """Something that a leg has sent or received."""

    call_id: str  # SIP Call-ID
    what: SipMessage | RtcpPacket
