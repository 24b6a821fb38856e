# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fuzzer found, played again against a gateway under the sanitizers."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.reports import of_sanitizers
from tests.fuzz.sanitized import environment
from tests.sip.scene import LINES, PBX_PORT, Scene, settings
from tests.sip.test_hand_down import ANNA, staged
from tests.support import company
from tests.support.gateway import Gateway
from tests.support.names import NameServer
from tests.support.peer import Peer
from tests.support.processes import eventually
from tests.support.rtp import HEADER
from tests.support.wire import Streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.configuration import Configuration
    from tests.support.peer import Entry
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.alone, pytest.mark.timeout(1800)]  # the build counts too

START_S = 120.0
SIP_PORT, DNS_PORT = 5060, 5353


@asynccontextmanager
async def sanitized(files: Configuration) -> AsyncIterator[Gateway]:
    """A gateway of which no sanitizer may have anything to say in the end."""
    gateway = Gateway(files, env=environment())
    await gateway.start(START_S)
    try:
        yield gateway
        await gateway.child.stop(60)
        assert of_sanitizers(gateway.log) == []
    finally:
        await gateway.__aexit__(None, None, None)


@pytest.fixture
async def scene(own_net: Net) -> AsyncIterator[Scene]:
    files = settings(own_net, {"main": LINES["main"]})
    async with sanitized(files) as gateway, Scene(own_net, gateway) as made:
        yield made


@pytest.mark.keeps("16.121")
async def test_an_answer_to_our_re_invite_follows_the_bye(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assistant.answers["INVITE"] = None
    await caller.reinvite(direction="sendonly")
    offer = await assistant.wait_request("INVITE")
    assert (await assistant.hang_up()).code == 200
    assistant.respond(offer, 200, body=assistant.answer_to(offer.body))
    await caller.wait_request("BYE")


@pytest.mark.keeps("16.122")
async def test_time_stamps_that_jump_by_half_their_range(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await assistant.media.hears(700)
    where = caller.media.remote
    assert where
    caller.media.pause()
    for at in range(20):
        stamp = (0x7FFFFFFF, 0x80000001, 0, 0xFFFFFFFF)[at % 4]
        number = (caller.media._sequence + at) & 0xFFFF
        caller.media.transmit(HEADER.pack(0x80, 8, number, stamp, caller.media._ssrc) + bytes(160), where)
    await caller.hang_up()
    await assistant.wait_request("BYE")


@pytest.mark.keeps("16.214")
async def test_a_refer_that_is_never_answered_outlives_its_dialog(own_net: Net) -> None:
    """It is sent again for 32 s (RFC 3261 §17.1.2.2), the dialog of a BYE that is answered goes after 5 (Timer K)."""
    async with staged(own_net, sanitized) as stage:
        leg, assistant = await stage.talk()

        async def transactions() -> list[int]:
            """Of the dialog with the caller; none: it is gone."""
            told = await stage.gateway.get(f"/api/dialogs?call_id={leg.call_id}")
            return [one["transactions"] for one in told["dialogs"]]

        async def has_none() -> bool:
            return await transactions() == [0]

        async def is_gone() -> bool:
            return not await transactions()

        def sent_again() -> Entry | None:
            again = (one for one in stage.pbx.trace if one.repeated and one.message.method == "REFER")
            return next((one for one in again if one.at > gone_at), None)

        await eventually(has_none, "the INVITE's transaction is over (RFC 6026, Timer L)", timeout_s=40, every_s=0.5)
        leg.answers["REFER"] = None
        await assistant.refer(ANNA)
        await leg.wait_request("REFER")
        (await stage.pbx.wait_call()).reject(486)
        await stage.outcome()
        await assistant.hang_up()
        await leg.wait_request("BYE")
        await eventually(is_gone, "the dialog is gone", timeout_s=20, every_s=0.5)
        gone_at = time.monotonic()
        await stage.pbx.until(sent_again, "the REFER, sent again", timeout_s=10)


@pytest.mark.keeps("16.215")
async def test_an_ack_that_waits_for_a_name_server_outlives_its_dialog(own_net: Net) -> None:
    """Over TCP the dialog goes with the BYE at once; the Via of the ACK had been left in it."""
    names = NameServer(own_net.host(53), DNS_PORT, {("slow.example", "A"): [own_net.trunk]})
    names.silent.add("slow.example")
    files = company.settings(own_net, pbx_uri=f"sip:{own_net.pbx}:{PBX_PORT}")
    files.sip |= {"tcp_port": SIP_PORT, "name_servers": [f"{names.host}:{names.port}"]}
    files.profiles["hms"]["transport"] = "tcp"

    async def is_asked() -> bool:
        return bool(names.asked)

    async with (
        names,
        sanitized(files) as gateway,
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.trunk, SIP_PORT, wire=Streams()) as platform,
    ):
        platform.elsewhere = f"sip:assistant@slow.example:{SIP_PORT};transport=tcp"
        caller = pbx.invite(f"sip:{company.NUMBER}@{gateway.sip[0]}", gateway.sip)
        assistant = await platform.wait_call()
        assert assistant.incoming
        assistant.respond(assistant.incoming, 200, body=assistant.answer_to(assistant.incoming.body))
        await eventually(is_asked, "the gateway asks where the ACK goes")
        assert (await assistant.hang_up()).code == 200
        await caller.wait_request("BYE")
        assert not (await gateway.get(f"/api/dialogs?call_id={assistant.call_id}"))["dialogs"]
        names.silent.clear()
        ack = await assistant.wait_request("ACK")
        assert ack["Via"].startswith(f"SIP/2.0/TCP {gateway.sip[0]}:")
