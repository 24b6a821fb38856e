# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers that are asked for, and called off, by command: over HTTP and over MQTT, with the platform's own body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.report.listener import Listener
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, codes
from tests.support.company import NUMBER, settings
from tests.support.configuration import SIP_PORT, TOKEN
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.broker import Broker
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

ANNA = "+31612345681"


async def post(gateway: Gateway, path: str, body: Any = None, *, token: str | None = TOKEN) -> tuple[int, Any]:
    """A command over HTTP: status and JSON."""
    status, text = await gateway.http("POST", path, token=token, body=body)
    return status, json.loads(text)


async def call_id(gateway: Gateway) -> str:
    """The one call under way."""
    [call] = (await gateway.get("/api/calls"))["calls"]
    found: str = call["call"]
    return found


@pytest.mark.keeps("14.1")
async def test_a_call_is_transferred_by_command_and_but_once(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    path = f"/api/calls/{await call_id(scene.gateway)}/transfer"
    body = {"type": "transfer", "destination": ANNA, "message": "One moment please.", "id": "crm-7"}
    assert (await post(scene.gateway, path, body, token=None))[0] == 401
    status, first = await post(scene.gateway, path, body)
    assert (status, first["transfer"]["entry"]) == (202, "command")
    assert [line for line in first["transfer"]["trail"] if line.startswith("message: not spoken")]
    target = await scene.target()
    status, again = await post(scene.gateway, path, body)
    assert (status, again) == (202, first)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    assert (await post(scene.gateway, path, body))[1] == first
    await assistant.wait_request("BYE")
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["transfer"]) == ("completed", first["transfer"]["transfer"])
    assert not assistant.peer.received("NOTIFY")
    assert len(scene.pbx.received("INVITE")) == 1


@pytest.mark.keeps("14.1")
async def test_a_cancelled_command_gives_the_caller_back(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    call = await call_id(scene.gateway)
    _, answer = await post(
        scene.gateway, f"/api/calls/{call}/transfer", {"type": "transfer", "destination": f"sip:{ANNA}@gw"}
    )
    target = await scene.target()
    await target.ring()
    status, cancelled = await post(scene.gateway, f"/api/calls/{call}/cancel", {"type": "cancel", "id": "crm-8"})
    assert (status, cancelled["transfer"]["transfer"]) == (200, answer["transfer"]["transfer"])
    told = cancelled["transfer"]
    assert (told["outcome"], told["reason"], told["sip_code"]) == ("failed", "cancelled", 487)
    assert (told["returned_to_transferor"], told["sentence"]) == (True, "The transfer was cancelled.")
    await target.wait_request("CANCEL")
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    # Nothing is left to cancel, and the same command again says what it said.
    assert (await post(scene.gateway, f"/api/calls/{call}/cancel"))[0] == 404
    assert (await post(scene.gateway, f"/api/calls/{call}/cancel", {"type": "cancel", "id": "crm-8"}))[1] == cancelled


@pytest.mark.keeps("20.22")
async def test_a_call_that_is_stuck_is_ended_by_command(scene: Scene) -> None:
    """Neither side answers our BYE: the call is over all the same, and PJSIP goes on asking."""
    caller, assistant = await scene.bridged()
    assert (await assistant.refer(f"<sip:{ANNA}@gw.example>")).code == 202
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await assistant.wait_request("BYE")
    call = await call_id(scene.gateway)
    scene.pbx.answers["BYE"] = None
    assert (await post(scene.gateway, f"/api/calls/{call}/hangup", token=None))[0] == 401
    status, ended = await post(scene.gateway, f"/api/calls/{call}/hangup", {"type": "hangup", "id": "crm-9"})
    assert (status, ended["call"]["call"], ended["call"]["reason"]) == (200, call, "by-command")
    assert (await scene.gateway.get("/api/calls"))["calls"] == []
    for leg in (caller, target):
        await leg.wait_request("BYE")
    assert (await post(scene.gateway, f"/api/calls/{call}/hangup", {"type": "hangup", "id": "crm-9"}))[1] == ended
    status, answer = await post(scene.gateway, f"/api/calls/{call}/hangup")
    assert (status, answer["error"]["code"]) == (404, "unknown-call")
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"]) == ("completed", "answered")

    async def told() -> bool:
        calls = (await scene.gateway.get("/api/calls?reason=by-command&limit=1"))["calls"]
        return [(one["call"], one["hung_up_by"]) for one in calls] == [(call, "gateway")]

    await eventually(told, "the end of the call is in the history")
    scene.pbx.answers["BYE"] = 200


@pytest.mark.keeps("20.22")
async def test_a_call_in_the_middle_of_a_transfer_is_ended_by_command(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assert (await assistant.refer(f"<sip:{ANNA}@gw.example>")).code == 202
    target = await scene.target()
    await target.ring()
    status, _ = await post(scene.gateway, f"/api/calls/{await call_id(scene.gateway)}/hangup")
    assert status == 200
    await target.wait_request("CANCEL")
    await caller.wait_request("BYE")
    assert codes(await assistant.notifies())[-1] == 487
    await assistant.wait_request("BYE")
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"]) == ("failed", "cancelled")
    assert outcome["trail"][-1] == "call ended: by command of token_file"


@pytest.mark.keeps("14.1", "20.27")
async def test_a_transfer_by_refer_is_cancelled_and_its_sender_told(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assert (await assistant.refer(f"<sip:{ANNA}@gw.example>")).code == 202
    target = await scene.target()
    await target.ring()
    [running] = await scene.gateway.until(lambda one: one["outcome"] is None and one["ringing_at"])
    status, _ = await post(scene.gateway, f"/api/transfers/{running['transfer']}/cancel")
    assert status == 200
    assert codes(await assistant.notifies()) == [100, 180, 487]
    await caller.media.hears(ASSISTANT_HZ)
    # The next one is like the first.
    assert (await assistant.refer(f"<sip:{ANNA}@gw.example>")).code == 202
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    status, late = await post(scene.gateway, f"/api/transfers/{(await scene.outcome())['transfer']}/cancel")
    assert (status, late["error"]["code"]) == (409, "too-late")
    await caller.media.hears(TARGET_HZ)


@pytest.mark.keeps("14.1")
async def test_a_refused_command_says_why_in_words(scene: Scene) -> None:
    await scene.bridged()
    path = f"/api/calls/{await call_id(scene.gateway)}/transfer"
    status, answer = await post(scene.gateway, path, {"type": "transfer", "destination": "closed"})
    assert (status, answer["error"]["code"]) == (409, "refused")
    assert answer["transfer"]["reason"] == "outside-hours"
    assert answer["transfer"]["sentence"].startswith("Closed is closed until ")
    assert (await post(scene.gateway, path, {"type": "hold", "destination": ANNA}))[0] == 400
    assert scene.pbx.received("INVITE") == []


@pytest.mark.keeps("14.1")
@pytest.mark.broker
async def test_transfer_cancel_and_hangup_over_mqtt(own_net: Net, broker: Broker) -> None:
    base = "transfer-gateway/test"
    replies = f"{base}/responses/crm"
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:{SIP_PORT}", broker=broker)
    async with (
        Listener(broker) as listener,
        Gateway(files) as gateway,
        Peer(own_net.pbx, SIP_PORT, user="pbx") as pbx,
        Peer(own_net.trunk, user="assistant") as trunk,
    ):

        async def command(name: str, number: int, **body: object) -> Any:
            """Send a command as a request, and wait for the response to it."""
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ResponseTopic, properties.CorrelationData = replies, bytes([number])
            payload = json.dumps({"type": name, **body}).encode()
            before = len(listener.on(replies))
            await listener.publish(f"{base}/commands/{name}", payload, properties=properties)
            await listener.until(lambda _: len(listener.on(replies)) > before)
            reply = [message for message in listener.received if message.topic == replies][-1]
            assert reply.properties.CorrelationData == bytes([number])
            return reply.body

        await listener.says("/status", state="online")
        caller = pbx.invite(f"sip:{NUMBER}@{own_net.gateway}", gateway.sip, hz=CALLER_HZ)
        assistant = await trunk.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        call = await call_id(gateway)

        first = await command("transfer", 1, call=call, destination=ANNA, id="crm-7")
        assert (first["id"], first["call"], first["status"]) == ("crm-7", call, "accepted")
        target = await pbx.wait_call()
        await target.ring()
        assert await command("transfer", 2, call=call, destination=ANNA, id="crm-7") == first
        reply = await command("cancel", 3, transfer=first["transfer"]["transfer"], id="crm-7")
        assert (reply["status"], reply["transfer"]["reason"]) == ("cancelled", "cancelled")
        await target.wait_request("CANCEL")
        await caller.media.hears(ASSISTANT_HZ)
        assert (await command("cancel", 4, call=call))["error"]["code"] == "unknown-transfer"
        refused = await command("transfer", 5, call=call, destination="nowhere")
        assert (refused["status"], refused["transfer"]["sentence"]) == (
            "refused",
            "This call can't be transferred there.",
        )
        assert len(pbx.received("INVITE")) == 1
        assert await command("hangup", 6, call=call, id="crm-9") == {"id": "crm-9", "call": call, "status": "ended"}
        await caller.wait_request("BYE")
        assert (await command("hangup", 7, call=call))["error"]["code"] == "unknown-call"
        await gateway.idle()
