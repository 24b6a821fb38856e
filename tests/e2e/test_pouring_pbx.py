# SPDX-License-Identifier: GPL-2.0-or-later
"""A PBX whose manager interface pours events: SIP is answered as if it did not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.pbx.in_one_loop.test_ami_floods import pouring
from tests.support.company import settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, eventually

pytestmark = [pytest.mark.sip, pytest.mark.pbx, pytest.mark.alone]

REQUESTS = 150
LATE_S = 0.25


@pytest.mark.keeps("16.88")
@pytest.mark.parametrize("kind", ["status", "members", "callers"])
async def test_sip_is_answered_while_the_pbx_pours_events(own_net: Net, tmp_path: Path, kind: str) -> None:
    async with pouring(tmp_path, kind) as pbx:
        files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5060")
        files.follow("asterisk", pbx.port, pbx.secret)
        gateway = Gateway(files)
        async with gateway, Peer(own_net.trunk, 5060) as trunk:

            async def connected() -> bool:
                return "pbx-connected" in gateway.log

            await eventually(connected, "the gateway reads the events")
            took = sorted([await answer_s(trunk, gateway) for _ in range(REQUESTS)])
        assert took[REQUESTS // 2] < 0.05
        assert took[REQUESTS * 98 // 100] < LATE_S


async def answer_s(peer: Peer, gateway: Gateway) -> float:
    """How long an OPTIONS takes, in seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    response = await peer.request("OPTIONS", f"sip:{gateway.sip[0]}", gateway.sip)
    assert response.code == 200
    took = loop.time() - began
    await asyncio.sleep(0.01)
    return took
