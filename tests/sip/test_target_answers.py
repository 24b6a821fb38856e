# SPDX-License-Identifier: GPL-2.0-or-later
"""A target has answered once its media can be used; what fails before that is its own failure, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER_HZ, OVERFLOWS, TARGET_HZ, codes, is_up
from tests.support.sip_message import reply

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

G729_ALONE = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.3\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n"
)
USELESS = {
    "no description": b"",
    "another codec than was offered": G729_ALONE,
    "port 0": G729_ALONE.replace(b"40000", b"0").replace(b"AVP 18", b"AVP 8").replace(b"18 G729", b"8 PCMA"),
    "garbage": b"this is no description\r\n",
    "no media": b"v=0\r\no=- 1 1 IN IP4 127.0.0.3\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\n",
    "an address that is none": G729_ALONE.replace(b"c=IN IP4 127.0.0.3", b"c=IN IP4 nowhere").replace(b"18", b"8"),
}
"""Descriptions in an answer with which nobody can talk."""


def answer_with(target: Call, description: bytes) -> None:
    """Let the target answer with a description of the test's own."""
    assert target.incoming
    target.respond(target.incoming, 200, body=description)


async def let_go(target: Call) -> None:
    """The target is acknowledged and hung up."""
    await target.wait_request("ACK")
    await target.wait_request("BYE")


async def moved(scene: Scene, refer_to: str, caller_on: str) -> tuple[Call, Call]:
    """A caller whom the party on the other side has put through: the caller's leg, and the transferor's."""
    from_pbx, from_trunk = await scene.bridged()
    caller, transferor = (from_pbx, from_trunk) if caller_on == "pbx" else (from_trunk, from_pbx)
    assert (await transferor.refer(refer_to)).code == 202
    return caller, transferor


@pytest.mark.keeps("16.50")
@pytest.mark.parametrize("caller_on", ["pbx", "trunk"])
@pytest.mark.parametrize("answer", USELESS)
async def test_a_useless_answer_is_the_targets_failure_and_the_next_one_is_rung(
    scene: Scene, answer: str, caller_on: str
) -> None:
    caller, transferor = await moved(scene, OVERFLOWS, caller_on)
    target = await scene.target("overflowing")
    await target.ring()
    answer_with(target, USELESS[answer])
    anna = await scene.target("anna")
    await anna.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await anna.media.hears(CALLER_HZ if caller_on == "pbx" else ASSISTANT_HZ)
    assert is_up(caller)
    assert codes(await transferor.notifies()) == [100, 180, 200]
    await let_go(target)
    outcome = await scene.outcome()
    assert [(one["destination"], one["reason"], one["sip_code"]) for one in outcome["attempts"]] == [
        ("overflowing", "not-acceptable", 488),
        ("anna", "answered", 200),
    ]


@pytest.mark.keeps("16.50")
@pytest.mark.parametrize("caller_on", ["pbx", "trunk"])
@pytest.mark.parametrize("answer", USELESS)
async def test_after_a_useless_answer_the_caller_is_back(scene: Scene, answer: str, caller_on: str) -> None:
    caller, transferor = await moved(scene, ANNA, caller_on)
    target = await scene.target("anna")
    answer_with(target, USELESS[answer])
    assert codes(await transferor.notifies()) == [100, 488]
    await let_go(target)
    await caller.media.hears(ASSISTANT_HZ if caller_on == "pbx" else CALLER_HZ)
    assert is_up(caller)
    assert is_up(transferor)
    outcome = await scene.outcome()
    told = (outcome["outcome"], outcome["reason"], outcome["returned_to_transferor"])
    assert told == ("failed", "not-acceptable", True)
    # A second try is welcome.
    assert (await transferor.refer(ANNA)).code == 202
    await (await scene.target("anna")).answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)


@pytest.mark.keeps("16.51")
async def test_a_target_that_answers_nothing_more_after_its_useless_answer_holds_nobody_up(scene: Scene) -> None:
    caller, transferor = await moved(scene, OVERFLOWS, "pbx")
    target = await scene.target("overflowing")
    target.answers["BYE"] = None
    answer_with(target, USELESS["port 0"])
    await (await scene.target("anna")).answer(hz=TARGET_HZ)
    assert codes(await transferor.notifies()) == [100, 200]
    await caller.media.hears(TARGET_HZ)
    target.respond(await target.wait_request("BYE"), 200)


@pytest.mark.keeps("16.50")
async def test_an_assistants_useless_answer_refuses_the_caller(scene: Scene) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx()
    answer_with(await platform.wait_call(), USELESS["port 0"])
    assert (await caller.final()).code == 488


@pytest.mark.keeps("16.50")
async def test_a_targets_useless_answer_refuses_a_fresh_invite(scene: Scene) -> None:
    platform = await scene.platform()
    caller = platform.invite(scene.uri("+31612345681"), scene.remote)
    target = await scene.target("anna")
    answer_with(target, USELESS["garbage"])
    assert (await caller.final()).code == 488
    await let_go(target)


@pytest.mark.keeps("16.135")
@pytest.mark.parametrize(
    ("code", "header", "reason"),
    [
        (503, ("Retry-After", "99999999999"), "pbx-error"), (486, ("Expires", "soon"), "busy"),
        (300, ("Contact", "<sip:"), "pbx-error"), (480, ("Session-Expires", "-1"), "unreachable"),
    ],
)  # fmt: skip
async def test_a_refusal_with_a_header_that_cannot_be_read_is_one(
    scene: Scene, code: int, header: tuple[str, str], reason: str
) -> None:
    caller, transferor = await moved(scene, OVERFLOWS, "pbx")
    target = await scene.target("overflowing")
    assert target.incoming
    # Without the Contact that the peer writes by itself.
    target.peer.respond(target.incoming, target.remote, reply(target.incoming, code, tag="t", headers=[header]))
    await (await scene.target("anna")).answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await transferor.notifies()
    attempts = [(one["reason"], one["sip_code"]) for one in (await scene.outcome())["attempts"]]
    assert attempts == [(reason, code), ("answered", 200)]


@pytest.mark.keeps("16.187")
@pytest.mark.parametrize("code", ["700", "799", "999", "1000", "99", "0"])
async def test_a_final_code_of_no_class_is_the_targets_failure_at_once(scene: Scene, code: str) -> None:
    caller, transferor = await moved(scene, OVERFLOWS, "pbx")
    target = await scene.target("overflowing")
    assert target.incoming
    made = bytes(reply(target.incoming, 500, "Odd", tag="t"))
    target.peer.wire.send(made.replace(b"SIP/2.0 500", b"SIP/2.0 " + code.encode(), 1), target.remote)
    await (await scene.target("anna")).answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await transferor.notifies()
    attempts = [(one["reason"], one["sip_code"]) for one in (await scene.outcome())["attempts"]]
    assert attempts == [("pbx-error", 500), ("answered", 200)]


@pytest.mark.keeps("16.135")
@pytest.mark.parametrize("header", [("Session-Expires", "soon"), ("Expires", "-1"), ("Min-SE", "x")], ids=str)
async def test_an_answer_with_a_header_that_cannot_be_read_is_one(scene: Scene, header: tuple[str, str]) -> None:
    caller, transferor = await moved(scene, ANNA, "pbx")
    target = await scene.target("anna")
    await target.answer(hz=TARGET_HZ, headers=[header])
    assert (await transferor.notifies())[-1].sipfrag == 200
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
