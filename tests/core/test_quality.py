# SPDX-License-Identifier: GPL-2.0-or-later
"""The estimate of the MOS: the values that ITU-T G.107 gives, and the way it falls."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.quality import mos


def rating(score: float) -> float:
    """The R of a MOS, found by halving: Annex B of ITU-T G.107 has no short form of it."""
    low, high = 6.5, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        found = 1 + 0.035 * middle + middle * (middle - 60) * (100 - middle) * 7e-6
        low, high = (middle, high) if found < score else (low, middle)
    return low


def test_nothing_lost_and_no_delay_to_speak_of_is_what_g_107_gives_for_its_defaults() -> None:
    # R = 93.2 is a MOS of 4.41; a packet of 20 ms takes half a point of R.
    assert mos(0.0, 0.0, None) == pytest.approx(4.41, abs=0.011)


@pytest.mark.parametrize(("percent", "impairment"), [(1, 3.64), (2, 7.01), (5, 15.78), (10, 27.07), (20, 42.13)])
def test_losses_take_what_formula_7_29_says(percent: int, impairment: float) -> None:
    # Ie,eff = 95 × Ppl / (Ppl + 25.1), worked out by hand; Id = 0.024 × 20.
    assert rating(mos(percent / 100, 0.0, None)) == pytest.approx(93.2 - 0.48 - impairment, abs=0.4)


def test_a_delay_takes_more_once_people_notice_it() -> None:
    # Id = 0.024 d, and 0.11 (d − 177.3) more above 177.3 ms: 4.8 at 200 ms is 0.024 × 200, with 2.5 more for the rest.
    assert rating(mos(0.0, 0.0, 360.0)) == pytest.approx(93.2 - 0.024 * 200 - 0.11 * 22.7, abs=0.4)
    assert rating(mos(0.0, 40.0, 200.0)) == pytest.approx(93.2 - 0.024 * 200 - 0.11 * 22.7, abs=0.4)


@given(loss=st.floats(0, 1), jitter=st.floats(0, 5000), trip=st.none() | st.floats(0, 60_000))
def test_it_is_a_mos_whatever_is_measured(loss: float, jitter: float, trip: float | None) -> None:
    assert 1.0 <= mos(loss, jitter, trip) <= 4.41


def test_it_falls_with_each_of_them() -> None:
    steps = range(0, 100, 5)
    for falling in (
        [mos(step / 100, 0, None) for step in steps],
        [mos(0, step * 4, None) for step in steps],
        [mos(0, 0, step * 10) for step in steps],
    ):
        assert all(after <= before for before, after in itertools.pairwise(falling))
        assert falling[-1] < falling[0] - 1
