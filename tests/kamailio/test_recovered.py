# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of a gateway behind a proxy outlive it: the re-INVITEs go by the route set that the proxy has written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kamailio.cluster import ANNA, TARGET_HZ, Cluster
from tests.sip.recovering import reinvites, talk_on
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.proxy, pytest.mark.asyncio(loop_scope="session")]

NODES = ("gw-1", "gw-2")


@pytest.mark.keeps("22.53")
async def test_a_call_outlives_its_gateway_behind_a_proxy(own_net: Net, tmp_path: Path) -> None:
    cluster = Cluster(own_net, Authority(tmp_path), nodes=NODES)
    for gateway in cluster.gateways.values():
        gateway.files.sip["recover_calls"] = True
        gateway.write()
    async with cluster:
        caller, assistant, node = await cluster.conversation()
        await talk_on(cluster.gateways[node], caller, assistant)
        assert cluster.node_of(reinvites(assistant)[-1].tag("From")) == node
        assert (await assistant.refer(f"<sip:{ANNA}@gateway>")).code == 202
        anna = await cluster.pbx.wait_call(30)
        await anna.answer(hz=TARGET_HZ)
        assert (await assistant.notifies(30))[-1].sipfrag == 200
        await assistant.wait_request("BYE", 30)
        await talk_on(cluster.gateways[node], caller, anna)
        await cluster.hang_up(caller, anna)
        for gateway in cluster.gateways.values():
            await gateway.idle(30)
