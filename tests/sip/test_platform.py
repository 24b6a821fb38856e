# SPDX-License-Identifier: GPL-2.0-or-later
"""What a platform asks of the running gateway before it asks for a transfer, over HTTP and TLS, beside calls."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, LINES, settings
from tests.support.certificates import Authority
from tests.support.gateway import Gateway
from tests.support.many_transfers import ManyTransfers, configured
from tests.support.peer import Peer
from tests.support.platform_client import PlatformClient, asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.configuration import Configuration
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PBX_PORT = 5070
Talking = tuple[Gateway, Peer, PlatformClient, "Call", "Call"]
PER_SECOND, REFERS_PER_SECOND, SECONDS = 200, 20, 5


@asynccontextmanager
async def talking(net: Net, files: Configuration, client: PlatformClient) -> AsyncIterator[Talking]:
    """A caller who talks to the assistant, and its platform, which asks by `client`."""
    client.number = LINES["main"].number
    async with (
        Peer(net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(net.host(LINES["main"].host)) as trunk,
        Gateway(files) as gateway,
        client as platform,
    ):
        caller = pbx.invite(f"sip:{client.number}@{net.gateway}", gateway.sip, hz=CALLER_HZ)
        assistant = await trunk.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        yield gateway, pbx, platform, caller, assistant


@pytest.mark.keeps("19.16", "19.13")
async def test_an_assistant_hears_beforehand_what_its_refer_then_gets(own_net: Net, tmp_path: Path) -> None:
    """Over TLS, in the process that runs."""
    files = settings(own_net, {"main": LINES["main"]})
    files.line["locale"] = "nl"
    files.profiles["main"]["reason_phrase"] = "sentence"
    identity = Authority(tmp_path).identity("127.0.0.1")
    files.secrets |= {"gw.crt": identity.certificate.read_text(), "gw.key": identity.key.read_text()}
    client = asking(files, "main", tls_certificate="gw.crt", tls_key="gw.key")
    client.tls = identity.client(shown=False)
    async with talking(own_net, files, client) as (gateway, pbx, platform, caller, assistant):
        [listed] = await platform.call_tools(("list_destinations", {}))
        numbers = {one["destination"]: one["number"] for one in listed["destinations"]}
        assert "voicemail" not in numbers
        for destination in ("closed", "anna"):
            [said] = await platform.call_tools(("check_availability", {"destination": numbers[destination]}))
            told = await assistant.refer(f"<sip:{numbers[destination]}@gw.example>")
            assert said["available"] is (told.code == 202)
            if not said["available"]:
                assert told.start == f"SIP/2.0 480 {said['sentence'].rstrip('.')}"
                assert f'text="{said["reason"]}"' in told["Reason"]
        target = await pbx.wait_call()
        assert said["leads_to"] == "anna"
        await target.answer()
        await assistant.wait_request("BYE")
        assert [one["reason"] for one in await gateway.ended(2)] == ["answered", "outside-hours"]
        await caller.hang_up()
        assert await gateway.metric("transfer_gateway_platform_tool_calls_total", result="unavailable") == 1
        assert "tool-called" in gateway.log
        assert "+3161" not in gateway.log  # nobody's number is in it
        # Nothing else is there, and who has no secret is told nothing.
        assert (await platform.post(platform.event("tool-calls"), secret="guessed")).status == 401
        assert (await platform.post({}, url=platform.url.replace("platform/main", "api/reload"))).status == 404


@pytest.mark.alone
@pytest.mark.keeps("19.19")
async def test_two_hundred_questions_a_second_beside_twenty_transfers_a_second(own_net: Net) -> None:
    files = configured(own_net)
    client = asking(files, "hms")
    asked = [("check_availability", {"destination": "anna"})]
    statuses: Counter[int] = Counter()
    seconds: list[float] = []

    async def ask(platform: PlatformClient) -> None:
        calls = [{"id": "1", "type": "function", "function": {"name": name, "arguments": how}} for name, how in asked]
        answer = await platform.post(platform.event("tool-calls", tool_call_list=calls))
        statuses[answer.status] += 1
        seconds.append(answer.seconds)
        assert answer.status == 200, answer.text
        assert answer.json["results"][0]["result"]["destination"] == "anna"

    async def flood(platform: PlatformClient) -> None:
        """At this rate, or slower where the machine has other work; whatever the answers take."""
        async with asyncio.TaskGroup() as group:
            due = time.monotonic()
            for _ in range(PER_SECOND * SECONDS):
                due = max(due + 1 / PER_SECOND, time.monotonic() - 0.1)
                await asyncio.sleep(due - time.monotonic())
                group.create_task(ask(platform))

    async with Gateway(files) as gateway, client as platform:
        await ask(platform)
        async with ManyTransfers(gateway, own_net, per_second=REFERS_PER_SECOND, seconds=SECONDS) as transfers:
            flooding = asyncio.create_task(flood(platform))
            done = await transfers.played()
            await flooding
        await gateway.idle()
        counted = await gateway.metric("transfer_gateway_platform_requests_total", result="answered")
    assert (done.completed, done.reached, done.refused) == (done.asked, done.asked, 0), done.errors
    assert statuses == {200: PER_SECOND * SECONDS + 1}
    assert counted == PER_SECOND * SECONDS + 1
    slowest = sorted(seconds)[-len(seconds) // 100]
    print(f"\n{len(seconds)} answers: 99 % within {slowest * 1000:.0f} ms, all within {max(seconds) * 1000:.0f} ms")
    # The platform gives a tool 10 s and an assistant 5 s; a machine that has other work takes some of it.
    assert max(seconds) < 5


@pytest.mark.keeps("19.15")
async def test_slow_and_unproved_requests_harm_neither_answers_nor_transfers(own_net: Net) -> None:
    files = settings(own_net, {"main": LINES["main"]})
    client = asking(files, "main")
    port = files.main["platform"]["port"]
    slow = b"POST /platform/main HTTP/1.1\r\nHost: gw\r\nContent-Length: 1000\r\n\r\n{"
    async with talking(own_net, files, client) as (gateway, pbx, platform, caller, assistant):
        await platform.call_tools(("list_destinations", {}))
        opened = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.77", 0)) for _ in range(40)]
        for _, writer in opened:
            writer.write(slow)
        for _ in range(100):
            assert (await platform.post(b"{}", secret="guessed")).status == 401
        [said] = await platform.call_tools(("check_availability", {"destination": "anna"}))
        assert said["available"]
        assert (await assistant.refer("<sip:+31612345681@gw.example>")).code == 202
        target = await pbx.wait_call()
        await target.answer()
        await assistant.wait_request("BYE")
        for reader, writer in opened:
            assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
            writer.close()
        await caller.hang_up()
        assert await gateway.metric("transfer_gateway_platform_requests_total", result="not-proved") == 100
