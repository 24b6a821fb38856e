# SPDX-License-Identifier: GPL-2.0-or-later
"""A transfer for a platform that speaks TLS and is not of our making: SIPp, with certificates checked both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.sip.bed import ANNA, PORT, Bed, Pair, tls
from tests.sip.sipp_steps import bye, notify, played, refer, response
from tests.support.certificates import Authority
from tests.support.processes import Net
from tests.support.sipp import Sipp

pytestmark = pytest.mark.sip

CALLS = 3
ACTIVE, OVER = "active;expires=[0-9]+", "terminated;reason=noresource"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net, authority: Authority) -> AsyncIterator[Bed]:
    made = Bed(own_net, {"tls": Pair({"transport": "tls"})}, sip=tls(authority, own_net.gateway))
    async with made.gateway:
        yield made


@pytest.mark.keeps("8.1")
async def test_transfers_of_a_platform_over_tls(bed: Bed, authority: Authority) -> None:
    trunk, pbx = bed.trunk_host("tls"), bed.pbx_host("tls")
    steps = [refer(ANNA), response(202), notify(100, ACTIVE), notify(180, ACTIVE), notify(200, OVER), bye()]
    platform = Sipp(
        "transferor",
        trunk,
        calls=CALLS,
        timeout_s=25,
        values={"STEPS": "".join(steps)},
        identity=authority.identity(trunk),
    )
    extension = Sipp("extension", pbx, calls=CALLS, timeout_s=25, values={"RINGS_MS": "600"})
    caller = Sipp(
        "call",
        pbx,
        port=PORT + 1,
        remote=(bed.net.gateway, PORT),
        service=bed.number("tls"),
        calls=CALLS,
        hold_ms=3500,
    )
    async with platform, extension:
        await played(platform, extension, caller, CALLS, transferred=True)
        assert "SIP/2.0/TLS" in platform.messages()
        assert "SIP/2.0/UDP" not in platform.messages()
    await bed.gateway.idle()
