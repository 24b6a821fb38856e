# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose audio a call takes: its peer's, wherever that moves to by signalling, and nobody else's, however they send."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, Bed, Pair, Stage
from tests.sip.mid_call import both_hear
from tests.sip.talking import gateway_media, talking
from tests.support.peer import Peer
from tests.support.processes import eventually, free_port
from tests.support.rtp import Rtp
from tests.support.sip_message import sdp

if TYPE_CHECKING:
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PAIRS = {
    "sdp": Pair(),
    "sealed": Pair({"srtp": "required"}),
    "mixed": Pair({"media": "bridge"}),
    "sdp-host": Pair({"rtp_source": "sdp-host"}),
    "latched": Pair({"rtp_source": "latched"}),
}
DROPPED = "transfer_gateway_media_packets_dropped_total"
MALLORY, MALLORY_HZ = 99, 2500
NOWHERE = "10.99.0.5"
sides = pytest.mark.parametrize("side", ["caller", "assistant"])


@contextmanager
def attack(bed: Bed, call: Call, *, times: int = 1, host: str | None = None) -> Iterator[list[Rtp]]:
    """Somebody at a third address speaks to the gateway's end of a call, with 50 packets a second `times` over."""
    senders = [Rtp(host or bed.net.host(MALLORY), hz=MALLORY_HZ) for _ in range(times)]
    try:
        for sender in senders:
            sender.send_to(*gateway_media(call))
        yield senders
    finally:
        for sender in senders:
            sender.close()


async def keeps_its_audio(
    victim: Call, other: Call, mallory: list[Rtp], seconds: float = 2.0, *, silent: bool = False
) -> None:
    """For a while nobody is sent anything on account of the attack, or anything at all where both are silent."""
    since = time.monotonic()
    await asyncio.sleep(seconds)
    here = [packet for packet in victim.media.received if packet.at >= since]
    came, elsewhere = len(here), sum(packet.at >= since for packet in other.media.received)
    assert (came, elsewhere) == (0, 0) if silent else elsewhere >= 5
    # What went to somebody else is missing among the numbers; what is under way yet, on a busy machine, is not.
    numbered = (here[-1].sequence - here[0].sequence & 0xFFFF) + 1 if here else 0
    assert came >= 0.95 * numbered, (came, numbered)
    assert came >= 0.8 * elsewhere, (came, elsewhere)
    assert [len(sender.received) for sender in mallory] == [0] * len(mallory)
    for call in (victim, other):
        assert call.media.detect(MALLORY_HZ, seconds=seconds) == set()


@pytest.mark.keeps("16.41", "17.10")
@sides
@pytest.mark.parametrize("manner", ["talking", "silent"])
@pytest.mark.parametrize("times", [1, 10], ids=["50 a second", "500 a second"])
async def test_a_third_address_is_neither_heard_nor_answered(bed: Bed, side: str, manner: str, times: int) -> None:
    async with talking(bed, "sdp") as (_, caller, assistant):
        victim, other = (caller, assistant) if side == "caller" else (assistant, caller)
        if manner == "silent":
            for call in (caller, assistant):
                call.media.pause()
        before = await bed.gateway.metric(DROPPED, kind="rtp")
        with attack(bed, victim, times=times) as mallory:
            await keeps_its_audio(victim, other, mallory, silent=manner == "silent")
            if manner == "talking":
                await both_hear(caller, assistant)
        await counted(bed, "rtp", before + 50 * times)
        for call in (caller, assistant):
            call.media.send_to(*gateway_media(call))
        assert len(warnings(bed, victim)) == 1
        assert warnings(bed, other) == []


def warnings(bed: Bed, call: Call) -> list[str]:
    """The warnings in the log that this call is sent media from elsewhere."""
    lines = bed.gateway.log.splitlines()
    return [line for line in lines if "media-from-elsewhere" in line and call.call_id in line]


async def counted(bed: Bed, kind: str, at_least: float) -> None:
    """Wait until so many packets are told of as dropped."""

    async def are_told() -> bool:
        return await bed.gateway.metric(DROPPED, kind=kind) >= at_least

    await eventually(are_told, f"{at_least} dropped {kind} packets")


@pytest.mark.keeps("16.41")
async def test_another_port_of_the_peers_host_is_a_third_address_too(bed: Bed) -> None:
    async with talking(bed, "sdp") as (at, caller, assistant):
        with attack(bed, assistant, host=at.trunk.host, times=10) as mallory:
            await keeps_its_audio(assistant, caller, mallory)


@pytest.mark.keeps("16.42")
async def test_a_transfer_is_carried_out_under_attack(bed: Bed) -> None:
    async with Stage(bed, "sdp") as at:
        caller, assistant = await at.conversation()
        with attack(bed, caller, times=4) as mallory, attack(bed, assistant, times=4) as eve:
            anna = await at.transfer(caller, assistant)
            with attack(bed, anna, times=4) as trudy:
                await keeps_its_audio(caller, anna, [*mallory, *eve, *trudy])
                await keeps_its_audio(anna, caller, [*mallory, *eve, *trudy])
                await both_hear(caller, anna)
        await caller.hang_up()
        await anna.wait_request("BYE")


@pytest.mark.keeps("16.42")
@sides
async def test_early_media_is_the_peers_alone(bed: Bed, side: str) -> None:
    async with Stage(bed, "sdp") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        assistant.hz = ASSISTANT_HZ
        with attack(bed, assistant) as eve:  # before there is anybody to listen
            await assistant.ring(183, early_media=True)
            assert caller.invite
            await caller.invite.provisional(183)
            await caller.media.hears(ASSISTANT_HZ)
            with attack(bed, assistant if side == "assistant" else caller, times=4) as mallory:
                await asyncio.sleep(1.0)
                assert caller.media.detect(MALLORY_HZ, seconds=1.0) == set()
                assert assistant.media.detect(MALLORY_HZ, seconds=1.0) == set()
                await assistant.answer(hz=ASSISTANT_HZ)
                await caller.answered()
                await both_hear(caller, assistant)
                await keeps_its_audio(caller, assistant, [*eve, *mallory])
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.keeps("16.44")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@sides
async def test_a_peer_that_moves_by_signalling_is_followed(bed: Bed, side: str, method: str) -> None:
    async with talking(bed, "sdp") as (_, caller, assistant):
        mover, other = (caller, assistant) if side == "caller" else (assistant, caller)
        assert mover.hz
        former = mover.media.port
        mover.move()
        assert mover.media.port != former
        assert (await mover.reinvite(method=method)).code == 200
        await both_hear(caller, assistant)
        with attack(bed, mover, times=4) as mallory:
            await keeps_its_audio(mover, other, mallory)


@pytest.mark.keeps("16.42")
async def test_encrypted_audio_is_guarded_as_well(bed: Bed) -> None:
    async with talking(bed, "sealed") as (_, caller, assistant):
        before = await bed.gateway.metric(DROPPED, kind="rtp")
        with attack(bed, assistant, times=10) as mallory:
            await keeps_its_audio(assistant, caller, mallory)
        await counted(bed, "rtp", before + 500)


def reports(host: str, port: int = 0) -> socket.socket:
    """A socket for RTCP."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.bind((host, port))
    return made


EMPTY_REPORT = bytes.fromhex("80c90001 12345678")
"""A receiver's, about nobody (RFC 3550 §6.4.2)."""


@pytest.mark.keeps("16.43")
async def test_reports_are_the_peers_alone(bed: Bed) -> None:
    async with talking(bed, "mixed") as (at, _, assistant):
        loop = asyncio.get_running_loop()
        host, port = gateway_media(assistant)
        before = await bed.gateway.metric(DROPPED, kind="rtcp")
        with reports(at.trunk.host, assistant.media.port + 1) as own, reports(bed.net.host(MALLORY)) as mallory:
            for _ in range(20):
                await loop.sock_sendto(mallory, EMPTY_REPORT, (host, port + 1))
            await counted(bed, "rtcp", before + 20)
            report = await asyncio.wait_for(loop.sock_recv(own, 2000), 10)  # PJMEDIA sends one every five seconds
            assert report[1] in {200, 201}
            await loop.sock_sendto(own, EMPTY_REPORT, (host, port + 1))
            with pytest.raises(BlockingIOError):
                mallory.recv(2000)
        assert await bed.gateway.metric(DROPPED, kind="rtcp") == before + 20


@pytest.mark.keeps("16.43")
async def test_reports_go_where_the_description_has_them(bed: Bed) -> None:
    async with Stage(bed, "mixed") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        assert assistant.incoming
        loop = asyncio.get_running_loop()
        before = await bed.gateway.metric(DROPPED, kind="rtcp")
        with reports(at.trunk.host) as own, reports(at.trunk.host, assistant.media.port + 1) as above:
            named = b"a=rtcp:%d IN IP4 %s\r\n" % (own.getsockname()[1], at.trunk.host.encode())
            body = sdp(at.trunk.host, assistant.media.port, ("PCMA",)) + named  # RFC 3605 §2.1
            assistant.respond(assistant.incoming, 200, body=body)
            await caller.answered()
            assistant.media.send_to(*gateway_media(assistant))
            host, port = gateway_media(assistant)
            assert (await asyncio.wait_for(loop.sock_recv(own, 2000), 10))[1] in {200, 201}
            await loop.sock_sendto(own, EMPTY_REPORT, (host, port + 1))
            await loop.sock_sendto(above, EMPTY_REPORT, (host, port + 1))
            await counted(bed, "rtcp", before + 1)
            with pytest.raises(BlockingIOError):
                above.recv(2000)
        assert await bed.gateway.metric(DROPPED, kind="rtcp") == before + 1
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.keeps("16.42")
async def test_it_is_the_same_on_ipv6(own_net: Net) -> None:
    port, peer_port = free_port("127.0.0.1", socket.SOCK_DGRAM), free_port("::1", socket.SOCK_DGRAM)
    pairs = {"six": Pair({"addresses": ["::1"], "outbound": f"sip:[::1]:{peer_port}"})}
    made = Bed(own_net, pairs, sip={"bind_address6": "::1", "udp_port": port})
    async with made.gateway, Peer("::1", peer_port) as platform:
        at = Stage(made, "six", port=port)
        at.trunk = platform
        async with at.pbx:
            caller, assistant = await at.conversation()
            await both_hear(caller, assistant)
            with attack(made, assistant, host="::1", times=10) as mallory:
                await keeps_its_audio(assistant, caller, mallory)
            await counted(made, "rtp", 500)
            await caller.hang_up()
            await assistant.wait_request("BYE")


@pytest.mark.keeps("16.45")
async def test_who_sends_from_another_port_than_it_names_has_a_setting(bed: Bed) -> None:
    async with Stage(bed, "sdp-host") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        assert assistant.incoming
        assistant.respond(assistant.incoming, 200, body=sdp(at.trunk.host, assistant.media.port, ("PCMA",)))
        await caller.answered()
        await assistant.media.hears(CALLER_HZ)
        sender = Rtp(at.trunk.host, hz=ASSISTANT_HZ)
        with attack(bed, assistant, times=4) as mallory:
            sender.send_to(*gateway_media(assistant))
            await caller.media.hears(ASSISTANT_HZ)
            await keeps_its_audio(assistant, caller, mallory)
            await caller.media.hears(ASSISTANT_HZ)
        assert sender.received == []  # our audio goes where the description says
        with attack(bed, assistant, host=at.trunk.host, times=4) as others:
            await keeps_its_audio(assistant, caller, others)
        sender.close()
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.keeps("16.45")
@sides
async def test_a_peer_behind_nat_is_latched_on_to(bed: Bed, side: str) -> None:
    async with Stage(bed, "latched") as at:
        if side == "assistant":
            other = at.call()
            natted = await at.trunk.wait_call()
            natted.seen_at = NOWHERE
            with attack(bed, natted, times=2) as mallory:  # they are first
                await natted.answer(hz=ASSISTANT_HZ)
                await other.answered()
                await both_hear(natted, other)
                assert [sender.received for sender in mallory] == [[], []]
        else:
            at.trunk.seen_at = NOWHERE
            natted = at.trunk.invite("sip:+31612345681@gateway", at.gateway, hz=CALLER_HZ)
            other = await at.pbx.wait_call()
            await other.answer(hz=TARGET_HZ)
            await natted.answered()
            await both_hear(natted, other)
        with attack(bed, natted, times=4) as mallory, attack(bed, natted, host=at.trunk.host) as others:
            await keeps_its_audio(natted, other, [*mallory, *others])
        natted.move()  # its mapping has changed, and the next description says the same as before
        assert (await natted.reinvite(host=NOWHERE)).code == 200
        await both_hear(natted, other)
        await other.hang_up()
        await natted.wait_request("BYE")


@pytest.mark.keeps("16.45")
async def test_what_is_not_latched_on_to_is_not_heard(bed: Bed) -> None:
    async with Stage(bed, "mixed") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        assistant.seen_at = NOWHERE
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        before = len(caller.media.received)

        async def goes_on() -> bool:
            return len(caller.media.received) >= before + 50

        await eventually(goes_on, "a second of what the gateway sends")
        assert caller.media.detect(ASSISTANT_HZ, seconds=1.0) == set()
        assert assistant.media.received == []
        await caller.hang_up()
        await assistant.wait_request("BYE")
