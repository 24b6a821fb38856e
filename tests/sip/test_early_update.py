# SPDX-License-Identifier: GPL-2.0-or-later
"""UPDATE before the answer of a call (RFC 3311), from who calls and from who is called, with an offer and without."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import TARGET_HZ, WAYS, both_hear, ringing
from tests.sip.players import by
from tests.sip.wires import WIRES
from tests.support.sip_message import direction_of, media_of

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

EARLY_HZ = 1500
RELIABLY = [("Require", "100rel")]
PCMU, PCMA = 0, 8
ways = pytest.mark.parametrize("way", WAYS)


async def early_media(caller: Call, called: Call) -> None:
    """Both sides have agreed on early media, reliably: who is called is heard."""
    called.hz = EARLY_HZ
    await called.rings(183, media=True, reliable=True)
    await caller.progress(183, media=True, reliable=True)
    await caller.media.hears(EARLY_HZ)


async def answered(caller: Call, called: Call) -> None:
    """The call goes on: it is answered, and both hear each other."""
    assert called.incoming
    if called.hz == EARLY_HZ:
        called.hz = called.media.hz = TARGET_HZ
        called.respond(called.incoming, 200)  # all has been said of media (RFC 6337 §3.1.1)
    else:
        await called.answer(hz=TARGET_HZ)
    await caller.answered()
    await both_hear(caller, called)
    assert [one.method for one in (*caller.requests, *called.requests)].count("INVITE") == 0


@pytest.mark.parametrize(
    ("opened", "way", "who"),
    [
        *by(pytest.mark.keeps("9.18"), "udp", product(WAYS, ["caller", "called"])),
        *by(pytest.mark.keeps("9.17"), " ".join(WIRES), [(WAYS[0], "called"), (WAYS[1], "caller")]),
    ],
    indirect=["opened"],
)
async def test_an_offer_before_the_answer(opened: AbstractAsyncContextManager[Scene], way: str, who: str) -> None:
    async with opened as scene:
        caller, called = await ringing(scene, way, headers=RELIABLY)
        await early_media(caller, called)
        one = caller if who == "caller" else called
        one.move()
        answer = await one.reinvite(method="UPDATE", codecs=("PCMU",))
        assert answer.code == 200
        described = media_of(answer.body)
        assert described
        assert PCMU in described[2]
        assert PCMA not in described[2]
        if who == "caller":
            await caller.media.hears(EARLY_HZ)
            assert caller.media.received[-1].payload_type == PCMU
        await answered(caller, called)


@pytest.mark.keeps("9.18")
@pytest.mark.parametrize("who", ["caller", "called"])
@ways
async def test_an_update_without_an_offer_before_the_answer(scene: Scene, way: str, who: str) -> None:
    caller, called = await ringing(scene, way, headers=RELIABLY)
    await early_media(caller, called)
    answer = await (caller if who == "caller" else called).begin("UPDATE").final()
    assert answer.code == 200
    assert not answer.body
    assert answer["Contact"]
    await answered(caller, called)


@pytest.mark.keeps("9.18")
@ways
async def test_a_hold_before_the_answer_is_undone_after_it(scene: Scene, way: str) -> None:
    caller, called = await ringing(scene, way, headers=RELIABLY)
    await early_media(caller, called)
    assert direction_of((await caller.reinvite(method="UPDATE", direction="sendonly")).body) == "recvonly"
    assert direction_of((await caller.reinvite(method="UPDATE")).body) == "sendrecv"
    await caller.media.hears(EARLY_HZ)
    await answered(caller, called)


@pytest.mark.keeps("9.18")
@ways
async def test_an_offer_while_ours_is_not_answered_is_too_early(scene: Scene, way: str) -> None:
    """RFC 3311 §5.2: who has made an offer and waits for the answer takes no other one: 491."""
    caller, called = await ringing(scene, way, headers=RELIABLY)
    await called.rings(reliable=True)
    assert (await called.reinvite(method="UPDATE")).code == 491
    await answered(caller, called)


@pytest.mark.keeps("9.18")
@ways
async def test_an_offer_while_theirs_is_not_answered_is_to_come_again(scene: Scene, way: str) -> None:
    """RFC 3311 §5.2: who has not answered an offer takes no other one: 500 with Retry-After."""
    caller, called = await ringing(scene, way, headers=RELIABLY)
    await called.ring(180)
    await caller.progress(180, reliable=True)
    refused = await caller.reinvite(method="UPDATE")
    assert refused.code == 500
    assert 0 <= int(refused["Retry-After"]) <= 10
    await answered(caller, called)
