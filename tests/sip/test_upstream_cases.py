# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptions that PJSIP's tracker tells of (docs/pjproject.md), tried on the gateway: offers and answers alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

HEAD = "v=0\r\no=- 7 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
GROUP = "a=group:BUNDLE 0 1\r\n"
CASES = {
    "static-type-with-a-zero": "m=audio {port} RTP/AVP 08\r\n",
    "static-type-with-a-zero-mapped": "m=audio {port} RTP/AVP 08 101\r\na=rtpmap:08 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n",
    "static-type-mapped-otherwise": "m=audio {port} RTP/AVP 08 00\r\na=rtpmap:8 PCMA/8000\r\n",
    "bundle-only": GROUP + "m=audio {port} RTP/AVP 8\r\na=mid:0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=mid:1\r\na=bundle-only\r\n",
    "bundle-only-audio": GROUP
    + "m=audio {port} RTP/AVP 8\r\na=mid:0\r\nm=audio 0 RTP/AVP 8\r\na=mid:1\r\na=bundle-only\r\n",
}
FIRST = (
    "a=group:BUNDLE 1 0\r\nm=video 0 RTP/AVP 96\r\na=mid:1\r\na=bundle-only\r\nm=audio {port} RTP/AVP 8\r\na=mid:0\r\n"
)
OFFERS = {**CASES, "bundle-only-first": FIRST}
"""An answer has its lines in the offer's order."""


def described(call: Call, lines: str, version: int = 2) -> bytes:
    """A description with these lines of media."""
    host = call.peer.host
    return (HEAD + lines).format(version=version, host=host, port=call.media.port).encode()


@pytest.mark.keeps("16.60")
@pytest.mark.parametrize("lines", OFFERS.values(), ids=OFFERS)
async def test_an_offer_of_that_kind_is_answered(scene: Scene, lines: str) -> None:
    caller, assistant = await scene.bridged()
    for version, method in enumerate(("INVITE", "UPDATE"), 2):
        body = described(caller, lines, version)
        answer = await caller.begin(method, body=body, content_type="application/sdp").final()
        assert answer.code == 200, answer.start
        assert answer.body.count(b"m=") == lines.count("m=")
        assert answer.body.count(b" 0 RTP/AVP") == lines.count(" 0 RTP/AVP")
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
    first = scene.call_from_pbx(body=described(caller, lines))
    second = await (await scene.platform()).wait_call()
    await second.answer()
    assert (await first.answered()).body.count(b"m=") == lines.count("m=")


@pytest.mark.keeps("16.60")
@pytest.mark.parametrize("lines", CASES.values(), ids=CASES)
async def test_an_answer_of_that_kind_is_taken(scene: Scene, lines: str) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    assert target.incoming
    target.hz = TARGET_HZ
    target.answer_to(target.incoming.body)  # from here on its tone is sent
    target.respond(target.incoming, 200, body=described(target, lines))
    assert (await assistant.notifies())[-1].sipfrag == 200
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
