# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP and TLS connections to two real Asterisks that are lost in mid call, and a transfer and a hang-up after that."""

from __future__ import annotations

import pytest

from tests.sip.bed import ASSISTANT_HZ, TARGET_HZ
from tests.sip.far_ends import End, Ends, FarBed, FarStage
from tests.sip.mid_call import WAYS, both_hear
from tests.support.relay import Relay

pytestmark = [pytest.mark.sip, pytest.mark.pbx]

TCP, TLS = End("tcp", relayed=True), End("tls", encrypted=True, relayed=True)
PAIRS = {"tcp": Ends(TCP, TCP), "tls": Ends(TLS, TLS)}


async def lose(at: FarStage, *relays: Relay, reset: bool = False) -> None:
    """Drop connections, and wait until the gateway has been awake since, so that it knows."""
    for relay in relays:
        relay.drop(reset=reset)
    await at.gateway.get("/api/status")


@pytest.mark.keeps("10.11")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", PAIRS)
async def test_a_call_outlives_its_connections(far_bed: FarBed, name: str, reset: bool, way: str) -> None:
    async with far_bed.relays(name) as (trunk, pbx), FarStage(far_bed, name) as at:
        person, assistant = await at.conversation(way)
        await lose(at, trunk, pbx, reset=reset)
        await both_hear(person, assistant)
        await at.refer(assistant)
        target = await at.people.wait_call()
        await lose(at, trunk, reset=reset)  # while it rings: the outcome reaches the platform over another
        await target.answer(hz=TARGET_HZ)
        await both_hear(person, target)
        await at.platform.released(name)
        assert (await at.outcome())["outcome"] == "completed"
        await lose(at, pbx, reset=reset)
        await at.hang_up(person, target)


@pytest.mark.keeps("10.12")
@pytest.mark.parametrize("name", PAIRS)
async def test_a_target_that_is_lost_with_its_connection_is_a_failure(far_bed: FarBed, name: str) -> None:
    """What was asked over a connection that is gone is answered over none: the caller is not left alone with that."""
    async with far_bed.relays(name) as (_, pbx), FarStage(far_bed, name) as at:
        person, assistant = await at.conversation()
        await at.refer(assistant)
        target = await at.people.wait_call()
        await lose(at, pbx)
        outcome = await at.outcome()
        assert (outcome["outcome"], outcome["reason"], outcome["returned_to_transferor"]) == (
            "failed",
            "pbx-error",
            True,
        )
        again = await at.assistant.wait_call()
        await again.answer(hz=ASSISTANT_HZ)
        await both_hear(person, again)
        await target.answer(hz=TARGET_HZ)
        await target.wait_request("BYE")
        await at.hang_up(person, again)


@pytest.mark.keeps("10.13")
@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_rings_ends_with_the_connection_to_whom_it_rings(far_bed: FarBed, way: str) -> None:
    async with far_bed.relays("tcp") as (trunk, pbx), FarStage(far_bed, "tcp") as at:
        calling = at.call(way)
        called = await (at.assistant if way == WAYS[0] else at.people).wait_call()
        await called.ring()
        assert calling.invite
        await calling.invite.provisional(180)
        await lose(at, trunk if way == WAYS[0] else pbx)
        assert (await calling.final()).code >= 500
        await called.wait_request("CANCEL")
