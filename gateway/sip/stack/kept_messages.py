# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages that the binding keeps of the last calls, what it has of one leg, and what it captures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pjsua2 as pj

from gateway.core.sip_message import Captured, KeptMessages, RtcpPacket, SipMessage

LEGS = 5
"""So many legs of each call, on the average: two, and what is dialled for its transfers."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def keep(max_mb: int, calls: int) -> None:
    """Keep so many megabytes, of so many calls; 0: nothing."""
    pj.keep_messages(max_mb * 1_000_000, calls * LEGS)


def kept_messages(call_id: str) -> KeptMessages | None:
    """What is kept of the leg with this Call-ID; None: nothing."""
    told = pj.messages_of(call_id)
    if not told:
        return None
    left_out, late = told[0].split(" ")
    messages = tuple(_message(told[at], told[at + 1]) for at in range(1, len(told), 2))
    return KeptMessages(messages, int(left_out), late == "1")


def as_kept(text: str) -> str:
    """A SIP message as it would be kept, but for its length: without secrets."""
    return pj.without_secrets(text)


def forget(texts: Sequence[str]) -> frozenset[str]:
    """Let go of every leg in whose messages one of these texts stands: their Call-IDs."""
    return frozenset(pj.forget_messages_naming(texts)) if texts else frozenset()


def forget_legs(call_ids: Iterable[str]) -> None:
    """Let go of what is kept of these legs."""
    pj.forget_messages(list(call_ids))


def counts() -> dict[str, int]:
    """How much is kept: bytes, legs, messages, and the legs that had to make room since the start."""
    return dict(zip(("bytes", "legs", "messages", "legs_gone"), pj.messages_kept(), strict=True))


def capture(most_bytes: int) -> None:
    """Have so many bytes of what calls send and receive wait for `captured`; 0: none."""
    pj.capture(most_bytes)


def captured(most: int) -> list[Captured]:
    """Take up to so many of those that wait, the oldest first."""
    told = pj.take_captured(most)
    return [_captured(*told[at : at + 3]) for at in range(0, len(told), 3)]


def capture_lost() -> int:
    """How many there was no room for, since the start."""
    return pj.captured_lost()


def _captured(call_id: str, line: str, content: str) -> Captured:
    at, way, transport, source, destination, *_ = line.split(" ")
    if transport != "RTCP":
        return Captured(call_id, _message(line, content))
    moment = _EPOCH + timedelta(microseconds=int(at))
    packet = content.encode("utf-8", "surrogateescape")
    return Captured(call_id, RtcpPacket(moment, way == "out", source, destination, packet))


def _message(line: str, text: str) -> SipMessage:
    at, way, transport, source, destination, size, times, whole = line.split(" ")
    return SipMessage(
        at=_EPOCH + timedelta(microseconds=int(at)),
        sent=way == "out",
        transport=transport,
        source=source,
        destination=destination,
        size=int(size),
        again=times == "again",
        cut=whole == "cut",
        text=text,
    )
