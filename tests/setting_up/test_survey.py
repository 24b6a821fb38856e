# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PBX is asked over AMI, and what is made of its answers; tests/e2e/test_init.py asks real ones."""

from __future__ import annotations

import asyncio

import pytest

from gateway.setting_up.found import Found, FoundQueue, FoundTransport, Place
from gateway.setting_up.survey import SurveyError, survey
from tests.pbx.fake_ami import Block, FakeAmi, error, listing, ok

pytestmark = pytest.mark.slow

DENIED = [error("Permission denied")]


def step(context: str, extension: str, application: str, data: str = "") -> Block:
    return {
        "Event": "ListDialplan",
        "Context": context,
        "Extension": extension,
        "Application": application,
        "AppData": data,
    }


def scripted(pbx: FakeAmi) -> FakeAmi:
    """A PBX that tells everything."""
    pbx.script |= {
        "CoreSettings": [ok(AsteriskVersion="22.1.0")],
        "QueueStatus": listing(
            [
                {"Event": "QueueParams", "Queue": "sales"},
                {"Event": "QueueMember", "Queue": "sales", "Name": "Bert", "Location": "PJSIP/6002"},
                {"Event": "QueueMember", "Queue": "sales", "Name": "", "Location": "PJSIP/6001"},
                {"Event": "QueueParams", "Queue": "front desk"},
                {"Event": "QueueParams", "Queue": "x\x07y"},
            ]
        ),
        "ExtensionStateList": listing(
            [{"Event": "ExtensionStatus", "Exten": "6001", "Context": "phones", "Hint": "PJSIP/6001"}]
        ),
        "ShowDialPlan": listing(
            [
                step("phones", "6500", "NoOp"),
                step("phones", "6500", "Queue", "sales,t"),
                step("phones", "_X.", "Queue", "front desk"),
                step("from-line", "0201234567", "Queue", "sales"),
                {"Event": "ListDialplan", "Context": "phones", "IncludeContext": "inside"},
            ]
        ),
        "PJSIPShowEndpoints": listing([{"Event": "EndpointList", "ObjectName": "6001"}]),
        "PJSIPShowEndpoint": listing([{"Event": "EndpointDetail", "Language": "nl"}, {"Event": "AorDetail"}]),
        "CoreShowChannels": listing([{"Event": "CoreShowChannel", "Language": "en"}]),
        "Command": [ok(Output="Transport:  udp   udp   0   0  0.0.0.0:5060")],
    }
    return pbx


async def asked(pbx: FakeAmi) -> Found:
    return await survey("127.0.0.1", pbx.port, "admin", "right")


async def test_all_that_is_told() -> None:
    async with FakeAmi() as pbx:
        found = await asked(scripted(pbx))
        actions = {block["Action"] for block in pbx.actions}
    assert found.version == "22.1.0"
    assert found.queues == (FoundQueue("front desk"), FoundQueue("sales", ("Bert", "PJSIP/6001")))
    assert found.queue_places == {"sales": Place("phones", "6500")}  # not the outside number, and no pattern
    assert found.places["6001"] == Place("phones", "6001")
    assert found.contexts == {"phones", "from-line", "inside"}
    assert found.transports == (FoundTransport("udp", "udp", "0.0.0.0", 5060),)
    assert (found.endpoints, set(found.languages), found.untold) == (("6001",), {"nl", "en"}, {})
    assert not found.is_freepbx
    # Nothing that changes anything is asked for.
    assert actions == {
        "Challenge", "Login", "CoreSettings", "QueueStatus", "ExtensionStateList", "ShowDialPlan", "PJSIPShowEndpoints",
        "PJSIPShowEndpoint", "CoreShowChannels", "Command",
    }  # fmt: skip


async def test_a_user_of_few_rights_is_told_what_they_may_know() -> None:
    async with FakeAmi() as pbx:
        scripted(pbx).script |= {
            "PJSIPShowEndpoints": DENIED,
            "Command": DENIED,
            "ShowDialPlan": [error("No such command")],
        }
        found = await asked(pbx)
    assert [queue.name for queue in found.queues] == ["front desk", "sales"]
    assert found.untold == {
        "dialplan": "No such command",
        "endpoints": "the manager user may not ask: write = system is missing",
        "transports": "the manager user may not ask: write = command is missing",
    }


async def test_who_may_ask_for_nothing() -> None:
    async with FakeAmi() as pbx:
        pbx.script |= dict.fromkeys(scripted(pbx).script, DENIED)
        found = await asked(pbx)
    assert (found.queues, found.hints, found.lines) == ((), (), ())
    assert len(found.untold) == 7


async def test_a_pbx_that_lets_nobody_in_or_is_not_there() -> None:
    async with FakeAmi() as pbx:
        with pytest.raises(SurveyError, match=r"as user admin: login refused"):
            await survey("127.0.0.1", pbx.port, "admin", "wrong")
        port = pbx.port
    with pytest.raises(SurveyError, match=rf"127\.0\.0\.1:{port}, as user admin: connection refused"):
        await survey("127.0.0.1", port, "admin", "right")


async def test_a_pbx_that_goes_in_the_middle() -> None:
    async with FakeAmi() as pbx:
        scripted(pbx).script["ShowDialPlan"] = None

        async def gone() -> None:
            await pbx.asked("ShowDialPlan")
            pbx.drop()

        going = asyncio.create_task(gone())
        with pytest.raises(SurveyError, match="stopped answering"):
            await asked(pbx)
        await going
