# SPDX-License-Identifier: GPL-2.0-or-later
"""The wait before a PBX is asked again grows, has an end, and is spread."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.pbx.back_off import back_off_s


@given(st.integers(1, 10**6), st.floats(0.01, 10), st.floats(10, 600))
def test_the_wait_lies_between_half_of_it_and_all(failures: int, shortest_s: float, longest_s: float) -> None:
    whole = min(longest_s, shortest_s * 2 ** min(failures - 1, 16))
    assert whole / 2 <= back_off_s(failures, shortest_s, longest_s) <= whole


def test_many_who_were_lost_at_once_do_not_come_back_at_once() -> None:
    assert len({round(back_off_s(5, 0.5, 60.0), 3) for _ in range(50)}) > 25
