# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers over TCP and TLS that lose their connections on the way, or have one side encrypted and the other not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import TARGET_HZ, WAYS, both_hear, conversation, told
from tests.sip.scene import codes
from tests.sip.wires import ONE_SIDED, WIRES, OnWire
from tests.support.wire import Streams

if TYPE_CHECKING:
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

ways = pytest.mark.parametrize("way", WAYS)
wires = pytest.mark.parametrize("wire", WIRES)
TIMES = 3
"""How often a BYE is sent at most."""


def sealed(call: Call) -> bool:
    """Whether the newest of what a side heard was encrypted on its way."""
    packet = call.media.received[-1]
    return packet.wire != packet.payload


@pytest.mark.keeps("8.13")
@ways
@pytest.mark.parametrize("wire", ONE_SIDED)
async def test_one_side_is_encrypted_and_the_other_not(wired: OnWire, wire: str, way: str) -> None:
    async with wired(wire) as scene:
        caller, called = await conversation(scene, way)
        await both_hear(caller, called)
        assert sealed(caller) is not sealed(called)
        target = await scene.referred(called)
        await target.answer(hz=TARGET_HZ)
        assert codes(await called.notifies())[-1] == 200
        await both_hear(caller, target)
        assert sealed(target) is (target.peer.encryption == "required")
        # Who was called from the PBX is on the trunk, as the caller of the other way is; targets are at the PBX.
        assert (sealed(caller) is not sealed(target)) is (way == WAYS[1])


@pytest.mark.keeps("8.3")
@ways
@wires
async def test_connections_are_lost_in_mid_call_and_in_mid_transfer(wired: OnWire, wire: str, way: str) -> None:
    async with wired(wire) as scene:
        caller, called = await conversation(scene, way)
        for peer in scene.peers:
            await scene.drop(peer)
        await both_hear(caller, called)
        await caller.reinvite(direction="sendonly")
        await told(called, "sendonly")
        await caller.reinvite()
        await told(called, "sendrecv", 2)
        target = await scene.referred(called)
        await target.ring()
        assert [await called.wait_notify(), await called.wait_notify()][-1].sipfrag == 180
        await scene.drop(await scene.platform())  # the transferor's, or the caller's
        await target.answer(hz=TARGET_HZ)
        assert codes(await called.notifies())[-1] == 200
        await both_hear(caller, target)
        await called.wait_request("BYE")


@pytest.mark.keeps("8.3")
@wires
async def test_a_target_that_is_lost_while_it_rings_is_cancelled_and_the_caller_given_back(
    wired: OnWire, wire: str
) -> None:
    async with wired(wire) as scene:
        caller, called = await conversation(scene, WAYS[0])
        target = await scene.referred(called)
        await target.ring()
        await scene.drop(scene.pbx)
        assert codes(await called.notifies())[-1] == 503
        cancel = await target.wait_request("CANCEL")
        assert target.incoming
        assert cancel.branch == target.incoming.branch
        await both_hear(caller, called)


async def lost(call: Call, method: str, count: int, *, reset: bool) -> list[Message]:
    """Close the connection under a request that is not answered, the so manyeth of its method."""
    assert isinstance(call.peer.wire, Streams)

    def found() -> list[Message] | None:
        of_method = [one for one in call.requests if one.method == method]
        return of_method if len(of_method) >= count else None

    requests = await call.peer.until(found, f"{method} {count}")
    call.peer.wire.drop(reset=reset)
    return requests


@pytest.mark.keeps("8.4")
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@ways
@wires
async def test_a_bye_whose_connection_goes_down_is_sent_again(wired: OnWire, wire: str, way: str, reset: bool) -> None:
    async with wired(wire) as scene:
        caller, called = await conversation(scene, way)
        called.answers["BYE"] = None
        await caller.hang_up()
        [first] = await lost(called, "BYE", 1, reset=reset)
        called.answers["BYE"] = 200
        again = await called.peer.until(lambda: bye_after(called, first), "another BYE")
        assert again.cseq[0] == first.cseq[0] + 1
        assert again.branch != first.branch
        assert (again["Call-ID"], again["To"], again["From"]) == (first["Call-ID"], first["To"], first["From"])


@pytest.mark.keeps("8.4")
async def test_a_bye_on_a_dead_line_is_sent_again(wired: OnWire) -> None:
    async with wired("tls") as scene:
        caller, called = await conversation(scene, WAYS[0])
        assert isinstance(called.peer.wire, Streams)
        before = called.peer.wire.accepted
        called.peer.wire.vanish()
        await caller.hang_up()
        await called.wait_request("BYE", timeout_s=15)
        assert called.peer.wire.accepted == before + 1


def bye_after(call: Call, first: Message) -> Message | None:
    """The BYE that came after this one."""
    return next((one for one in call.requests if one.method == "BYE" and one.cseq > first.cseq), None)


@pytest.mark.keeps("8.4")
async def test_a_bye_is_not_sent_for_ever(wired: OnWire) -> None:
    async with wired("tcp") as scene:
        caller, called = await conversation(scene, WAYS[0])
        called.answers["BYE"] = None
        await caller.hang_up()
        for count in range(1, TIMES + 1):
            await lost(called, "BYE", count, reset=True)
        await scene.gateway.idle()
        with pytest.raises(AssertionError):
            await called.peer.until(lambda: called.requests[TIMES + 1 :] or None, "one BYE more", timeout_s=0.5)
        assert [one.method for one in called.requests].count("BYE") == TIMES


@pytest.mark.keeps("8.5")
@wires
async def test_a_lost_final_notify_is_sent_again_before_the_bye(wired: OnWire, wire: str) -> None:
    async with wired(wire) as scene:
        caller, called = await conversation(scene, WAYS[0])
        target = await scene.referred(called)
        await called.wait_notify()
        called.answers["NOTIFY"] = None
        await target.answer(hz=TARGET_HZ)
        sent = await lost(called, "NOTIFY", 2, reset=False)
        assert codes(sent)[-1] == 200
        called.answers["NOTIFY"] = 200
        await called.wait_request("BYE")
        assert [one.sipfrag or one.method for one in called.requests if one.method in {"NOTIFY", "BYE"}][1:] == [
            200, 200, "BYE"
        ]  # fmt: skip
        await both_hear(caller, target)
