# SPDX-License-Identifier: GPL-2.0-or-later
"""A transfer for a platform that speaks TLS and is not of our making: SIPp, with certificates checked both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.sip.bed import ANNA, PORT, Bed, Pair, tls
from tests.sip.sipp_steps import ACTIVE, OVER, bye, notify, played, refer, response
from tests.support.certificates import Authority
from tests.support.processes import Net

pytestmark = pytest.mark.sip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net, authority: Authority) -> AsyncIterator[Bed]:
    made = Bed(own_net, {"tls": Pair({"transport": "tls"})}, sip=tls(authority, own_net.gateway))
    async with made.gateway:
        yield made


@pytest.mark.keeps("8.1")
async def test_transfers_of_a_platform_over_tls(bed: Bed, authority: Authority) -> None:
    trunk, pbx = bed.trunk_host("tls"), bed.pbx_host("tls")
    steps = [refer(ANNA), response(202), notify(100, ACTIVE), notify(180, ACTIVE), notify(200, OVER), bye()]
    gateway, number = (bed.net.gateway, PORT), bed.number("tls")
    messages = await played(steps, trunk, (pbx, PORT), gateway, number, identity=authority.identity(trunk))
    assert "SIP/2.0/TLS" in messages
    assert "SIP/2.0/UDP" not in messages
    await bed.gateway.idle()
