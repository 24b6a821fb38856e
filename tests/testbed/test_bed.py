# SPDX-License-Identifier: GPL-2.0-or-later
"""The real parts, each with the others: what later tests rest on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from tests.support.ami import Ami, AmiError
from tests.support.asterisk import GATEWAY_AMI, MUSIC_HZ, SIP_PORT, VOICEMAIL_HZ
from tests.support.begun import Begun
from tests.support.broker import Broker
from tests.support.peer import Peer
from tests.support.prometheus import Prometheus
from tests.support.sipp import Sipp
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk

NUMBER = "+31201234567"


@pytest.mark.pbx
@pytest.mark.alone
async def test_three_people_are_there_within_seconds(pbx: Asterisk, phones: Phones) -> None:
    begin = time.monotonic()
    await pbx.restart()
    for extension in ("6001", "6002", "6003"):
        await phones(extension)
    assert time.monotonic() - begin < 10
    assert {extension: member["Status"] for extension, member in (await pbx.members("sales")).items()} == {
        "6001": "1",
        "6002": "1",
    }


@pytest.mark.pbx
async def test_a_call_from_the_gateway_s_address_is_heard_at_both_ends(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=440)
    async with Peer(pbx.net.gateway) as gateway:
        begun = Begun(pbx.pid)
        call = gateway.invite(f"sip:6001@{pbx.host}", (pbx.host, SIP_PORT), hz=700)
        await call.answered()
        await anna.hears(700)
        await call.media.hears(440)
        assert call.media.detect(440, 700) == {440}
        # A packet every 20 ms: five missing in a row would be a gap that a person hears.
        assert call.media.longest_gap() < 0.1 + begun.kept_s
        assert (await call.hang_up()).code == 200
        await anna.event("CALL_CLOSED")
        assert gateway.ladder() == [
            "-> INVITE", "<- 100 INVITE", "<- 180 INVITE", "<- 200 INVITE", "-> ACK", "-> BYE", "<- 200 BYE",
        ]  # fmt: skip


@pytest.mark.pbx
async def test_an_outside_caller_reaches_the_gateway_by_an_assigned_number(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=440)
    async with Peer(pbx.net.provider, user="caller") as line, Peer(pbx.net.gateway) as gateway:
        caller = line.invite(f"sip:{NUMBER}@{pbx.host}", (pbx.host, SIP_PORT), hz=900)
        incoming = await gateway.wait_call()
        assert incoming.incoming
        assert incoming.incoming.uri == f"sip:{NUMBER}@{pbx.net.gateway}:5060"
        await incoming.answer(hz=1000)
        await caller.answered()
        await caller.media.hears(1000)
        await incoming.media.hears(900)
        assert (await incoming.refer(f"<sip:6001@{pbx.host}>")).code == 202
        told = [notify.sipfrag for notify in await incoming.notifies()]
        assert (told[0], told[-1]) == (100, 200)  # Asterisk leaves out a 180 that the 200 has overtaken
        await caller.media.hears(440)


@pytest.mark.pbx
async def test_a_queue_tells_which_agent_took_the_call(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=440)
    async with pbx.ami() as ami, Peer(pbx.net.gateway) as gateway:
        call = gateway.invite(f"sip:6500@{pbx.host}", (pbx.host, SIP_PORT), hz=700)
        assert (await ami.event("AgentConnect", Queue="sales"))["MemberName"] == "Anna"
        await call.answered()
        await anna.hears(700)
        assert call.invite
        # The PBX rings the agent and tells the caller nothing: ringback is the gateway's to make.
        assert [one.code for one in call.invite.responses] == [100, 200]


@pytest.mark.pbx
@pytest.mark.parametrize(
    ("extension", "code"),
    [("6001", 480), ("6009", 480), ("6010", 486), ("6012", 603), ("6500", 503), ("6501", 503), ("7777", 404)],
)
async def test_nobody_there(pbx: Asterisk, extension: str, code: int) -> None:
    async with Peer(pbx.net.gateway) as gateway:
        call = gateway.invite(f"sip:{extension}@{pbx.host}", (pbx.host, SIP_PORT))
        assert (await call.final()).code == code


@pytest.mark.pbx
async def test_a_full_queue_is_busy(pbx: Asterisk, phones: Phones) -> None:
    carla = await phones("6003", manner="ring")
    async with pbx.ami() as ami, Peer(pbx.net.gateway) as gateway:
        waiting = gateway.invite(f"sip:6510@{pbx.host}", (pbx.host, SIP_PORT))
        await ami.event("QueueCallerJoin", Queue="tiny")
        await carla.event("CALL_INCOMING")
        refused = gateway.invite(f"sip:6510@{pbx.host}", (pbx.host, SIP_PORT))
        assert (await refused.final()).code == 486
        await waiting.cancel()
        assert (await waiting.final()).code == 487
        await ami.event("QueueCallerAbandon", Queue="tiny")


@pytest.mark.pbx
async def test_a_phone_that_rejects_and_one_that_rings(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", manner="busy")
    bert = await phones("6002", hz=520, manner="ring")
    async with Peer(pbx.net.gateway) as gateway:
        rejected = gateway.invite(f"sip:6001@{pbx.host}", (pbx.host, SIP_PORT))
        assert (await rejected.final()).code == 486
        call = gateway.invite(f"sip:6002@{pbx.host}", (pbx.host, SIP_PORT))
        await bert.event("CALL_INCOMING")
        await bert.pick_up()
        await call.answered()
        await call.media.hears(520)


@pytest.mark.pbx
async def test_voicemail_and_queue_music_are_told_apart_from_people(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", manner="ring")
    async with Peer(pbx.net.gateway) as gateway:
        for extension, hz in (("6599", VOICEMAIL_HZ), ("6598", MUSIC_HZ)):
            call = gateway.invite(f"sip:{extension}@{pbx.host}", (pbx.host, SIP_PORT))
            await call.answered()
            await call.media.hears(hz)
            await call.hang_up()


@pytest.mark.pbx
async def test_agents_pause_vanish_and_come_back(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001")
    await pbx.pause("6001")
    assert (await pbx.members("sales"))["6001"]["Paused"] == "1"
    await pbx.pause("6001", paused=False)
    await anna.stop()
    await pbx.until_state("6001", 4)
    assert (await pbx.members("sales"))["6001"]["Status"] == "5"
    await anna.start()
    begin = Begun(pbx.pid)
    await anna.kill()
    await pbx.until_state("6001", 4)
    # qualify_frequency is 2 s, and half a second is waited for the answer.
    assert begin.took_s < 4
    await anna.start()
    await pbx.kill()
    await pbx.start()
    await pbx.until_state("6001", 0)


@pytest.mark.pbx
async def test_the_shipped_manager_user_sees_what_it_needs_and_touches_nothing(pbx: Asterisk, phones: Phones) -> None:
    async with Ami(pbx.ami_port, GATEWAY_AMI) as watching, Peer(pbx.net.gateway) as gateway:
        anna = await phones("6001")
        await pbx.pause("6001")
        await pbx.pause("6001", paused=False)
        await pbx.add_member("support", "6001")
        await pbx.remove_member("support", "6001")
        call = gateway.invite(f"sip:6500@{pbx.host}", (pbx.host, SIP_PORT))
        await call.answered()
        await call.hang_up()
        carla = await phones("6003", manner="ring")
        given_up = gateway.invite(f"sip:6501@{pbx.host}", (pbx.host, SIP_PORT))
        await carla.event("CALL_INCOMING")
        await given_up.cancel()
        await anna.stop()
        await watching.event("ContactStatus", ContactStatus="Removed")
        assert len(await watching.action("QueueSummary", Queue="sales")) == 2
        assert len(await watching.action("QueueStatus", Queue="sales")) == 4
        state = await watching.action("ExtensionState", Context="from-transfer-gateway", Exten="6003")
        assert state[0]["Status"] in {"0", "8"}
        assert len(await watching.action("ExtensionStateList")) > 4
        assert len(await watching.action("DeviceStateList")) > 3
        await watching.action("CoreStatus")
        await watching.action("Ping")
        await watching.action("Status")
        for name, fields in {
            "Command": {"Command": "core stop now"},
            "QueuePause": {"Interface": "PJSIP/6003", "Paused": "true"},
            "Originate": {"Channel": "PJSIP/6003", "Application": "Wait", "Data": "1"},
            "Hangup": {"Channel": "/.*/"},
            "GetConfig": {"Filename": "manager.conf"},
        }.items():
            with pytest.raises(AmiError, match="Permission denied"):
                await watching.action(name, **fields)
        await pbx.stop()
        await watching.event("Shutdown")
    seen = {event["Event"] for event in watching.events}
    assert seen >= {
        "AgentCalled", "AgentComplete", "AgentConnect", "ContactStatus", "DeviceStateChange", "ExtensionStatus",
        "FullyBooted", "QueueCallerAbandon", "QueueCallerJoin", "QueueCallerLeave", "QueueMemberAdded",
        "QueueMemberPause", "QueueMemberRemoved", "QueueMemberStatus", "Shutdown",
        "Newchannel", "DialBegin", "DialEnd",
    }  # fmt: skip
    assert not seen & {"Newstate", "NewExten", "BridgeEnter", "VarSet", "TestEvent"}


@pytest.mark.pbx
async def test_sipp_calls_count_themselves(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001")
    here, there = pbx.net.gateway, (pbx.host, SIP_PORT)
    async with Sipp("call", here, remote=there, service="6001", hold_ms=1000, hz=650) as one:
        await anna.hears(650)
        assert (await one.finished()).check().counters == {"called": 1, "answered": 1, "refused": 0}
    async with Sipp("call", here, remote=there, service="6010", calls=20, rate=20) as many:
        assert (await many.finished()).check().counters == {"called": 20, "answered": 0, "refused": 20}


@pytest.mark.pbx
async def test_sipp_as_the_assistant_counts_what_became_of_its_transfers(pbx: Asterisk) -> None:
    net = pbx.net
    remote = (net.trunk, 5060)
    async with Sipp("assistant", net.trunk, calls=4, rows=[["<sip:sales@x>"]]) as assistant, Peer(net.gateway) as peer:
        await assistant.child.ready(assistant.listening)
        for final in (200, 486, None, 404):
            call = peer.invite(f"sip:{NUMBER}@{net.trunk}", remote)
            call.answers["REFER"] = 202 if final in {200, 486} else final
            await call.answered()
            if final is None:
                await call.wait_request("REFER")
                call.respond(call.requests[-1], 202)
                await call.hang_up()
                continue
            refer = await call.wait_request("REFER")
            assert refer["Refer-To"] == "<sip:sales@x>"
            if final in {200, 486}:
                for code, state in ((100, "active;expires=60"), (final, "terminated;reason=noresource")):
                    headers = [("Event", "refer"), ("Subscription-State", state)]
                    body = f"SIP/2.0 {code} X\r\n".encode()
                    notify = call.begin("NOTIFY", headers=headers, body=body, content_type="message/sipfrag")
                    assert (await notify.final()).code == 200
            await call.wait_request("BYE")
        result = (await assistant.finished()).check()
    assert result.counters == {"called": 4, "referred": 4, "completed": 1, "failed": 1, "refused": 1, "gone": 1}


@pytest.mark.broker
async def test_a_broker_s_death_is_survived_by_its_subscribers(broker: Broker) -> None:
    async def publish(text: str) -> None:
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.publish("bed/topic", text, qos=1)

    async with Subscriber(broker, "bed/#", client_id="consumer") as heard:
        await publish('{"n":1}')
        await heard.until(lambda messages: len(messages) == 1)
        await broker.kill()
        await broker.start()
        # Kept for the consumer whether or not it is back yet: its session outlived the crash.
        await publish('{"n":2}')
        assert [one.json["n"] for one in await heard.until(lambda messages: len(messages) == 2)] == [1, 2]


@pytest.mark.broker
async def test_a_broker_with_a_password_lets_nobody_else_in() -> None:
    async with Broker(login=("gateway", "secret")) as guarded:
        async with Subscriber(guarded):
            pass
        with pytest.raises(aiomqtt.MqttError, match=r"[Nn]ot authori[sz]ed"):
            async with aiomqtt.Client(guarded.host, guarded.port, username="gateway", password="guess"):
                pass


@pytest.mark.broker
async def test_prometheus_scrapes_itself() -> None:
    prometheus = Prometheus()
    prometheus.scrape(f"127.0.0.1:{prometheus.port}")
    async with prometheus:
        series = await prometheus.wait_for("up == 1")
        assert series[0]["metric"]["job"] == "transfer-gateway"
