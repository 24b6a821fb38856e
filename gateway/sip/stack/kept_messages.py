# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages that the binding keeps of the last calls: how much of them, and what it has of one leg."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pjsua2 as pj

from gateway.core.sip_message import KeptMessages, SipMessage

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
