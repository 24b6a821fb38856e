# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller is put through to a person, in either direction, and everybody hears whom they should."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.scene import ANNA_HZ, ASSISTANT_HZ, CALLER, CALLER_HZ, RINGBACK_HZ, hang_up, hears_nobody, scene
from tests.support.asterisk import MUSIC_HZ
from tests.support.begun import Begun
from tests.support.company import NUMBER, settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.sip_message import Message
from tests.support.sipp import Sipp
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker

pytestmark = [pytest.mark.pbx, pytest.mark.broker]

SALES = "+31612345678"


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.keeps("2.1")
async def test_an_assistant_puts_a_caller_through_to_a_staffed_queue(
    pbx: Asterisk, phones: Phones, broker: Broker
) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with (
        Subscriber(broker, "transfer-gateway/test/transfers/#") as heard,
        scene(pbx, broker=broker) as play,
        pbx.ami() as ami,
    ):
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        accepted = await assistant.refer(f"<sip:{SALES}@{pbx.net.gateway}>", ("User-to-User", "00c0ffee;encoding=hex"))
        assert accepted.code == 202
        await anna.event("CALL_INCOMING")
        await caller.media.hears(RINGBACK_HZ)
        await hears_nobody(assistant, CALLER_HZ)
        await anna.pick_up()
        connected = await ami.event("AgentConnect", Queue="sales")
        picked_up, kept = time.time(), Begun(play.gateway.child.pid, pbx.pid)

        told = await assistant.notifies()
        assert [notify.sipfrag for notify in told] == [100, 200]
        assert {notify["Event"] for notify in told} == {"refer"}
        await anna.hears(CALLER_HZ)
        await caller.media.hears(ANNA_HZ)
        await hears_nobody(caller, ASSISTANT_HZ, RINGBACK_HZ)
        await assistant.wait_request("BYE")
        assert play.assistant.ladder()[-8:] == [
            "-> REFER", "<- 202 REFER", "<- NOTIFY 100", "-> 200 NOTIFY", "<- NOTIFY 200", "-> 200 NOTIFY", "<- BYE",
            "-> 200 BYE",
        ]  # fmt: skip

        ended = await heard.event("transfer.ended.v1")
        data = ended["data"]
        assert (data["outcome"], data["reason"], data["sip_code"]) == ("completed", "answered", 200)
        assert (data["number"], data["trunk"], data["pbx"]) == ("main-line", "hms", "asterisk")
        assert (data["entry"], data["destination"], data["requested_target"]) == ("refer", "sales", SALES)
        assert (data["caller"], data["context"]) == (CALLER, {"User-to-User": "00c0ffee;encoding=hex"})
        assert connected["MemberName"] == "Anna"
        assert abs(at(data["human_at"]) - picked_up) < 0.5 + kept.kept_s
        moments = [data[name] for name in ("requested_at", "decided_at", "human_at", "ended_at")]
        assert moments == sorted(moments)
        assert data["trail"][-2:] == ["queue sales: 1 of 1 agents free, 0 waiting", "capacity: 1 of 500 calls"]

        await hang_up(caller)
        await anna.event("CALL_CLOSED")
        over = await heard.event("call.ended.v1", transfer=data["transfer"])
        assert (over["data"]["hung_up_by"], over["data"]["reason"]) == ("pbx", "hung-up")
        assert [event["type"] for event in heard.events()] == [
            "transfer.requested.v1", "transfer.accepted.v1", "transfer.connected.v1", "transfer.ended.v1",
            "call.ended.v1",
        ]  # fmt: skip
        labels = {"number": "main-line", "entry": "refer", "destination": "sales", "reason": "answered"}
        assert await play.gateway.metric("transfer_gateway_transfers_total", outcome="completed", **labels) == 1
        assert await play.gateway.metric("transfer_gateway_time_to_human_seconds_count") == 1


@pytest.mark.keeps("3.16")
@pytest.mark.parametrize("final_notify", ["on-answer", "on-human"])
async def test_music_is_not_a_person(pbx: Asterisk, phones: Phones, final_notify: str) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    files = settings(pbx.net, pbx=pbx)
    files.destination("sales")["extension"] = "6598"  # the same queue, where the PBX answers at once
    files.profiles["hms"]["final_notify"] = final_notify
    async with scene(pbx, files=files) as play:
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, SALES) == 202
        await caller.media.hears(MUSIC_HZ)
        await anna.event("CALL_INCOMING")
        if final_notify == "on-answer":
            assert (await assistant.notifies())[-1].sipfrag == 200
            await assistant.wait_request("BYE")
        [waiting] = await play.gateway.transfers()
        assert (waiting["outcome"], waiting["human_at"], waiting["answered_at"] is None) == (None, None, False)
        picked_up = time.time()
        await anna.pick_up()
        await caller.media.hears(ANNA_HZ)
        if final_notify == "on-human":
            assert (await assistant.notifies())[-1].sipfrag == 200
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["final_notify"]) == ("completed", final_notify)
        assert at(ended["answered_at"]) < picked_up <= at(ended["human_at"]) + 0.001  # which is told in whole ms
        await hang_up(caller)


@pytest.mark.parametrize("called", [SALES, NUMBER])
async def test_a_trunk_s_call_is_put_through_to_a_staffed_queue(pbx: Asterisk, phones: Phones, called: str) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    async with scene(pbx) as play, pbx.ami() as ami:
        await play.gateway.queue("sales", available=1)
        own = f"<sip:{CALLER if called == NUMBER else NUMBER}@{pbx.net.trunk}>"
        asked = Begun(play.gateway.child.pid, pbx.pid)
        call = play.assistant.invite(f"sip:{called}@{pbx.net.gateway}", play.gateway.sip, from_=own, hz=ASSISTANT_HZ)
        await call.answered()
        await anna.hears(ASSISTANT_HZ)
        await call.media.hears(ANNA_HZ)
        assert (await ami.event("AgentConnect", Queue="sales"))["MemberName"] == "Anna"
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["entry"], ended["destination"]) == ("completed", "invite", "sales")
        assert abs(at(ended["human_at"]) - at(ended["answered_at"])) < 0.5 + asked.kept_s
        await anna.hang_up()
        await call.wait_request("BYE")


async def test_sipp_as_the_trunk_has_a_caller_put_through(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    rows = [[f"<sip:{SALES}@{pbx.net.gateway}>"]]
    files = settings(pbx.net, pbx=pbx)
    files.profiles["hms"]["options_interval_s"] = 0  # SIPp would take it for its one call
    async with (
        Gateway(files) as gateway,
        Sipp("assistant", pbx.net.trunk, rows=rows, timeout_s=20) as trunk,
        Peer(pbx.net.provider, user="caller") as line,
    ):
        await trunk.child.ready(trunk.listening)
        await gateway.queue("sales", available=1)
        caller = line.invite(f"sip:{NUMBER}@{pbx.host}", (pbx.host, 5070), hz=CALLER_HZ)
        await caller.answered()
        counted = (await trunk.finished()).check().counters
        assert counted == {"called": 1, "referred": 1, "completed": 1, "failed": 0, "refused": 0, "gone": 0}
        assert told_by(trunk.messages()) == ["202 REFER", "NOTIFY 100", "NOTIFY 200", "200 BYE"]
        await anna.hears(CALLER_HZ)
        await caller.media.hears(ANNA_HZ)
        [ended] = await gateway.ended()
        assert (ended["outcome"], ended["human_at"] is not None) == ("completed", True)
        await hang_up(caller)
        await anna.event("CALL_CLOSED")
        await gateway.idle()
    assert await pbx.channels() == 0


async def test_sipp_on_the_trunk_reaches_an_agent_and_hears_him(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    echo = Path(__file__).with_name("scenarios") / "echo"
    async with Gateway(settings(pbx.net, pbx=pbx)) as gateway:
        await gateway.queue("sales", available=1)
        async with Sipp(
            str(echo), pbx.net.trunk, remote=gateway.sip, service=SALES, hold_ms=1500, options=["-rtp_echo"],
            values={"CALLER": NUMBER},
        ) as trunk:  # fmt: skip
            # What Anna says comes back to her only if it got there, and what comes back from there reaches her.
            await anna.hears(ANNA_HZ)
            assert (await trunk.finished()).check().counters == {"called": 1, "answered": 1}
        [ended] = await gateway.ended()
        assert (ended["outcome"], ended["human_at"] is not None) == ("completed", True)
        await anna.event("CALL_CLOSED")
        await gateway.idle()
    assert await pbx.channels() == 0


def told_by(messages: str) -> list[str]:
    """What the gateway sent from its answer to the REFER on, as SIPp logged it."""
    labels = []
    for block in re.split(r"^-{20,}.*$", messages, flags=re.MULTILINE):
        head, _, message = block.lstrip("\n").partition("\n\n")
        if "message received" in head:
            labels.append(Message.parse(message.replace("\n", "\r\n").encode()).label)
    return labels[labels.index("202 REFER") :]
