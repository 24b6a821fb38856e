# SPDX-License-Identifier: GPL-2.0-or-later
"""Many times more transfers than fit: held against as many as fit, offered to the same gateway a moment before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.overload.crowd import CrowdedSystem
from tests.overload.offering import COLUMNS, columns, offer

if TYPE_CHECKING:
    from tests.overload.offering import Offered
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.broker, pytest.mark.alone, pytest.mark.timeout(240)]

FITS, TIMES, SECONDS = 30, 12, 4
KEPT = 0.6
"""Of what works where all of it fits, at least so much works when many times as much is asked for."""


def told(offered: Offered) -> str:
    return "; ".join(f"{name}: {value}" for name, value in zip(COLUMNS, columns(offered), strict=True))


@pytest.mark.keeps("18.5", "18.6", "18.7", "18.8")
async def test_what_is_too_much_takes_nothing_from_what_is_not(own_net: Net) -> None:
    async with CrowdedSystem(own_net) as system:
        fitting = await offer(system, own_net, per_second=FITS, seconds=SECONDS, trunks=2)
        flooded = await offer(system, own_net, per_second=TIMES * FITS, seconds=SECONDS, trunks=2)
    print(f"fitting: {told(fitting)}\nflooded: {told(flooded)}")
    assert flooded.greedy.refused > flooded.greedy.asked / 4
    assert flooded.goodput > KEPT * fitting.goodput
    for offered in (fitting, flooded):
        # Whoever was promised a transfer learns of its end, and it has an outcome.
        assert offered.greedy.untold == offered.quiet.untold == 0
        assert offered.ended == offered.greedy.promised + offered.quiet.promised
        assert offered.quiet.completed == offered.quiet.asked
        assert offered.quiet.failed == 0
        assert offered.was_idle
    assert flooded.talking.lost <= fitting.talking.lost + 0.002
