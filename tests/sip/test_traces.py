# SPDX-License-Identifier: GPL-2.0-or-later
"""A platform's trace goes through the gateway: its header to the PBX, and a span of ours to the collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, codes
from tests.support.collector import Collector
from tests.support.company import DESTINATIONS, NUMBER, settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PBX_PORT = 5070
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.keeps("23.49")
async def test_the_trace_of_a_platform_reaches_the_pbx_and_the_collector(own_net: Net) -> None:
    async with Collector(own_net.host(70)) as collector:
        files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:{PBX_PORT}")
        files.main["traces"] = {"endpoint": collector.endpoint}
        for name in ("hms", "asterisk"):
            files.profiles[name]["pass_headers"] = ["traceparent", "tracestate"]
        async with (
            Gateway(files) as gateway,
            Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
            Peer(own_net.trunk) as platform,
        ):
            caller = pbx.invite(f"sip:{NUMBER}@{gateway.sip[0]}", gateway.sip, hz=CALLER_HZ)
            assistant = await platform.wait_call()
            await assistant.answer(hz=ASSISTANT_HZ)
            await caller.answered()
            refer_to = f"<sip:{DESTINATIONS['anna']['number']}@gw.example>"
            assert (await assistant.refer(refer_to, ("traceparent", TRACEPARENT))).code == 202
            target = await pbx.wait_call()
            assert target.incoming is not None
            assert target.incoming.all("traceparent") == [TRACEPARENT]
            await target.answer(hz=TARGET_HZ)
            assert codes(await assistant.notifies())[-1] == 200
            await caller.hang_up()
            await gateway.idle()
            [transfer] = (await gateway.get("/api/transfers"))["transfers"]
            whole, within = await collector.transfer(transfer["transfer"])
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, SPAN)
    assert [span.name for span in within][:2] == ["gate", "dialling"]
