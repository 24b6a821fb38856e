# SPDX-License-Identifier: GPL-2.0-or-later
"""Which way the audio of two legs takes, and why: their packets are relayed, or the conference bridge mixes them.

The bridge decodes and encodes, and brings its clock and a jitter buffer of each leg with it: 20 ms and more, and most
of what a call costs. So it is for what cannot be had without it. Without PJSIP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway.core.media_way import RELAYED, TRANSLATED, Decision, Why, bridged

if TYPE_CHECKING:
    from collections.abc import Sequence

OPUS = "opus"
G711 = frozenset({("PCMA", 8000, 1), ("PCMU", 8000, 1)})


@dataclass(frozen=True, slots=True)
class Format:
    """What a leg's stream is, as negotiated."""

    codec: str  # the encoding name
    rate: int  # Hz
    channels: int
    asked_for: str = ""  # by the peer's format parameters
    events: bool = True  # its peer takes telephone events (RFC 4733)

    @classmethod
    def read(cls, told: Sequence[str]) -> Format | None:
        """As the binding's media_format() tells it."""
        if not told:
            return None
        codec, rate, channels, asked_for, events = told
        return cls(codec.upper(), int(rate), int(channels), asked_for, events == "1")

    @property
    def is_opus(self) -> bool:
        """Its clock is 48000, and events may have another one than that (RFC 7587 §4.1, RFC 4733 §2.1)."""
        return self.codec.lower() == OPUS


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two, with what its profile says."""

    format: Format | None
    media: Literal["relay", "bridge", "direct"] = "relay"
    wants_info: bool = False

    def takes_events_of(self, other: Side) -> bool:
        """Whether the telephone events of the other side's stream can be its own as they are."""
        if self.format is None or other.format is None or self.wants_info:
            return False
        return self.format.events and not other.format.is_opus


def decide(one: Side, other: Side, *, waits: bool = False, keys: bool = False) -> Decision:
    """How two partners' audio goes; `waits`: one of them waits for the other; `keys`: one is being sent some."""
    if waits:
        return bridged(Why.WAITING)
    if one.format is None or other.format is None:
        return bridged(Why.NO_AUDIO)
    if "bridge" in (one.media, other.media):
        return bridged(Why.SETTING)
    first, second = one.format, other.format
    found = {(each.codec, each.rate, each.channels) for each in (first, second)}
    if len(found) > 1 and found != G711:
        return bridged(Why.CODEC)
    if first.is_opus and first.asked_for != second.asked_for:
        return bridged(Why.PARAMETERS)
    if keys:
        return bridged(Why.KEYS)
    return RELAYED if len(found) == 1 else TRANSLATED
