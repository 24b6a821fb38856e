# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller is called back through a carrier, over HTTP and MQTT, between peers that keep every message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.report.listener import Listener
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.support.company import DESTINATIONS, NUMBER, settings
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway
from tests.support.peer import Peer

if TYPE_CHECKING:
    from tests.support.broker import Broker
    from tests.support.configuration import Configuration
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PBX_PORT, CARRIER_HOST = 5070, 62
EVE = "+31201112222"
CRM = "crm's own secret"


def calling_back(net: Net, broker: Broker | None = None) -> Configuration:
    """Callers of `anna` are called back by a carrier, on which nobody is."""
    files = settings(net, pbx_uri=f"sip:{net.pbx}:{PBX_PORT}", broker=broker)
    files.pbx("carrier", f"sip:{net.host(CARRIER_HOST)}:{PBX_PORT}", kind="carrier", prefixes=["+31"])
    files.destination("anna").update(callback_prefixes=["+3120"], callback_pbx="carrier")
    return files


async def talked(gateway: Gateway, pbx: Peer, platform: Peer) -> str:
    """A caller has talked to the assistant and hung up; their call's id."""
    caller = pbx.invite(f"sip:{NUMBER}@{gateway.sip[0]}", gateway.sip, from_=f"<sip:{EVE}@pbx.example>", hz=CALLER_HZ)
    assistant = await platform.wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    [call] = (await gateway.get("/api/calls"))["calls"]
    await caller.hang_up()
    found: str = call["call"]
    return found


@pytest.mark.keeps("21.21")
@pytest.mark.keeps("21.26")
@pytest.mark.broker
async def test_a_caller_is_called_back_through_a_carrier(own_net: Net, broker: Broker) -> None:
    base, replies = "transfer-gateway/test", "transfer-gateway/test/responses/crm"
    async with (
        Listener(broker) as listener,
        Gateway(calling_back(own_net, broker)) as gateway,
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.host(CARRIER_HOST), PBX_PORT, user="carrier") as carrier,
        Peer(own_net.trunk) as platform,
    ):

        async def command(number: int, **body: object) -> Any:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ResponseTopic, properties.CorrelationData = replies, bytes([number])
            before = len(listener.on(replies))
            payload = json.dumps({"type": "callback", **body}).encode()
            await listener.publish(f"{base}/commands/callback", payload, properties=properties)
            await listener.until(lambda _: len(listener.on(replies)) > before)
            return listener.on(replies)[-1]

        await listener.says("/status", state="online")
        call = await talked(gateway, pbx, platform)
        first = await command(1, call=call, destination="anna", id="crm-7")
        assert (first["id"], first["status"], first["transfer"]["entry"]) == ("crm-7", "accepted", "callback")
        assert await command(2, call=call, destination="anna", id="crm-7") == first
        again = await command(3, caller=EVE, destination="anna")
        assert (again["status"], again["transfer"]["reason"]) == ("refused", "transfer-pending")
        assert (await command(4, caller="+31209999999", destination="anna"))["error"]["code"] == "unknown-call"
        assert (await command(5, caller=EVE, call=call, destination="anna"))["error"]["code"] == "bad-request"

        anna = await pbx.wait_call(timeout_s=30)
        assert anna.incoming is not None
        assert anna.incoming.uri.startswith(f"sip:{DESTINATIONS['anna']['extension']}@")
        assert EVE in anna.incoming["From"]
        assert not carrier.received("INVITE")
        await anna.ring()
        await anna.answer(hz=TARGET_HZ)
        caller = await carrier.wait_call(timeout_s=30)
        assert caller.incoming is not None
        assert caller.incoming.uri.startswith(f"sip:{EVE}@")
        assert NUMBER in caller.incoming["From"]
        await caller.ring()
        await caller.answer(hz=CALLER_HZ)
        await anna.media.hears(CALLER_HZ)
        await caller.media.hears(TARGET_HZ)
        await gateway.until(lambda one: one["outcome"] == "completed", timeout_s=30)
        events = f"{base}/transfers/main-line"

        def told() -> list[Any]:
            return [one["data"] for one in listener.on(events) if one["type"] == "transfer.ended.v1"]

        await listener.until(lambda _: len(told()) == 2)
        [ended] = [one for one in told() if one["outcome"] == "completed"]
        assert (ended["transfer"], ended["caller_calls"]) == (first["transfer"]["transfer"], 1)
        await anna.hang_up()
        await caller.wait_request("BYE")
        await gateway.idle()
        assert [one["entry"] for one in (await gateway.get("/api/transfers?number=main-line"))["transfers"]] == [
            "callback", "callback",
        ]  # fmt: skip


@pytest.mark.keeps("21.26")
async def test_a_token_needs_the_permission_for_it(own_net: Net) -> None:
    files = calling_back(own_net)
    files.main["http"]["tokens"] = [{"name": "crm", "secret_file": "crm.token", "may": ["transfer", "read"]}]
    files.secrets["crm.token"] = CRM
    async with (
        Gateway(files) as gateway,
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.trunk) as platform,
    ):
        call = await talked(gateway, pbx, platform)
        body = {"call": call, "destination": "anna"}
        assert (await gateway.http("POST", "/api/callbacks", token=CRM, body=body))[0] == 403
        status, text = await gateway.http("POST", "/api/callbacks", token=TOKEN, body=body)
        promised = json.loads(text)["transfer"]
        assert (status, promised["author"]) == (202, "token_file")
        _, text = await gateway.http("POST", "/api/forget", token=TOKEN, body={"caller": EVE})
        [ended] = await gateway.ended(1)
        assert (ended["transfer"], ended["outcome"], ended["reason"]) == (promised["transfer"], "failed", "cancelled")
        _, text = await gateway.http("GET", "/api/audit", token=CRM)
        given = [(one["action"], one["result"]) for one in json.loads(text)["commands"]]
        assert given == [("forget", "done"), ("callback", "accepted"), ("callback", "not-allowed")]
