# SPDX-License-Identifier: GPL-2.0-or-later
"""The official MCP client asks the gateway that runs, and a REFER then gets what it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import CLOSED, LINES, Scene, settings
from tests.support.gateway import Gateway
from tests.support.mcp_client import called, mcp_client
from tests.support.processes import free_port

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

TOKEN = "the assistant's token"


@pytest.mark.keeps("19.35")
async def test_a_refer_gets_what_the_assistant_was_told(own_net: Net) -> None:
    files = settings(own_net, {"main": LINES["main"]})
    files.main["platform"] = {"port": free_port(), "mcp_tokens": [{"name": "hms", "secret_file": "mcp.token"}]}
    files.secrets["mcp.token"] = TOKEN
    url = f"http://127.0.0.1:{files.main['platform']['port']}/mcp"
    async with Gateway(files) as gateway, Scene(own_net, gateway) as scene:
        async with mcp_client(url, TOKEN) as client:
            _, told = await called(client, "check_availability", destination="closed")
            _, why = await called(client, "explain", target="closed")
            _, assistant = await scene.bridged()
            answer = await scene.refused(assistant, CLOSED)
        outcome = await scene.outcome()
        assert not told["available"]
        assert answer.code == outcome["sip_code"] == why["sip_code"]
        assert outcome["reason"] == told["reason"] == why["reason"]
        assert outcome["sentence"] == told["sentence"]
        assert await gateway.metric("transfer_gateway_mcp_requests_total", method="tools/call", result="answered") == 2
