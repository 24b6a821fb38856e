# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted of the audio of a leg: one stream after the other, as each new offer and answer begins one anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core.quality import mos
from gateway.core.record import LegMedia

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """Of one RTP stream in either direction: packets, and times in microseconds (RFC 3550 §6.4.1)."""

    received: int
    lost: int
    discarded: int
    jitter_us: float  # the mean
    jitter_max_us: float
    sent: int
    sent_lost: int | None  # as the peer's reports tell; None: there were none
    round_trip_us: float | None  # the mean; None: nothing to measure it by

    @classmethod
    def read(cls, told: Sequence[int]) -> StreamCounts:
        """As the binding's counts_of() tells them."""
        received, lost, discarded, jitter_us, jitter_max_us, sent, sent_lost, round_trip_us = told
        return cls(
            received, lost, discarded, jitter_us, jitter_max_us, sent,
            sent_lost if sent_lost >= 0 else None, round_trip_us if round_trip_us >= 0 else None,
        )  # fmt: skip


def total(streams: Sequence[StreamCounts]) -> LegMedia | None:
    """All of a leg's streams as one; None where no audio was ever agreed on."""
    if not streams:
        return None
    received = sum(each.received for each in streams)
    lost = sum(each.lost for each in streams)
    told = [each.sent_lost for each in streams if each.sent_lost is not None]
    trips = [(each.round_trip_us, each.sent or 1) for each in streams if each.round_trip_us is not None]
    jitter_ms = sum(each.jitter_us * each.received for each in streams) / received / 1000 if received else 0.0
    round_trip_ms = (
        sum(us * weight for us, weight in trips) / sum(weight for _, weight in trips) / 1000 if trips else None
    )
    return LegMedia(
        packets_received=received,
        packets_lost=lost,
        packets_discarded=sum(each.discarded for each in streams),
        jitter_ms=jitter_ms,
        jitter_max_ms=max(each.jitter_max_us for each in streams) / 1000,
        packets_sent=sum(each.sent for each in streams),
        packets_sent_lost=sum(told) if told else None,
        round_trip_ms=round_trip_ms,
        mos=mos(lost / (received + lost), jitter_ms, round_trip_ms) if received else None,
    )
