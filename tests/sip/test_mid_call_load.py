# SPDX-License-Identifier: GPL-2.0-or-later
"""Many calls at a time that are put on hold and resumed, with SIPp at both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import LINES
from tests.support.sipp import Sipp

if TYPE_CHECKING:
    from tests.support.gateway import Gateway
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.alone]

CALLS = 60
HOLD_MS = 1000
"""Longer than the 500 ms after which SIPp sends a lost message again."""


@pytest.mark.keeps("9.1")
@pytest.mark.parametrize("way", ["from the PBX", "from the trunk"])
async def test_every_hold_and_every_resume_of_many_calls_is_passed_on(
    wires: Net, shared_gateway: Gateway, way: str
) -> None:
    pbx, trunk = (wires.pbx, 5070), (wires.host(LINES["main"].host), 5060)
    caller, called = (pbx, trunk) if way == "from the PBX" else (trunk, pbx)
    number = LINES["main"].number if way == "from the PBX" else "+31612345681"
    async with Sipp("held", called[0], port=called[1], calls=CALLS) as held:
        await held.child.ready(held.listening)
        async with Sipp(
            "holder", caller[0], port=caller[1], remote=shared_gateway.sip, service=number,
            calls=CALLS, rate=60, hold_ms=HOLD_MS,
        ) as holder:  # fmt: skip
            assert (await holder.finished()).check().counters == {"called": CALLS, "held": CALLS, "resumed": CALLS}
        assert (await held.finished()).check().counters == {"called": CALLS, "held": CALLS, "resumed": CALLS}
    await shared_gateway.idle()
