# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls between two real Asterisks outlive a gateway that is killed: see test_recovered_calls.py."""

from __future__ import annotations

import pytest

from tests.sip.far_ends import End, Ends, FarBed, FarStage
from tests.sip.mid_call import WAYS
from tests.sip.recovering import are_written_down, talk_on

pytestmark = [pytest.mark.sip, pytest.mark.pbx, pytest.mark.asyncio(loop_scope="session")]

SAFE = End("tls", encrypted=True)
PAIRS = {"plain": Ends(), "tcp": Ends(End("tcp"), End("tcp")), "safe": Ends(SAFE, SAFE)}
SIP = {"recover_calls": True}


@pytest.mark.keeps("22.18")
@pytest.mark.parametrize("name", PAIRS)
async def test_a_call_a_kill_a_transfer_and_a_kill(far_bed: FarBed, name: str) -> None:
    async with FarStage(far_bed, name) as at:
        person, assistant = await at.conversation(WAYS[0])
        await talk_on(far_bed.gateway, person, assistant)
        target = await at.transfer(person, assistant)
        assert (await at.outcome())["outcome"] == "completed"
        await talk_on(far_bed.gateway, person, target)
        await at.hang_up(person, target)
        await are_written_down(far_bed.gateway, 0)


@pytest.mark.keeps("22.18")
async def test_whom_the_platform_has_called_for(far_bed: FarBed) -> None:
    """A call that began with the platform's INVITE."""
    async with FarStage(far_bed, "plain") as at:
        person, target = await at.conversation(WAYS[1])
        await talk_on(far_bed.gateway, person, target)
        await at.hang_up(person, target)
