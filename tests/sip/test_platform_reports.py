# SPDX-License-Identifier: GPL-2.0-or-later
"""The platform reports over HTTP of calls that are ours by SIP: each transfer says what the platform believed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.report.listener import Listener, Received
from tests.sip.scene import ANNA, CALLER, LINES, Scene, settings
from tests.support.broker import Broker
from tests.support.gateway import Gateway
from tests.support.platform_client import PlatformClient
from tests.support.processes import free_port

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.broker]

SECRET = "the platform's secret"
PROMISE = "One moment, I put you through to Anna."


def reporting(net: Net, broker: Broker) -> Gateway:
    """A gateway whose platform reports, and whose destinations have a message that it says before a transfer."""
    files = settings(net, {"main": LINES["main"]})
    files.main["platform"] = {"port": free_port()}
    files.main["mqtt"] = {"host": broker.host, "port": broker.port}
    files.profiles["main"]["platform"] = {"form": "hms", "secret_files": ["webhook.secret"]}
    files.secrets["sip_profiles/webhook.secret"] = SECRET
    [line] = files.main["numbers"]
    line["destinations"] = [{**one, "message": PROMISE} if one["id"] == "anna" else one for one in line["destinations"]]
    return Gateway(files)


def platform_of(gateway: Gateway, caller: str | None = CALLER) -> PlatformClient:
    url = f"http://127.0.0.1:{gateway.files.main['platform']['port']}/platform/main"
    return PlatformClient(url, SECRET, LINES["main"].number, caller)


def event(platform: PlatformClient, kind: str, call_id: str, status: str, **more: Any) -> dict[str, Any]:
    body = platform.event(kind, **more)
    body["message"]["call"] |= {"id": call_id, "status": status}
    return body


def over(began: datetime, *said: str) -> dict[str, Any]:
    """What a report of a call's end has besides."""
    ended = datetime.now(UTC)
    return {
        "started_at": began.isoformat(),
        "ended_at": ended.isoformat(),
        "duration_seconds": int((ended - began).total_seconds()),
        "end_reason": "user_hangup",
        "summary": "a secret summary",
        "messages": [{"role": "assistant", "content": text} for text in said],
    }


def told(received: list[Received]) -> list[dict[str, Any]]:
    """The events of calls of the platform, each once."""
    events = [one.body for one in received if one.body and one.body.get("type") == "platform.call.v1"]
    return [one["data"] for one in {each["id"]: each for each in events}.values()]


@pytest.mark.keeps("19.27")
@pytest.mark.keeps("19.30")
async def test_a_transfer_says_what_the_platform_believed(own_net: Net) -> None:
    call_id, began = f"call-_{CALLER}_{uuid.uuid4()}", datetime.now(UTC) - timedelta(seconds=1)
    async with (
        Broker() as broker,
        Listener(broker) as listener,
        reporting(own_net, broker) as gateway,
        platform_of(gateway) as platform,
    ):
        async with Scene(own_net, gateway) as scene:
            _, assistant = await scene.bridged()
            going = event(platform, "status-update", call_id, "in-progress")
            assert (await platform.post(going)).status == 200
            [call] = (await gateway.get("/api/calls"))["calls"]
            assert call["platform"]["call_id"] == call_id
            assert (await assistant.refer(ANNA)).code == 202
            target = await scene.target()
            await target.answer()
            outcome = await scene.outcome()
            assert (outcome["platform"]["call_id"], outcome["platform"]["matched_by"]) == (call_id, "caller")
            assert outcome["platform"]["ended_reason"] is None
        report = event(platform, "end-of-call-report", call_id, "ended", **over(began, PROMISE))
        assert (await platform.post(report)).json == {}
        [ours] = (await gateway.get("/api/platform-calls?promise=kept"))["platform_calls"]
        assert [one["transfer"] for one in ours["transfers"]] == [outcome["transfer"]]
        assert ours["promised_by"] == "spoken-message"
        await listener.until(lambda received: bool(told(received)))
        await gateway.kill()
        await gateway.start()
        # A platform may say it twice; the signature is another one then.
        assert (await platform.post(report, at=str(int(datetime.now(UTC).timestamp()) + 1))).status == 200
        [still] = (await gateway.get("/api/platform-calls"))["platform_calls"]
        assert still == ours
        transfer = await gateway.get(f"/api/transfers/{outcome['transfer']}")
        assert transfer["platform"]["ended_reason"] == "user_hangup"
        assert told(listener.received) == [ours]
        assert "a secret summary" not in gateway.log
        assert "a secret summary" not in str([one.body for one in listener.received])


@pytest.mark.keeps("19.28")
async def test_a_promise_without_a_request_is_listed_and_survives_a_kill(own_net: Net) -> None:
    began = datetime.now(UTC) - timedelta(seconds=20)
    async with (
        Broker() as broker,
        reporting(own_net, broker) as gateway,
        platform_of(gateway, "+31209998888") as platform,
    ):
        report = event(platform, "end-of-call-report", "0b7e", "ended", **over(began, "Sure.", PROMISE))
        assert (await platform.post(report)).status == 200
        other = event(platform, "end-of-call-report", "0b7f", "ended", **over(began, "We are closed."))
        assert (await platform.post(other)).status == 200
        for _ in range(2):
            listed = (await gateway.get("/api/platform-calls"))["platform_calls"]
            assert {(one["call_id"], one["promise"]) for one in listed} == {("0b7e", "pending"), ("0b7f", "none")}
            assert len((await gateway.get("/api/platform-calls?promise=pending"))["platform_calls"]) == 1
            await gateway.kill()
            await gateway.start()
        assert "secret summary" not in gateway.log
