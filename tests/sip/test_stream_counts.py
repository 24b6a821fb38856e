# SPDX-License-Identifier: GPL-2.0-or-later
"""The streams of a leg, one after the other, as one count."""

from dataclasses import replace

import pytest

from gateway.sip.calls.stream_counts import StreamCounts, total

ONE = StreamCounts(
    received=300, lost=3, discarded=1, jitter_us=2000, jitter_max_us=9000, sent=310, sent_lost=2, round_trip_us=40_000
)


def test_counts_are_read_as_the_binding_tells_them() -> None:
    assert StreamCounts.read((300, 3, 1, 2000, 9000, 310, 2, 40_000)) == ONE
    assert StreamCounts.read((300, 3, 1, 2000, 9000, 310, -1, -1)) == replace(ONE, sent_lost=None, round_trip_us=None)


def test_a_leg_without_a_stream_has_no_media() -> None:
    assert total([]) is None


def test_counts_are_added_and_means_weighed_by_what_they_are_means_of() -> None:
    other = replace(ONE, received=100, lost=97, jitter_us=6000, jitter_max_us=7000, sent=930, round_trip_us=80_000)
    media = total([ONE, other])
    assert media is not None
    assert (media.packets_received, media.packets_lost, media.packets_discarded) == (400, 100, 2)
    assert (media.packets_sent, media.packets_sent_lost) == (1240, 4)
    assert (media.jitter_ms, media.jitter_max_ms, media.round_trip_ms) == (3.0, 9.0, 70.0)
    # A fifth is lost.
    assert media.mos is not None
    assert 2.3 < media.mos < 2.8


def test_what_nobody_told_is_unknown_and_not_zero() -> None:
    silent = replace(ONE, received=0, lost=0, sent_lost=None, round_trip_us=None)
    media = total([silent])
    assert media is not None
    assert (media.packets_sent_lost, media.round_trip_ms, media.mos, media.jitter_ms) == (None, None, None, 0.0)
    both = total([silent, ONE])
    assert both is not None
    assert both.round_trip_ms == pytest.approx(40.0)
    assert both.packets_sent_lost == 2
