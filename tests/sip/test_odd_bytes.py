# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes that are no text, wherever they stand in a request, make no traceback, and calls go on."""

from __future__ import annotations

import asyncio

import pytest

from tests.sip.bed import ANNA, CALLER_HZ
from tests.sip.scene import Scene
from tests.support.peer import Peer

pytestmark = pytest.mark.sip

ODD = [b"\xff\xfe", b"\xc3\x28", b"\xe2\x82", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"caf\xe9", "\N{SNOWMAN}".encode()]
METHODS = ("OPTIONS", "INVITE", "REFER", "MESSAGE", "SUBSCRIBE", "NOTIFY", "BYE", "INFO")
PLACES = (
    b"user", b"Via", b"branch", b"From", b"name", b"tag", b"To", b"Call-ID", b"Contact", b"Refer-To", b"Reason",
    b"User-Agent", b"P-Asserted-Identity", b"Diversion", b"User-to-User", b"X-Odd", b"Subject", b"Content-Type",
    b"Event", b"Require", b"Authorization", b"Replaces",
)  # fmt: skip


def request(scene: Scene, peer: Peer, method: str, place: bytes, odd: bytes, number: int) -> bytes:
    """One request, with something odd in one place."""

    def at(here: bytes) -> bytes:
        return odd if here == place else b""

    user = b"nobody" + (odd if place == b"user" else b"")
    sent_by = peer.sent_by.encode()
    unique = b"%d-%b" % (number, method.encode())
    lines = [
        method.encode() + b" sip:" + user + b"@gateway SIP/2.0",
        b"Via: SIP/2.0/UDP " + sent_by + b";branch=z9hG4bK" + unique + at(b"branch") + b";x=" + at(b"Via") + b"y",
        b"Max-Forwards: 70",
        b'From: "n' + at(b"name") + b'" <sip:a' + at(b"From") + b"@b>;tag=7" + at(b"tag"),
        b"To: <sip:c" + at(b"To") + b"@d>",
        b"Call-ID: odd-" + unique + at(b"Call-ID"),
        b"CSeq: 1 " + method.encode(),
        b"Contact: <sip:a" + at(b"Contact") + b"@" + sent_by + b">",
    ]
    for name in PLACES[9:]:
        if name == place:
            value = {
                b"Refer-To": b"<sip:" + odd + b"@d>",
                b"P-Asserted-Identity": b'"' + odd + b'" <tel:+3161' + odd + b">",
                b"Diversion": b'"' + odd + b'" <sip:' + odd + b"@x>;reason=" + odd,
                b"Content-Type": b"text/" + odd,
                b"Authorization": b'Digest username="' + odd + b'", realm="' + odd + b'"',
                b"Replaces": odd + b";to-tag=1;from-tag=2",
            }.get(name, odd)
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])


async def odd_requests(scene: Scene, peer: Peer) -> None:
    number = 0
    for place in PLACES:
        for odd in ODD:
            for method in METHODS:
                number += 1
                peer.send_raw(request(scene, peer, method, place, odd, number), scene.remote)
            # A flood is another test's matter.
            await asyncio.sleep(0.02)


@pytest.mark.keeps("16.100")
@pytest.mark.parametrize("known", [True, False], ids=["trunk", "stranger"])
async def test_bytes_that_are_no_text_make_no_traceback(scene: Scene, known: bool) -> None:
    caller, assistant = await scene.bridged()
    peer = await scene.platform("main") if known else await scene.stranger()
    before = len(scene.gateway.log)
    await odd_requests(scene, peer)
    # Served by now, all of it.
    assert (await scene.gateway.get("/api/status"))["state"] == "online"
    target = await scene.referred(assistant, ANNA, "anna")
    await target.answer()
    assert "Traceback" not in scene.gateway.log[before:]
    await caller.hang_up()


@pytest.mark.keeps("16.100")
@pytest.mark.parametrize("odd", ODD, ids=repr)
async def test_a_caller_whose_name_is_no_text_is_served_and_reported(scene: Scene, odd: bytes) -> None:
    text = odd.decode("utf-8", "surrogateescape")
    before = len(scene.gateway.log)
    platform = await scene.platform("main")
    caller = scene.pbx.invite(
        scene.uri(scene.number("main")), scene.remote, from_=f'"{text}" <sip:+31201112222@pbx.example>',
        headers=[("X-Odd", text), ("Subject", text), ("User-to-User", text), ("Diversion", f'"{text}" <sip:7@x>')],
        hz=CALLER_HZ,
    )  # fmt: skip
    assistant = await platform.wait_call()
    await assistant.answer()
    await caller.answered()
    await assistant.refer(ANNA, ("X-Reason", text), ("User-to-User", text), ("Referred-By", f'"{text}" <sip:7@x>'))
    target = await scene.target("anna")
    await target.answer()
    assert (await scene.outcome())["outcome"] == "completed"
    assert (await scene.gateway.get("/api/calls"))["calls"]
    await target.hang_up()
    await scene.gateway.idle()
    assert "Traceback" not in scene.gateway.log[before:]


@pytest.mark.keeps("16.100")
async def test_bytes_that_are_no_text_in_a_call_make_no_traceback(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    before = len(scene.gateway.log)
    for method in ("INFO", "MESSAGE", "OPTIONS", "REFER", "NOTIFY", "SUBSCRIBE"):
        for odd in ODD:
            text = odd.decode("utf-8", "surrogateescape")
            for name in ("Reason", "Refer-To", "User-Agent", "X-Odd", "Event", "Diversion"):
                value = f"<sip:{text}@pbx.example>" if name == "Refer-To" else text
                assert (await assistant.begin(method, headers=[(name, value)]).final()).code
    assert "Traceback" not in scene.gateway.log[before:]
    await scene.refused(assistant, f"<sip:{ODD[0].decode('utf-8', 'surrogateescape')}@pbx.example>")
    await caller.hang_up()
