# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway is stopped, or given another configuration, while people talk through it."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.scene import ANNA_HZ, CALLER_HZ, hang_up, scene
from tests.support.begun import Begun
from tests.support.company import NUMBER, settings
from tests.support.end import both_hear
from tests.support.peer import Peer
from tests.support.processes import eventually
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.e2e.scene import Scene
    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker

pytestmark = pytest.mark.pbx

ANNA, NEW = "+31612345681", "+31612345699"


async def draining(play: Scene) -> None:
    """Send SIGTERM, and wait until it is no longer ready."""
    play.gateway.terminate()

    async def unready() -> bool:
        return (await play.gateway.http("GET", "/readyz"))[0] == 503

    await eventually(unready, "it says that it takes no more calls")


@pytest.mark.broker
async def test_a_drain_lets_a_running_transfer_and_its_call_end(pbx: Asterisk, phones: Phones, broker: Broker) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    files = settings(pbx.net, pbx=pbx, broker=broker, gateway={"drain_timeout_s": 20})
    async with (
        Subscriber(broker, "transfer-gateway/test/#") as heard,
        scene(pbx, files=files) as play,
        Peer(pbx.net.host(40)) as stranger,
    ):
        caller, assistant = await play.talk()
        assert await play.refer(assistant, ANNA) == 202
        await anna.event("CALL_INCOMING")
        await draining(play)
        await heard.until(lambda messages: any(one.json.get("state") == "draining" for one in messages))

        refused = play.line.invite(f"sip:{NUMBER}@{pbx.net.gateway}", play.gateway.sip)
        answer = await refused.final()
        assert (answer.code, answer["Reason"]) == (503, 'SIP;cause=503;text="at-capacity"')
        assert int(answer["Retry-After"]) > 0
        assert (await stranger.request("OPTIONS", f"sip:{pbx.net.gateway}", play.gateway.sip)).code == 403

        await anna.pick_up()
        assert (await assistant.notifies())[-1].sipfrag == 200
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        assert play.gateway.child.exit_code is None
        began = Begun(play.gateway.child.pid)
        await hang_up(caller)
        assert await play.gateway.child.wait() == 0
        assert began.took_s < 5, "it waits for nobody once the last call is over"
        await heard.event("call.ended.v1")
        assert (await heard.event("transfer.ended.v1"))["data"]["outcome"] == "completed"
        await heard.until(lambda messages: messages[-1].json.get("state") == "offline")
    await no_channels(pbx)


@pytest.mark.broker
async def test_a_drain_s_end_interrupts_and_says_so(pbx: Asterisk, phones: Phones, broker: Broker) -> None:
    anna = await phones("6001", manner="ring")
    files = settings(pbx.net, pbx=pbx, broker=broker, gateway={"drain_timeout_s": 1})
    async with Subscriber(broker, "transfer-gateway/test/transfers/#") as heard, scene(pbx, files=files) as play:
        caller, assistant = await play.talk()
        assert await play.refer(assistant, ANNA) == 202
        await anna.event("CALL_INCOMING")
        await draining(play)
        assert [notify.sipfrag for notify in await assistant.notifies()] == [100, 180, 503]
        await anna.event("CALL_CLOSED")
        await caller.wait_request("BYE")
        await assistant.wait_request("BYE")
        assert await play.gateway.child.wait() == 0
        await heard.event("transfer.ended.v1")  # the broker has it; it is yet to come from there
        [ended] = [event["data"] for event in heard.events("transfer.ended.v1")]
        assert (ended["outcome"], ended["reason"], ended["sip_code"]) == ("interrupted", "gateway-stopped", 503)
    await no_channels(pbx)


async def test_a_new_configuration_is_taken_and_a_wrong_one_is_not(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    files = settings(pbx.net, pbx=pbx)
    async with scene(pbx, files=files) as play:
        caller, assistant = await play.talk()
        first = await reloads(play)
        assert first[0] == 1
        assert await play.refer(assistant, NEW) == 404

        files.destination("anna")["queue_name"] = "not a key"
        files.destination("busy")["extension"] = ""
        await reload(play)
        await eventually(lambda: reloaded(play, 0), "the mistakes are counted")
        assert (await reloads(play))[1] == first[1], "the last success is the first configuration's"
        refused = [line for line in play.gateway.log.splitlines() if "reload-refused" in line]
        assert len(refused) == 1
        assert "queue_name" in refused[0]
        assert "extension" in refused[0]
        assert await play.refer(assistant, NEW) == 404
        await both_hear(caller, assistant)

        del files.destination("anna")["queue_name"]
        files.destination("busy")["extension"] = "6010"
        files.line["destinations"].append({"id": "new", "number": NEW, "extension": "6001"})
        # To the second, so that a later time can be told.
        await asyncio.sleep(max(0.0, first[1] + 1 - time.time()))
        await reload(play)
        await eventually(lambda: reloaded(play, 1), "the new configuration is in force")
        assert (await reloads(play))[1] > first[1]
        await both_hear(caller, assistant)
        assert await play.refer(assistant, NEW) == 202
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        [ended, *_] = await play.gateway.ended(3)
        assert (ended["outcome"], ended["destination"]) == ("completed", "new")
        await hang_up(caller)


async def reload(play: Scene) -> None:
    """Write the configuration anew and send SIGHUP."""
    play.gateway.write()
    play.gateway.child.signal(signal.SIGHUP)


async def reloads(play: Scene) -> tuple[float, float]:
    """Whether the last reload was taken (1, 0), and when the last one that was (seconds since 1970)."""
    name = "transfer_gateway_config_last_reload"
    metric = play.gateway.metric
    return await metric(f"{name}_successful"), await metric(f"{name}_success_timestamp_seconds")


async def reloaded(play: Scene, taken: int) -> bool:
    """Whether the last reload went like this."""
    return (await reloads(play))[0] == taken


async def no_channels(pbx: Asterisk) -> None:
    """Every channel of the PBX is gone."""

    async def gone() -> bool:
        return await pbx.channels() == 0

    await eventually(gone, "every channel of the PBX is gone")
