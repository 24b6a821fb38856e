# SPDX-License-Identifier: GPL-2.0-or-later
"""A test call: short, real, recognisable, and nobody's transfer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import tones
from tests.support.company import NUMBER, settings
from tests.support.configuration import SIP_PORT, TOKEN
from tests.support.gateway import Gateway
from tests.support.peer import Peer

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

ANNOUNCEMENT_HZ = 800


@asynccontextmanager
async def standing(net: Net, *, announcement: bool = False) -> AsyncIterator[tuple[Gateway, Peer]]:
    """A gateway, and a scripted PBX behind it."""
    own: dict[str, Any] = {"gateway": {"probe_announcement": "test.wav"}} if announcement else {}
    files = settings(net, pbx_uri=f"sip:{net.pbx}:{SIP_PORT}", **own)
    files.destination("anna")["ring_timeout_s"] = 1
    gateway = Gateway(files)
    tones.write_wav(gateway.directory / "test.wav", tones.tone(ANNOUNCEMENT_HZ, 1.5))
    async with gateway, Peer(net.pbx, SIP_PORT) as pbx:
        yield gateway, pbx
        await gateway.idle()
        assert await gateway.transfers() == []
        assert await gateway.metric("transfer_gateway_transfers_total") == 0


def called(gateway: Gateway, name: str = "sales") -> asyncio.Task[tuple[int, Any]]:
    """Have a destination called; the answer's status and JSON."""

    async def ask() -> tuple[int, Any]:
        body = {"number": "main-line", "destination": name}
        status, text = await gateway.http("POST", "/api/probe", token=TOKEN, body=body)
        return status, json.loads(text)

    return asyncio.create_task(ask())


@pytest.mark.keeps("14.2")
async def test_who_answers_knows_a_test_when_he_gets_one(own_net: Net) -> None:
    async with standing(own_net, announcement=True) as (gateway, pbx):
        answer = called(gateway)
        call = await pbx.wait_call()
        assert call.incoming is not None
        assert call.incoming.uri == f"sip:6500@{own_net.pbx}:{SIP_PORT}"
        assert call.incoming["X-Transfer-Probe"] == "sales"
        assert "Transfer test" in (call.incoming["From"] or "")
        assert NUMBER in (call.incoming["From"] or "")
        await call.ring()
        await call.answer(hz=1200)
        await call.media.hears(ANNOUNCEMENT_HZ)
        await call.wait_request("BYE")
        status, result = await answer
        assert (status, result["reached"], result["code"], result["text"]) == (200, True, 200, "answered")
        assert result["seconds"] < 2


@pytest.mark.keeps("14.2")
async def test_a_call_that_is_refused(own_net: Net) -> None:
    async with standing(own_net) as (gateway, pbx):
        answer = called(gateway)
        (await pbx.wait_call()).reject(486)
        status, result = await answer
        assert (status, result["reached"], result["code"], result["text"]) == (200, False, 486, "busy (486)")


@pytest.mark.keeps("14.2")
async def test_a_call_that_nobody_answers_is_given_up_after_the_ring_time(own_net: Net) -> None:
    async with standing(own_net) as (gateway, pbx):
        answer = called(gateway, "anna")
        call = await pbx.wait_call()
        await call.ring()
        await call.wait_request("CANCEL")
        status, result = await answer
        assert (status, result["reached"], result["code"]) == (200, False, None)
        assert result["text"] == "rang, and nobody answered"


@pytest.mark.keeps("14.2")
async def test_what_there_is_not_is_not_called(own_net: Net) -> None:
    async with standing(own_net) as (gateway, pbx):
        status, result = await called(gateway, "nobody")
        assert (status, result["error"]["code"]) == (404, "unknown-destination")
        status, _ = await gateway.http("POST", "/api/probe", body={"number": "main-line", "destination": "sales"})
        assert status == 401
        assert pbx.calls == []
