# SPDX-License-Identifier: GPL-2.0-or-later
"""The runbook's steps for callers who reach nobody, calls that end by themselves, and strangers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.deploy.runbook.desk import Desk
from tests.e2e.scene import scene
from tests.sip.scene import LINES, Scene, settings
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway
from tests.support.platform_client import asking
from tests.support.processes import eventually
from tests.support.rtp import Rtp
from tests.support.sip_message import media_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.asterisk import Asterisk
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.keeps("16.207")]

LINE = {"main-line": LINES["main"]}
BEGAN_AND_ENDED = r"""journalctl -u transfer-gateway | grep -E '( |")(started|stopped)\b'"""
SALES, SILENT, MISSING = "+31612345678", "+31612345683", "+31612345685"


@pytest.mark.pbx
async def test_transfers_fail(pbx: Asterisk, tmp_path: Path) -> None:
    async with scene(pbx) as play:
        await play.gateway.queue("sales")
        caller, assistant = await play.talk(past_pbx=True)
        found = {}
        for count, (number, reason) in enumerate({MISSING: "unreachable", SILENT: "no-answer"}.items(), 1):
            assert await play.refer(assistant, number) == 202
            transfer = (await play.gateway.ended(count))[0]
            assert transfer["reason"] == reason
            found[reason] = transfer["transfer"]
        seen = await Desk(play.gateway, tmp_path).carry_out(
            "TransferGatewayTransfersFailing", transfer=found["unreachable"]
        )
        newest = seen.api("/api/transfers")["transfers"]
        assert {one["reason"]: one["transfer"] for one in newest} == found
        assert seen.api("/api/transfers/ID")["attempts"][0]["sip_code"] == 404
        lines = seen["transfer-gateway probe"].splitlines()
        assert any("missing" in line for line in lines)
        seen.everything()
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.pbx
async def test_nobody_is_logged_in_to_a_queue(pbx: Asterisk, tmp_path: Path) -> None:
    async with scene(pbx) as play:
        await play.gateway.queue("sales", logged_in=0)
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, SALES) == 480
        assert (await play.gateway.ended())[0]["reason"] == "queue-unstaffed"
        seen = await Desk(play.gateway, tmp_path).carry_out("TransferGatewayQueueUnstaffed")
        [sales] = [queue for queue in seen.api("/api/queues")["queues"] if queue["queue"] == "sales"]
        assert (sales["known"], sales["logged_in"]) == (True, 0)
        assert "queue-unstaffed" in seen["transfer-gateway explain +31612345678 --number main-line"]
        seen.everything()
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.pbx
async def test_a_person_is_not_reached(pbx: Asterisk, tmp_path: Path) -> None:
    async with scene(pbx) as play:
        await play.gateway.queue("sales")
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, SILENT) == 202
        await play.gateway.ended()
        seen = await Desk(play.gateway, tmp_path).carry_out("TransferGatewayPersonNotReached")
        [transfer] = seen.api("/api/transfers")["transfers"]
        assert transfer["ringing_at"] is not None
        assert transfer["answered_at"] is transfer["human_at"] is None
        assert seen.api("/api/queues")["queues"]
        assert "silent" in seen["transfer-gateway probe"]
        seen.everything()
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_a_transfer_is_interrupted(own_net: Net, tmp_path: Path, end: str) -> None:
    files = settings(own_net, LINE)
    files.main["gateway"]["drain_timeout_s"] = 0.2
    async with Gateway(files) as gateway, Scene(own_net, gateway) as play:
        _, assistant = await play.bridged()
        await play.referred(assistant)
        # Who asks has what came before written to the disk at once; a kill may lose what the last 20 ms brought.
        assert len(await gateway.transfers()) == 1
        await (gateway.stop() if end == "stopped" else gateway.kill())
        await gateway.start()
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayTransfersInterrupted")
        assert bool(seen.log("drain-timeout")) == (end == "stopped")
        began_and_ended = re.findall(r"app: (\w+)", seen[BEGAN_AND_ENDED])
        assert began_and_ended == (["started", "stopped", "started"] if end == "stopped" else ["started", "started"])
        [transfer] = seen.api("/api/transfers")["transfers"]
        assert transfer["outcome"] == "interrupted"
        seen.everything()


async def test_calls_are_lost(own_net: Net, tmp_path: Path) -> None:
    files = settings(own_net, LINE)
    files.sip["rtp_timeout_s"] = 1
    async with Gateway(files) as gateway, Scene(own_net, gateway) as play:
        caller, assistant = await play.bridged()
        await assistant.media.hears(700)
        caller.media.pause()
        await assistant.wait_request("BYE")
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayCallsLost")
        assert "pbx" in seen.log("rtp-timeout")
        assert seen.log("peer-gone") == ""
        seen.everything()


def gateway_media(call: Call) -> tuple[str, int]:
    """Where the gateway takes an incoming call's audio."""
    assert call.incoming
    described = media_of(call.incoming.body)
    assert described
    return described[0], described[1]


async def test_media_comes_from_elsewhere(own_net: Net, tmp_path: Path) -> None:
    elsewhere = own_net.host(99)
    async with Gateway(settings(own_net, LINE)) as gateway, Scene(own_net, gateway) as play:
        _, assistant = await play.bridged()
        mallory = Rtp(elsewhere, hz=2500)
        mallory.send_to(*gateway_media(assistant))

        async def dropped() -> bool:
            return await gateway.metric("transfer_gateway_media_packets_dropped_total", kind="rtp") >= 50

        await eventually(dropped, "a second of audio is dropped")
        mallory.close()
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayMediaFromElsewhere")
        assert f"source={elsewhere}" in seen.log("media-from-elsewhere")
        seen.everything()


async def test_requests_are_rejected(own_net: Net, tmp_path: Path) -> None:
    async with Gateway(settings(own_net, LINE)) as gateway, Scene(own_net, gateway) as play:
        stranger = await play.stranger()
        for _ in range(3):
            call = stranger.invite(play.uri("+31201234567"), play.remote)
            assert (await call.final()).code == 403
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayRequestsRejected")
        [told] = [line for line in seen["transfer-gateway status"].splitlines() if own_net.host(99) in line]
        assert told.startswith("turned away")
        assert told.endswith("in no profile's addresses")
        assert own_net.host(99) in seen.log("request-rejected")
        assert len(seen.log("request-rejected").splitlines()) == 1
        assert seen.log("requests-rejected") == ""
        seen.everything()


async def test_a_platform_is_refused(own_net: Net, tmp_path: Path) -> None:
    files = settings(own_net, LINE)
    client = asking(files, "main-line")
    client.number = LINES["main"].number
    async with Gateway(files) as gateway, client as platform:
        for _ in range(3):
            assert (await platform.post(platform.event("tool-calls"), secret="the platform's new secret")).status == 401
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayPlatformRefused")
        assert "code=signature-wrong" in seen.log("platform-request-refused")
        assert seen.log("platform-handler-failed") == ""
        assert "no mistakes" in seen["transfer-gateway check"]
        files.secrets["sip_profiles/platform.secret"] = "the platform's new secret"
        gateway.write()
        assert (await gateway.http("POST", "/api/reload", token=TOKEN))[0] == 200
        platform.secret = "the platform's new secret"
        assert (await platform.call_tools(("list_destinations", {})))[0]["destinations"]
        seen.everything()
