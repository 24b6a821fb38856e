# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers behind NAT: their Contact names an address that nobody but they can reach; RFC 3581 helps responses alone."""

from __future__ import annotations

import pytest

from tests.sip.bed import ANNA, PORT, TARGET_HZ, Bed, Pair, Stage
from tests.support.wire import Streams

pytestmark = pytest.mark.sip

INSIDE = "10.99.0.5"
REWRITTEN = {"rewrite_contact": True}
PAIRS = {"plain": Pair(), "rewritten": Pair(REWRITTEN, REWRITTEN), "tcp": Pair({**REWRITTEN, "transport": "tcp"})}
SIP = {"tcp_port": PORT}


def behind_nat(at: Stage) -> None:
    """Let both peers say the addresses that they have at home."""
    transport = "" if at.trunk.wire.name == "UDP" else ";transport=tcp"
    at.trunk.elsewhere = f"sip:{at.trunk.user}@{INSIDE}:5999{transport}"
    at.pbx.elsewhere = f"sip:{at.pbx.user}@{INSIDE}:5998;maddr={INSIDE}"


@pytest.mark.keeps("16.82")
@pytest.mark.parametrize("name", ["rewritten", "tcp"])
async def test_requests_go_to_where_the_peers_come_from(bed: Bed, name: str) -> None:
    async with Stage(bed, name, trunk=Streams() if name == "tcp" else None) as at:
        if name == "rewritten":
            behind_nat(at)
        else:
            at.trunk.elsewhere = f"sip:{at.trunk.user}@{INSIDE}:5999;transport=tcp"
        caller, assistant = await at.conversation()
        assert (await assistant.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        anna.reject(486)
        assert [notify.sipfrag for notify in await assistant.notifies()] == [100, 486]
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.keeps("16.82")
async def test_a_target_behind_nat_is_reached_too(bed: Bed) -> None:
    async with Stage(bed, "rewritten") as at:
        behind_nat(at)
        caller, assistant = await at.conversation()
        assert (await assistant.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        await anna.answer(hz=TARGET_HZ)
        assert (await assistant.notifies())[-1].sipfrag == 200
        await assistant.wait_request("BYE")
        await caller.media.hears(TARGET_HZ)
        await caller.hang_up()
        await anna.wait_request("BYE")


@pytest.mark.keeps("16.82")
async def test_without_the_key_the_log_tells_once(bed: Bed) -> None:
    async with Stage(bed, "plain") as at:
        for contact in (INSIDE, INSIDE, at.pbx.host):
            at.pbx.elsewhere = f"sip:pbx@{contact}:{PORT}"
            before = bed.gateway.log.count("contact-not-the-source")
            caller, assistant = await at.conversation()
            await caller.hang_up()
            await assistant.wait_request("BYE")
            told = bed.gateway.log.count("contact-not-the-source")
            assert told - before <= 1
        assert told == 1
        assert INSIDE in bed.gateway.log


@pytest.mark.keeps("16.82")
async def test_the_contact_behind_a_proxy_is_left_alone(bed: Bed) -> None:
    async with Stage(bed, "rewritten") as at:
        home = at.pbx.contact
        at.pbx.elsewhere = f"sip:pbx@{INSIDE}:5998"
        caller = at.call(headers=[("Record-Route", f"<{home};lr>")])
        assistant = await at.trunk.wait_call()
        await assistant.answer()
        await caller.answered()
        await assistant.hang_up()
        bye = await caller.wait_request("BYE")
        assert bye.uri.startswith(f"sip:pbx@{INSIDE}:5998")
