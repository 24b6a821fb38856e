# SPDX-License-Identifier: GPL-2.0-or-later
"""A moment stays as long ago as it is when the machine's clock is set."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import LoopClock
from gateway.pbx.steady_clock import SET, SteadyClock
from tests.bench.clock import VirtualClock

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_moments_differ_by_the_time_that_has_passed() -> None:
    clock = VirtualClock(START)
    steady = SteadyClock(clock)
    before = steady()
    clock.set_by += timedelta(days=-30)
    clock.advance(2.5)
    assert steady() - before == timedelta(seconds=2.5)


def test_a_moment_is_shown_by_the_machine_s_clock() -> None:
    clock = VirtualClock(START)
    steady = SteadyClock(clock)
    moment = steady()
    assert steady.on_the_wall(moment) == clock.now().wall
    clock.set_by += timedelta(hours=2)
    clock.advance(5)
    assert steady.on_the_wall(moment) == clock.now().wall - timedelta(seconds=5)


def test_a_clock_that_is_kept_right_moves_nothing() -> None:
    clock = VirtualClock(START)
    steady = SteadyClock(clock)
    moment = steady()
    shown = steady.on_the_wall(moment)
    clock.set_by += timedelta(milliseconds=40)
    assert steady.on_the_wall(moment) == shown


@pytest.mark.keeps("16.86")
@given(
    st.lists(
        st.tuples(st.floats(0, 1e5), st.timedeltas(-timedelta(days=300), timedelta(days=300))), min_size=1, max_size=20
    )
)
def test_an_age_is_right_within_what_keeping_a_clock_right_takes(changes: list[tuple[float, timedelta]]) -> None:
    clock = VirtualClock(START)
    steady = SteadyClock(clock)
    moment, passed = steady(), 0.0
    for seconds, change in changes:
        clock.advance(seconds)
        passed += seconds
        clock.set_by += change
        age = clock.now().wall - steady.on_the_wall(moment)
        assert abs(age - timedelta(seconds=passed)) <= SET + timedelta(milliseconds=1)


def test_the_real_clocks() -> None:
    clock = SteadyClock(LoopClock())
    first, second = clock(), clock()
    assert first <= second
    assert clock.on_the_wall(second).tzinfo is not None
