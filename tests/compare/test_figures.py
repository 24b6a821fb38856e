# SPDX-License-Identifier: GPL-2.0-or-later
"""How figures are told, and how the highest rate is found."""

from __future__ import annotations

import pytest

from tests.compare.figures import NOTHING, Figure, number, percentile, told
from tests.compare.search import STEP, highest


def test_a_figure_is_told_with_its_spread_and_its_ratio_by_round() -> None:
    figure = Figure("CPU", "ms", [10.0, 12.0, 11.0], [20.0, 8.0, 11.0])
    assert figure.ratios == [0.5, 1.5, 1.0]
    assert figure.line() == "| CPU, ms | 11.0 (10.0 to 12.0) | 11.0 (8.00 to 20.0) | 1.00 (0.500 to 1.50) |"


def test_a_round_that_could_not_be_measured_is_told() -> None:
    figure = Figure("CPU", "ms", [10.0, None], [20.0, 8.0])
    assert figure.ratios == [0.5]
    assert figure.line() == "| CPU, ms | 10.0 (10.0 to 10.0, 1 of 2 rounds) | 14.0 (8.00 to 20.0) | 0.500 |"
    assert told([None, None]) == NOTHING


def test_nobody_divides_by_nothing() -> None:
    assert Figure("late", "ms", [1.0], [0.0]).ratios == []


@pytest.mark.parametrize(("value", "text"), [(12345.6, "12,346"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.012")])
def test_a_number_has_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([], 0.5)) == (50.0, 99.0, None)


class Device:
    """One that fails above a rate, and above a lower one when it lasts."""

    def __init__(self, limit: int, lasting: int | None = None) -> None:
        self.limits = {1: limit, 2: limit if lasting is None else lasting}
        self.tried: list[tuple[int, int]] = []

    async def is_good(self, rate: int, length: int) -> bool:
        self.tried.append((rate, length))
        return rate <= self.limits[length]


@pytest.mark.parametrize("limit", [1, 5, 29, 30, 70, 100, 101, 149, 399])
async def test_the_highest_rate_is_found_within_a_step(limit: int) -> None:
    device = Device(limit)
    found = await highest(device.is_good, first=50, limit=400)
    assert limit - STEP <= found <= limit
    assert len(device.tried) <= 11
    assert found == 0 or device.tried[-1] == (found, 2), "it has stood the longer run"


async def test_what_only_stands_the_short_run_is_lowered() -> None:
    device = Device(100, lasting=90)
    assert 85 <= await highest(device.is_good, first=50, limit=400) <= 90


async def test_the_limit_is_enough() -> None:
    device = Device(1000)
    assert await highest(device.is_good, first=50, limit=400) == 400


async def test_who_can_do_nothing_has_no_rate() -> None:
    device = Device(-1)
    assert await highest(device.is_good, first=50, limit=400) == 0
