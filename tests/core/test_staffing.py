# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a caller waits: the estimate, and a queue that is played through to compare it with."""

import heapq
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.staffing import expected_wait_s


@pytest.mark.parametrize(
    ("available", "working", "ahead", "handling_s", "wait_s"),
    [
        (1, 3, 0, 120.0, 0.0),
        (2, 3, 1, None, 0.0),  # somebody is free: no history is needed to know that
        (0, 3, 0, 120.0, 40.0),
        (0, 3, 2, 120.0, 120.0),
        (1, 3, 1, 120.0, 40.0),  # the one ahead takes the agent who is free
        (0, 1, 4, 60.0, 300.0),
        (0, 3, 0, None, None),
        (0, 3, 0, 0.0, None),
        (0, 0, 0, 120.0, None),
    ],
)
def test_expected_wait(
    available: int, working: int, ahead: int, handling_s: float | None, wait_s: float | None
) -> None:
    assert expected_wait_s(available, working, ahead, handling_s) == wait_s


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 50), st.sampled_from([None, 0.0]) | st.floats(0.1, 3600))
def test_nothing_is_never_expected_where_nobody_is_free(
    available: int, working: int, ahead: int, handling_s: float | None
) -> None:
    """An unknown wait is unknown, and only an agent who is free for this very caller makes it 0."""
    wait_s = expected_wait_s(available, working + available, ahead, handling_s)
    assert (wait_s == 0) is (available > ahead)


def test_the_estimate_is_what_a_queue_does() -> None:
    """Four agents who all talk, five callers ahead, calls of 180 s in the mean: how long the sixth caller waits."""
    dice = random.Random(7)
    waits = []
    for _ in range(4000):
        free_at = [dice.expovariate(1 / 180) for _ in range(4)]
        heapq.heapify(free_at)
        for _ in range(5):
            heapq.heapreplace(free_at, free_at[0] + dice.expovariate(1 / 180))
        waits.append(free_at[0])
    expected = expected_wait_s(0, 4, 5, 180.0)
    assert expected == 270.0
    assert statistics.mean(waits) == pytest.approx(expected, rel=0.05)
