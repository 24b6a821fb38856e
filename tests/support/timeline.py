# SPDX-License-Identifier: GPL-2.0-or-later
"""What was heard when: the tones in a recorded RTP stream, one after the other, with the time of each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from tests.support import tones
from tests.support.late_numpy import np
from tests.support.rtp import CODECS, PACKET_S

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.support.rtp import Packet, Rtp

WINDOW = 3
"""Packets that are looked at together: 60 ms tell tones apart that differ by 100 Hz."""
SHORTEST = 3
"""Fewer packets than these are the change from one tone to the next, in which both are in the window."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time, by time.monotonic(), in which the same was heard: one tone, silence (none), or a mixture (several)."""

    tones: frozenset[int]
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


def timeline(media: Rtp, candidates: Collection[int], *, since: float, until: float = float("inf")) -> list[Span]:
    """The spans of what arrived, in order. Candidates, in Hz, are at least 100 apart."""
    packets = [one for one in media.received if since <= one.at <= until and one.payload_type in CODECS]
    heard = [frozenset(tones.detect(_around(packets, index), candidates)) for index in range(len(packets))]
    runs = []
    for what, group in groupby(zip(heard, packets, strict=True), key=lambda pair: pair[0]):
        members = [packet for _, packet in group]
        if len(members) >= SHORTEST:
            runs.append((what, members[0].at, members[-1].at + PACKET_S))
    spans: list[Span] = []
    for what, start, end in runs:
        if spans and spans[-1].tones == what:
            spans[-1] = Span(what, spans[-1].start, end)
        else:
            spans.append(Span(what, start, end))
    return spans


def order(spans: list[Span]) -> list[int | None]:
    """The tones in their order, None for silence. Raises AssertionError where two were heard at once."""
    for span in spans:
        assert len(span.tones) <= 1, f"at once: {sorted(span.tones)} for {span.seconds:.2f} s"
    return [next(iter(span.tones), None) for span in spans]


def longest_break(spans: list[Span]) -> float:
    """The longest time, in seconds, between the end of one span and the beginning of the next."""
    return max((later.start - earlier.end for earlier, later in pairwise(spans)), default=0.0)


def is_one_stream(packets: list[Packet], missing_s: float = 0.0) -> bool:
    """Whether a receiver takes the packets for one stream: one source, no number and no sample left out.

    `missing_s`: of so much there may be no packets, all together; what comes after it says how long it was.
    """
    missing = 0
    for earlier, later in pairwise(packets):
        numbers = (later.sequence - earlier.sequence) & 0xFFFF
        samples = (later.timestamp - earlier.timestamp) & 0xFFFFFFFF
        if not 1 <= numbers * tones.FRAME <= samples or samples % tones.FRAME:
            return False
        missing += samples - tones.FRAME
    return len({packet.ssrc for packet in packets}) == 1 and missing <= missing_s * tones.RATE


def _around(packets: list[Packet], index: int) -> tones.Pcm:
    first = max(0, index - WINDOW // 2)
    chosen = packets[first : first + WINDOW]
    return np.concatenate([tones.decode(one.payload, CODECS[one.payload_type]) for one in chosen])
