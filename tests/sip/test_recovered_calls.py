# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that are up outlive a gateway that is killed: their peers get a re-INVITE each, and hear one another again."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from gateway.engine.keeping import ATTEMPTS
from tests.sip.bed import ANNA, Bed, Pair
from tests.sip.recovering import (
    are_written_down,
    call_ended,
    hear_since,
    killed,
    put_through,
    reinvites,
    rewrite,
    session_in,
    sip_on_every_wire,
    stage,
    talk_on,
    told,
    written_down,
)
from tests.sip.wires import SRTP, TCP
from tests.support.end import both_hear
from tests.support.processes import Child
from tests.support.sip_message import direction_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.certificates import Authority
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session")]

PAIRS = {"plain": Pair(), "tcp": Pair(TCP, TCP), "srtp": Pair(SRTP, SRTP)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net, authority: Authority) -> AsyncIterator[Bed]:
    """A gateway whose calls outlive it."""
    made = Bed(own_net, PAIRS, sip=sip_on_every_wire(authority, own_net.gateway))
    async with made.gateway:
        yield made


async def over(one: Call, other: Call) -> None:
    """One of two who talk hangs up, and the other one is told."""
    assert (await one.hang_up()).code == 200
    await other.wait_request("BYE", 30)


@pytest.mark.keeps("22.11")
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("who", ["caller", "assistant"])
async def test_who_talked_with_the_assistant_talks_on(bed: Bed, authority: Authority, name: str, who: str) -> None:
    async with stage(bed, name, authority) as at:
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        (before,) = (await bed.gateway.get("/api/calls"))["calls"]
        await talk_on(bed.gateway, caller, assistant)
        (after,) = (await bed.gateway.get("/api/calls"))["calls"]
        assert after["state"] == "up"
        for what in ("call", "caller", "number", "started_at", "connected_at", "call_ids"):
            assert after[what] == before[what]
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (1, 0)
        await over(*((caller, assistant) if who == "caller" else (assistant, caller)))
        await are_written_down(bed.gateway, 0)
        assert not any(call.media.unopened for call in (caller, assistant))


@pytest.mark.keeps("22.12")
async def test_the_assistant_transfers_afterwards(bed: Bed, authority: Authority) -> None:
    """... and who was put through to somebody talks on too, and has one end."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        await killed(bed.gateway)
        await both_hear(caller, assistant)
        anna = await at.transfer(caller, assistant)
        await assistant.wait_request("BYE", 30)
        transfer = (await bed.gateway.ended())[0]
        assert transfer["outcome"] == "completed"
        assert transfer["caller"] == "+31201112222"
        (call,) = (await bed.gateway.get("/api/calls"))["calls"]
        await talk_on(bed.gateway, caller, anna)
        await over(caller, anna)
        ended = await call_ended(bed.gateway, call["call"])
        assert (ended["reason"], ended["hung_up_by"], ended["transfer"]) == ("hung-up", "pbx", transfer["transfer"])
        assert ended["connected_at"] == call["connected_at"]
        assert [one["outcome"] for one in await bed.gateway.transfers() if one["transfer"] == transfer["transfer"]] == [
            "completed"
        ]


@pytest.mark.keeps("22.13")
async def test_two_kills_in_a_row_and_one_in_the_middle(bed: Bed, authority: Authority) -> None:
    """Numbers of requests and descriptions only rise, whatever of them was used in vain."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        await killed(bed.gateway)
        await both_hear(caller, assistant)
        assistant.answers["INVITE"] = None  # nobody answers the second time: the gateway is killed meanwhile
        await killed(bed.gateway)
        await at.trunk.until(lambda: len(reinvites(assistant)) >= 2 or None, "a second re-INVITE", 30)
        assistant.answers["INVITE"] = 200
        await killed(bed.gateway)
        await both_hear(caller, assistant)
        for call in (caller, assistant):
            numbers = [one.cseq[0] for one in reinvites(call)]
            versions = [session_in(one.body) for one in reinvites(call)]
            assert len(numbers) >= 3
            assert numbers == sorted(set(numbers))
            assert len({session_id for session_id, _ in versions}) == 1
            assert [version for _, version in versions] == sorted({version for _, version in versions})
        await over(assistant, caller)


@pytest.mark.keeps("22.57")
async def test_what_three_processes_have_died_of_is_told_as_over_by_the_fourth(bed: Bed, authority: Authority) -> None:
    """A call that ends whoever takes it up would else keep the gateway from ever starting again."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        assistant.answers["INVITE"] = None  # each of them is killed while it waits for that
        for _ in range(4):
            await killed(bed.gateway)
        await are_written_down(bed.gateway, 0)
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (0, 1)
        assert "3 processes in a row have ended while they took it up" in bed.gateway.log
        assert (await bed.gateway.get("/api/calls"))["calls"] == []
        assert len({one.cseq for one in reinvites(assistant)}) == 3
        for one in (caller, assistant):
            assert (await one.hang_up()).code == 481


@pytest.mark.keeps("20.121")
async def test_a_start_that_cannot_listen_leaves_calls_to_the_next(bed: Bed, authority: Authority) -> None:
    """However often: none of them counts as one that has taken calls up."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        await are_written_down(bed.gateway, 1)
        await bed.gateway.kill()
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", bed.gateway.files.main["http"]["port"]))
            holder.listen()
            for number in range(ATTEMPTS + 1):
                command = [sys.executable, "-m", "gateway.cli", "run", "--config", str(bed.gateway.directory)]
                child = Child("gateway", command, bed.gateway.directory / f"failed-{number}.log")
                assert await child.wait(60) == 1
                assert "cannot listen on http" in child.log.read_text()
        assert not any(one.method in ("BYE", "INVITE") for call in (caller, assistant) for one in call.requests)
        begun = time.monotonic()
        await bed.gateway.start()
        await hear_since(begun, caller, assistant)
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (1, 0)
        await over(caller, assistant)


@pytest.mark.keeps("22.14")
async def test_hold_and_session_timer_go_on(bed: Bed, authority: Authority) -> None:
    """Who has put the other side on hold has it on hold still, and takes it back; a session is agreed on anew."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        await caller.reinvite(direction="sendonly")
        await assistant.told("sendonly")
        count = len(reinvites(assistant))
        await killed(bed.gateway)
        held = await at.trunk.until(
            lambda: next((one for one in reinvites(assistant)[count:] if direction_of(one.body) == "sendonly"), None),
            "hold, told again", 30,
        )  # fmt: skip
        assert held["Session-Expires"]
        await caller.reinvite(direction="sendrecv")
        await both_hear(caller, assistant)
        await over(caller, assistant)


@pytest.mark.keeps("22.15")
@pytest.mark.parametrize("code", [481, 488, None])
async def test_a_side_that_does_not_have_the_call_any_more(bed: Bed, authority: Authority, code: int | None) -> None:
    """The other one is hung up, and that is told; whoever has the dialog still is told that it is over."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        anna, call = await put_through(at, caller, assistant)
        anna.answers["INVITE"] = code
        await killed(bed.gateway)
        await caller.wait_request("BYE", 30)
        if code != 481:
            await anna.wait_request("BYE", 30)
        ended = await call_ended(bed.gateway, call["call"])
        assert (ended["reason"], ended["hung_up_by"]) == ("peer-gone", "gateway")
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (0, 1)
        await are_written_down(bed.gateway, 0)


@pytest.mark.keeps("22.67")
@pytest.mark.parametrize("who", ["caller", "assistant"])
async def test_a_side_that_cannot_even_be_asked(bed: Bed, authority: Authority, who: str) -> None:
    """The other one is asked and hung up, and does not stay alone with the gateway."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        gone, left = (caller, assistant) if who == "caller" else (assistant, caller)

        def without_target(row: dict[str, Any]) -> None:
            for leg in row["legs"]:
                if leg["dialog"]["call_id"] == gone.call_id:
                    leg["dialog"]["target"] = "sip:"

        await are_written_down(bed.gateway, 1)
        await bed.gateway.kill()
        rewrite(bed.gateway, without_target)
        await bed.gateway.start()
        await left.wait_request("BYE", 30)
        await bed.gateway.idle()
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (0, 1)
        await are_written_down(bed.gateway, 0)
        assert (await gone.hang_up()).code == 481


@pytest.mark.keeps("22.16")
async def test_a_bye_that_came_while_nobody_was_there(bed: Bed, authority: Authority) -> None:
    """It is sent again, and finds its dialog, which waits for its answer still: both sides are told of the end."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        anna, call = await put_through(at, caller, assistant)
        caller.answers["INVITE"] = None  # who has hung up
        await are_written_down(bed.gateway, 1)
        await bed.gateway.kill()
        ending = asyncio.create_task(caller.begin("BYE").final(30))
        await bed.gateway.start()
        assert (await ending).code == 200
        await anna.wait_request("BYE", 30)
        ended = await call_ended(bed.gateway, call["call"])
        assert (ended["reason"], ended["hung_up_by"]) == ("hung-up", "pbx")


@pytest.mark.keeps("22.17")
async def test_what_is_not_taken_up(bed: Bed, authority: Authority) -> None:
    """A transfer under way is told of as interrupted, and its call is not taken up; nor is one that rings."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        await are_written_down(bed.gateway, 1)
        assert (await assistant.refer(ANNA)).code == 202
        await at.pbx.wait_call()
        ringing = at.call()
        await at.trunk.until(lambda: len(at.trunk.calls) >= 2 or None, "a second call", 30)
        await killed(bed.gateway, 0)
        assert (await bed.gateway.ended())[0]["outcome"] == "interrupted"
        assert (await bed.gateway.get("/api/calls"))["calls"] == []
        assert not reinvites(caller)
        assert not reinvites(assistant)
        assert (await caller.hang_up()).code == 481
        ringing.media.pause()


@pytest.mark.keeps("22.17")
async def test_off_by_default(bed: Bed, authority: Authority) -> None:
    """What was written down before it was taken out of the configuration is told of as over, and taken up no more."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        anna, call = await put_through(at, caller, assistant)
        await are_written_down(bed.gateway, 1)
        await bed.gateway.kill()
        del bed.gateway.files.sip["recover_calls"]
        bed.gateway.write()
        try:
            await bed.gateway.start()
            ended = await call_ended(bed.gateway, call["call"])
            assert (ended["reason"], ended["hung_up_by"]) == ("gateway-stopped", "gateway")
            await are_written_down(bed.gateway, 0)
            assert not reinvites(caller)
            assert not reinvites(anna)
            another, _ = await at.conversation()
            assert written_down(bed.gateway) == 0
            await another.hang_up()
        finally:
            bed.gateway.files.sip["recover_calls"] = True
            bed.gateway.write()
            await bed.gateway.stop()
            await bed.gateway.start()
