# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as one stream: numbers and samples in a row, but for as much as nobody could send."""

import pytest

from tests.support.rtp import Packet
from tests.support.timeline import is_one_stream


def packets(*steps: tuple[int, int], ssrc: int = 7) -> list[Packet]:
    """Packets whose numbers and timestamps are so far from one another, over the end of both."""
    sequence, timestamp, found = 0xFFFE, 0xFFFFFF00, []
    for number, (further, samples) in enumerate(((0, 0), *steps)):
        sequence, timestamp = (sequence + further) & 0xFFFF, (timestamp + samples) & 0xFFFFFFFF
        found.append(Packet(number * 0.02, 8, sequence, timestamp, 7 if number < 2 else ssrc, b"", b""))
    return found


ROW = (1, 160), (1, 160), (1, 160)


def test_what_is_in_a_row_is_one() -> None:
    assert is_one_stream(packets(*ROW))
    assert not is_one_stream(packets(*ROW, ssrc=8))


@pytest.mark.parametrize("gap", [(1, 480), (3, 480), (2, 480)], ids=["silence", "lost", "both"])
def test_a_gap_is_as_long_as_it_may_be(gap: tuple[int, int]) -> None:
    assert not is_one_stream(packets(*ROW, gap, *ROW))
    assert not is_one_stream(packets(*ROW, gap, *ROW), 0.03)
    assert is_one_stream(packets(*ROW, gap, *ROW), 0.04)
    assert not is_one_stream(packets(gap, gap), 0.04)


@pytest.mark.parametrize("step", [(0, 0), (1, 80), (1, 240), (2, 160), (0xFFFF, 160), (1, 0xFFFFFF60)])
def test_what_belongs_to_no_gap_is_none(step: tuple[int, int]) -> None:
    assert not is_one_stream(packets(*ROW, step, *ROW), 1000.0)
