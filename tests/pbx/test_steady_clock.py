# SPDX-License-Identifier: GPL-2.0-or-later
"""A moment stays as long ago as it is when the machine's clock is set."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pbx.steady_clock import SET, SteadyClock
from tests.pbx.clocks import Clocks


def test_moments_differ_by_the_time_that_has_passed() -> None:
    clocks = Clocks()
    before = clocks.steady()
    clocks.set_by(days=-30)
    clocks.pass_by(2.5)
    assert clocks.steady() - before == timedelta(seconds=2.5)


def test_a_moment_is_shown_by_the_machine_s_clock() -> None:
    clocks = Clocks()
    moment = clocks.steady()
    assert clocks.steady.on_the_wall(moment) == clocks.wall
    clocks.set_by(hours=2)
    clocks.pass_by(5)
    assert clocks.steady.on_the_wall(moment) == clocks.wall - timedelta(seconds=5)


def test_a_clock_that_is_kept_right_moves_nothing() -> None:
    clocks = Clocks()
    moment = clocks.steady()
    shown = clocks.steady.on_the_wall(moment)
    clocks.set_by(milliseconds=40)
    assert clocks.steady.on_the_wall(moment) == shown


@pytest.mark.keeps("16.86")
@given(
    st.lists(
        st.tuples(st.floats(0, 1e5), st.timedeltas(-timedelta(days=300), timedelta(days=300))), min_size=1, max_size=20
    )
)
def test_an_age_is_right_within_what_keeping_a_clock_right_takes(changes: list[tuple[float, timedelta]]) -> None:
    clocks = Clocks()
    moment, passed = clocks.steady(), 0.0
    for seconds, change in changes:
        clocks.pass_by(seconds)
        passed += seconds
        clocks.wall += change
        age = clocks.wall - clocks.steady.on_the_wall(moment)
        assert abs(age - timedelta(seconds=passed)) <= SET + timedelta(milliseconds=1)


def test_the_real_clocks() -> None:
    clock = SteadyClock()
    first, second = clock(), clock()
    assert first <= second
    assert clock.on_the_wall(second).tzinfo is not None
