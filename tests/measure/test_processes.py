# SPDX-License-Identifier: GPL-2.0-or-later
"""How one process is compared with two: what is counted, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.measure.processes import Share, Ticks, Tried, alone, tried, verdict
from tests.support.processes import Net

if TYPE_CHECKING:
    from collections.abc import Iterator


def at(rate: int, gateways: float, others: float, idle: float) -> Tried:
    return Tried(rate, whole=True, done=rate, asked=rate, share=Share(gateways, others, idle))


def test_two_carry_more_by_what_others_would_have_left_them() -> None:
    assert alone(at(240, 1.2, 0.8, 0.0)) == pytest.approx(400)
    assert alone(at(240, 2.0, 0.0, 0.0)) == 240


def test_the_verdict_is_of_medians_and_says_what_is_against_it() -> None:
    ones = [at(200, 1.0, 0.6, 0.4), at(210, 1.0, 0.6, 0.4), at(500, 1.0, 0.6, 0.4)]
    twos = [at(240, 1.2, 0.8, 0.0)] * 3
    beside, freed, cost = verdict(ones, twos)
    assert "210 transfers a second; two: 240 beside their callers, 1.14 times one" in beside
    assert "two 400, 1.90 times one (at least the 1.8" in freed
    assert cost == "processor time of a transfer: 4.76 ms of one, 5.00 ms of two"
    *_, against = verdict([at(210, 1.0, 1.0, 0.0)], twos)
    assert "the factor too high" in against
    assert "(not the 1.8" in verdict([at(250, 1.0, 0.6, 0.4)], twos)[1]


def test_time_is_divided_among_gateways_others_and_nobody() -> None:
    begun, ended = Ticks(10.0, 3.0, 20.0, 5.0), Ticks(20.0, 9.0, 36.0, 9.0)
    share = begun.until(ended)
    assert (share.gateways, share.others, share.idle) == pytest.approx((0.6, 1.0, 0.4))
    assert share.processors == pytest.approx(2.0)
    now = Ticks.now([])
    assert now.gateways == 0
    assert now.busy > 0


@pytest.fixture
def nets() -> Iterator[tuple[Net, Net]]:
    with Net() as first, Net() as second:
        yield first, second


@pytest.mark.sip
@pytest.mark.broker
@pytest.mark.alone
async def test_two_processes_share_the_transfers(nets: tuple[Net, Net]) -> None:
    """It is no measurement: the machine may be as busy as it likes."""
    found = await tried(nets, rate=6, seconds=5)
    assert (found.whole, found.done, found.asked) == (True, 30, 30)
    assert found.share
    assert found.share.gateways > 0
