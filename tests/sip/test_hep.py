# SPDX-License-Identifier: GPL-2.0-or-later
"""What calls send and receive, as capture servers have it that were sent it by HEP: one of ours, and sngrep."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.bed import Bed, Pair
from tests.sip.kept_messages import of_transfer
from tests.sip.scene import TARGET_HZ, TRUNK_PASSWORD, Scene, settings
from tests.sip.test_challenge import call, challenged, credentials
from tests.sip.test_messages import put_through
from tests.sip.test_relayed_reports import NTP, RECEIVER, SENDER, Report, reporting
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway
from tests.support.hep import CaptureServer, Packet
from tests.support.processes import eventually
from tests.support.sip_message import Message
from tests.support.sngrep import Sngrep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

CAPTURE_HOST, PORT = 90, 9060
SIP, RTCP = 1, 5
SERVER_GONE = '"capture-server-gone"'


@asynccontextmanager
async def capturing(net: Net, **hep: Any) -> AsyncIterator[Scene]:
    """A gateway that sends to a capture server, and the peers of a scenario."""
    files = settings(net)
    files.main["gateway"]["log_format"] = "json"
    files.main["hep"] = {"address": f"{net.host(CAPTURE_HOST)}:{PORT}", **hep}
    async with Gateway(files) as gateway, Scene(net, gateway) as scene:
        yield scene


def of(packets: list[Packet], call_id: str) -> list[Packet]:
    return [one for one in packets if one.kind == SIP and Message.parse(one.payload)["Call-ID"] == call_id]


@pytest.mark.keeps("23.40")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_all_messages_of_a_transfer_come_with_its_id(own_net: Net, transport: str) -> None:
    async with (
        CaptureServer(own_net.host(CAPTURE_HOST), PORT) as server,
        capturing(own_net, transport=transport, capture_id=77, node="node-7") as scene,
    ):

        def messages(packets: list[Packet]) -> list[Packet]:
            return [one for one in packets if one.kind == SIP]

        async def bridged() -> tuple[Call, Call]:
            legs = await Scene.bridged(scene)

            def are_known(packets: list[Packet]) -> bool:
                ends = [of(packets, leg.call_id)[-1:] for leg in legs]
                return all(end and end[0].payload.startswith(b"ACK") for end in ends)

            await server.until(are_known, "all that was said so far has come")
            return legs

        scene.bridged = bridged  # type: ignore[assignment,method-assign]  # who asks at once is known as a transfer from the start
        caller, assistant, target, transfer = await put_through(scene)
        told = await of_transfer(scene.gateway, transfer)
        kept = told["messages"]
        await server.until(lambda packets: len(messages(packets)) >= len(kept), "all have come")
        got = messages(server.packets)
        assert [one.payload.decode() for one in got] == [one["text"] for one in kept]
        assert [f"{one.source[0]}:{one.source[1]}" for one in got] == [one["source"] for one in kept]
        assert [f"{one.destination[0]}:{one.destination[1]}" for one in got] == [one["destination"] for one in kept]
        assert {(one.protocol, one.capture_id, one.node, one.key) for one in got} == {(17, 77, "node-7", None)}
        assert {one.correlation for one in of(got, target.call_id)} == {transfer}
        # Before anybody has asked for a transfer, what they say is of the call.
        for leg in (caller, assistant):
            ids = [one.correlation for one in of(got, leg.call_id)]
            assert ids == sorted(ids, key=[told["call"], transfer].index)
            assert set(ids) == {told["call"], transfer}
        refer = next(one for one in got if one.payload.startswith(b"REFER"))
        assert refer.correlation == transfer
        assert await scene.gateway.metric("transfer_gateway_hep_packets_total", kind="sip") == len(got)
        assert await scene.gateway.metric("transfer_gateway_hep_up") == 1
        assert await scene.gateway.metric("transfer_gateway_hep_dropped_total", reason="full") == 0


@pytest.mark.capture
@pytest.mark.keeps("23.40")
async def test_sngrep_reads_what_is_sent(own_net: Net) -> None:
    async with Sngrep(own_net.host(CAPTURE_HOST), PORT) as sngrep, capturing(own_net, rtcp=False) as scene:
        *_, transfer = await put_through(scene)
        kept = (await of_transfer(scene.gateway, transfer))["messages"]

        async def all_sent() -> bool:
            return await scene.gateway.metric("transfer_gateway_hep_packets_total", kind="sip") >= len(kept)

        await eventually(all_sent, "all were sent", timeout_s=30)
        read = await sngrep.stop()
        assert [(one, other, text.decode()) for one, other, text in read] == [
            (one["source"], one["destination"], one["text"]) for one in kept
        ]


@pytest.mark.keeps("23.41")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_capture_server_that_is_gone_costs_no_call_and_is_told_of_once(own_net: Net, transport: str) -> None:
    async with capturing(own_net, transport=transport) as scene:
        for _ in range(3):
            await put_through(scene)
        dropped = await scene.gateway.metric("transfer_gateway_hep_dropped_total", reason="unreachable")
        assert dropped > 10
        assert scene.gateway.log.count(SERVER_GONE) == 1
        async with CaptureServer(own_net.host(CAPTURE_HOST), PORT) as server:

            async def there() -> bool:
                return bool(await scene.gateway.metric("transfer_gateway_hep_up"))

            await eventually(there, "it is found again", timeout_s=60)
            await put_through(scene)
            await server.until(bool, "messages have come")


@pytest.mark.keeps("23.42")
async def test_no_credentials_are_sent_and_a_key_is_where_one_is_set(own_net: Net) -> None:
    key = "s3cret of Homer"
    async with CaptureServer(own_net.host(CAPTURE_HOST), PORT) as server, capturing(own_net) as scene:
        scene.gateway.files.main["hep"]["password_file"] = "homer.secret"
        (scene.gateway.directory / "homer.secret").write_text(f"{key}\n")
        scene.gateway.write()
        status, _ = await scene.gateway.http("POST", "/api/reload", token=TOKEN)
        assert status == 200
        first = await challenged(scene)
        name, value = credentials(first, "INVITE", scene.uri("+31612345681"))
        caller = await call(scene, (name, value))
        target = await scene.target()
        await target.answer(hz=TARGET_HZ)
        await caller.answered()
        await caller.hang_up()
        await target.wait_request("BYE")
        await server.until(lambda packets: any(b"BYE" in one.payload for one in packets), "all have come")
    everything = b"".join(one.payload for one in server.packets)
    assert b"response=[redacted]" in everything
    assert TRUNK_PASSWORD.encode() not in everything
    assert value.split('response="')[1].split('"')[0].encode() not in everything
    assert {one.key for one in server.packets} == {key}


@pytest.mark.keeps("23.42")
async def test_numbers_are_masked_where_the_history_masks_them(own_net: Net) -> None:
    async with CaptureServer(own_net.host(CAPTURE_HOST), PORT) as server, capturing(own_net) as scene:
        scene.gateway.files.main["history"] = {"callers": "masked"}
        scene.gateway.write()
        assert (await scene.gateway.http("POST", "/api/reload", token=TOKEN))[0] == 200
        _, assistant = await scene.bridged()
        await server.until(lambda packets: any(b"ACK" in one.payload for one in packets), "all have come")
        assert assistant.call_id.encode() in b"".join(one.payload for one in server.packets)
        assert b"201112222" not in b"".join(one.payload for one in server.packets)


# --- RTCP

PAIRS = {"plain": Pair(), "sealed": Pair({"srtp": "required"})}


@pytest.mark.keeps("23.43")
@pytest.mark.parametrize("name", ["plain", "sealed"])
async def test_reports_of_either_side_come_as_json_with_the_call_id_of_their_leg(own_net: Net, name: str) -> None:
    bed = Bed(own_net, PAIRS)
    bed.gateway.files.main["hep"] = {"address": f"{own_net.host(CAPTURE_HOST)}:{PORT}"}
    bed.gateway.write()
    async with (
        CaptureServer(own_net.host(CAPTURE_HOST), PORT) as server,
        bed.gateway,
        reporting(bed, name) as (caller, ours, assistant, theirs),
    ):
        theirs.send(Report(SENDER, assistant.media._ssrc, NTP, assistant.media._timestamp, 1000).packed)
        await ours.receive()
        heard = caller.media.received[-1]
        ours.send(Report(RECEIVER, caller.media._ssrc, about=heard.ssrc, highest=heard.sequence, fraction=12).packed)
        await theirs.receive()

        def reports(call_id: str, *, sent: bool) -> list[dict[str, Any]]:
            return [
                json.loads(one.payload)
                for one in server.packets
                if one.kind == RTCP and one.correlation == call_id and (one.source[0] == own_net.gateway) is sent
            ]

        def all_of_them(_: list[Packet]) -> bool:
            said = [one["type"] for one in reports(assistant.call_id, sent=False)]
            told = [one["type"] for one in reports(caller.call_id, sent=True)]
            return SENDER in said and SENDER in told and bool(reports(caller.call_id, sent=False))

        await server.until(all_of_them, "reports have come")
        [said] = reports(assistant.call_id, sent=False)
        assert (said["ssrc"], said["sender_information"]["packets"]) == (assistant.media._ssrc, 1000)
        assert (said["sender_information"]["ntp_timestamp_sec"], said["report_blocks"]) == (NTP[0], [])
        [back] = reports(caller.call_id, sent=False)
        [block] = back["report_blocks"]
        assert (back["type"], block["source_ssrc"], block["fraction_lost"]) == (RECEIVER, heard.ssrc, 12)
        places = {one.source for one in server.packets if one.kind == RTCP and one.correlation == caller.call_id}
        assert (caller.media.host, caller.media.port + 1) in places
