# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptions that cannot be used, wherever in a call they come: what is answered, and that nobody else notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.support.processes import eventually
from tests.support.sip_message import reply, sdp

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

HEAD = ("v=0", "o=- 7 2 IN IP4 {host}", "s=-", "t=0 0")
AUDIO = ("m=audio {port} RTP/AVP 8 101", "c=IN IP4 {host}", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000")
TAKEN = {
    "refused-line-without-address": (*HEAD, *AUDIO, "m=video 0 RTP/AVP 96"),
    "refused-line-first": (*HEAD, "m=video 0 RTP/AVP 96", *AUDIO),
    "refused-line-without-formats": (*HEAD, *AUDIO, "m=video 0 RTP/AVP"),
    "second-audio-without-anything": (*HEAD, *AUDIO, "m=audio 0 RTP/AVP"),
    "video-without-address-or-names": (*HEAD, *AUDIO, "m=video 40002 RTP/AVP 96"),
    "audio-that-cannot-be-used-beside": (*HEAD, *AUDIO, "m=audio 40002 RTP/AVP 18", "c=IN IP4 {host}"),
    "format-without-name": (*HEAD, "m=audio {port} RTP/AVP 97 8", *AUDIO[1:3]),
    "format-with-half-a-name": (*HEAD, "m=audio {port} RTP/AVP 97 8", *AUDIO[1:3], "a=rtpmap:97 /"),
    "attributes-without-values": (*HEAD, *AUDIO, "a=fmtp", "a=rtpmap", "a=ptime", "a=rtcp", "a=ssrc", "a=mid"),
    "reports-to-nowhere": (*HEAD, *AUDIO, "a=rtcp:1 IN IP4"),
    "reports-to-a-host-name": (*HEAD, *AUDIO, "a=rtcp:40001 IN IP4 phone.invalid"),
    "reports-to-the-other-family": (*HEAD, *AUDIO, "a=rtcp:40001 IN IP6 ::1"),
    "a-static-type-written-otherwise": (*HEAD, "m=audio {port} RTP/AVP 08 101", *AUDIO[1:]),
    "a-static-type-with-a-sign": (*HEAD, "m=audio {port} RTP/AVP +8 8", *AUDIO[1:]),
    "a-number-that-goes-on": (*HEAD, "m=audio {port} RTP/AVP 8x 8", *AUDIO[1:]),
    "a-dynamic-type-written-otherwise": (*HEAD, "m=audio {port} RTP/AVP 096 8", *AUDIO[1:], "a=rtpmap:096 opus/48000"),
    "one-format-many-times": (*HEAD, "m=audio {port} RTP/AVP" + " 8 101" * 16, *AUDIO[1:]),
    "audio-in-capitals": (*HEAD, AUDIO[0].replace("audio", "AUDIO"), *AUDIO[1:]),
    "real-time-text": (*HEAD, *AUDIO, "m=text 40004 RTP/AVP 98", "a=rtpmap:98 t140/1000"),
}
REFUSED = {
    "no-codec-of-ours": (488, (*HEAD, "m=audio {port} RTP/AVP 18", "c=IN IP4 {host}")),
    "a-codec-without-its-name": (488, (*HEAD, "m=audio {port} RTP/AVP 97", "c=IN IP4 {host}")),
    "an-address-of-the-other-family": (488, (*HEAD, AUDIO[0], "c=IN IP6 ::1", *AUDIO[2:])),
    "a-codec-by-another-number": (488, (*HEAD, "m=audio {port} RTP/AVP 97", AUDIO[1], "a=rtpmap:97 PCMA/8000")),
    "another-codec-by-its-number": (488, (*HEAD, "m=audio {port} RTP/AVP 0", AUDIO[1], "a=rtpmap:0 PCMA/8000")),
    "many-hosts": (488, (*HEAD, AUDIO[0], "c=IN IP4 224.2.1.1/127", *AUDIO[2:])),
    "all-hosts": (488, (*HEAD, AUDIO[0], "c=IN IP4 255.255.255.255", *AUDIO[2:])),
    "a-host-name": (488, (*HEAD, AUDIO[0], "c=IN IP4 phone.invalid", *AUDIO[2:])),
    "no-line-at-all": (488, HEAD),
    "too-many-lines": (488, (*HEAD, *AUDIO, *["m=video 0 RTP/AVP 96"] * 40)),
    "another-protocol": (488, (*HEAD, "m=audio {port} TCP/MSRP 8", *AUDIO[1:])),
    "no-address": (400, (*HEAD, AUDIO[0], *AUDIO[2:])),
    "no-description": (400, ("hello",)),
    "half-a-line": (400, (*HEAD, "m=audio")),
    "a-port-that-is-none": (400, (*HEAD, "m=audio 70000 RTP/AVP 8", "c=IN IP4 {host}")),
}
FIRST_REFUSED = {
    **REFUSED,
    "refused-by-its-sender": (488, (*HEAD, "m=audio 0 RTP/AVP 8", "c=IN IP4 {host}")),
    "without-audio": (488, (*HEAD, "m=video 40002 RTP/AVP 31", "c=IN IP4 {host}")),
}


def description(call: Call, lines: tuple[str, ...]) -> bytes:
    """The lines, with where this side's media is."""
    return "\r\n".join([*lines, ""]).format(host=call.peer.host, port=call.media.port).encode()


async def talk(caller: Call, assistant: Call) -> None:
    """Both hear each other, from now on."""
    for call, hz in ((caller, ASSISTANT_HZ), (assistant, CALLER_HZ)):
        count = len(call.media.received)

        async def more(call: Call = call, count: int = count) -> bool:
            return len(call.media.received) > count + 20

        await eventually(more, "audio that goes on")
        await call.media.hears(hz)


@pytest.mark.keeps("16.4")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_lines_that_are_no_use_are_refused_and_the_call_goes_on(scene: Scene, method: str) -> None:
    caller, assistant = await scene.bridged()
    for name, lines in TAKEN.items():
        offer = description(caller, lines)
        answer = await caller.begin(method, body=offer, content_type="application/sdp").final()
        assert answer.code == 200, f"{name}: {answer.start}"
        caller.follow(answer.body)
        offered = [line for line in offer.split(b"\r\n") if line.startswith(b"m=")]
        answered = [line for line in answer.body.split(b"\r\n") if line.startswith(b"m=")]
        assert len(answered) == len(offered), name
        assert [line.split()[1] != b"0" for line in answered].count(True) == 1, f"{name}: {answered}"
    await talk(caller, assistant)


@pytest.mark.keeps("16.6")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_an_offer_that_leaves_nothing_is_refused_and_the_call_goes_on(scene: Scene, method: str) -> None:
    caller, assistant = await scene.bridged()
    for name, (code, lines) in REFUSED.items():
        answer = await caller.begin(method, body=description(caller, lines), content_type="application/sdp").final()
        assert answer.code == code, f"{name}: {answer.start}"
        assert not answer.all("Accept"), name
    await talk(caller, assistant)


@pytest.mark.keeps("16.5")
async def test_a_first_offer_that_leaves_nothing_dials_nobody(scene: Scene) -> None:
    platform = await scene.platform()
    for name, (code, lines) in FIRST_REFUSED.items():
        call = scene.call_from_pbx(body="\r\n".join([*lines, ""]).format(host=scene.pbx.host, port=40000).encode())
        assert (await call.final()).code == code, name
    assert not platform.received("INVITE")
    caller, assistant = await scene.bridged()  # and nothing of them is left
    await talk(caller, assistant)


MULTIPART = (
    "--x\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n"
    "--x\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--x--\r\n"
)
NESTED = "--y\r\nContent-Type: multipart/alternative;boundary=x\r\n\r\n" + MULTIPART + "\r\n--y--\r\n"


@pytest.mark.keeps("16.7")
@pytest.mark.parametrize(
    ("kind", "body"),
    [("related;boundary=x;type=\"application/sdp\"", MULTIPART), ("signed;boundary=x", MULTIPART),
     ("report;boundary=x", MULTIPART), ("mixed;boundary=y", NESTED)],
)  # fmt: skip
async def test_an_offer_inside_whatever_multipart(scene: Scene, kind: str, body: str) -> None:
    platform = await scene.platform()
    offer = sdp(scene.pbx.host, 40000).decode()
    caller = scene.call_from_pbx(body=body.format(sdp=offer).encode(), content_type=f"multipart/{kind}")
    assistant = await platform.wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    assert b"m=audio" in (await caller.answered()).body
    whole = body.format(sdp=caller.offer().decode()).encode()
    answer = await caller.begin("INVITE", body=whole, content_type=f"multipart/{kind}").final()
    assert answer.code == 200, answer.start
    await caller.media.hears(ASSISTANT_HZ)


@pytest.mark.keeps("16.8")
@pytest.mark.parametrize("headers", [[], [("X-Odd", "a"), ("Content-Type", "")], [("Content-Type", "application")]])
async def test_a_body_that_is_not_seen_is_a_bad_request(scene: Scene, headers: list[tuple[str, str]]) -> None:
    caller, assistant = await scene.bridged()
    answer = await caller.begin("INVITE", headers=headers, body=caller.offer()).final()
    assert answer.code == 400, answer.start
    await talk(caller, assistant)


ANSWERS = {
    "refused": (*HEAD, "m=audio 0 RTP/AVP 8", "c=IN IP4 {host}"),
    "not-offered": (*HEAD, "m=audio {port} RTP/AVP 18", "c=IN IP4 {host}"),
    "no-address": (*HEAD, "m=audio {port} RTP/AVP 8"),
    "a-host-name": (*HEAD, "m=audio {port} RTP/AVP 8", "c=IN IP4 phone.invalid"),
    "nonsense": ("hello",),
    "more-lines-than-offered": (*HEAD, "m=video 0 RTP/AVP 96"),
}


@pytest.mark.keeps("16.10")
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_phone_whose_early_description_is_no_use_rings_on(scene: Scene, name: str) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    assert target.incoming
    target.respond(target.incoming, 183, body=description(target, ANSWERS[name]))
    await target.ring()
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    assert not [one for one in target.requests if one.method in ("CANCEL", "BYE")]
    assert (await scene.outcome())["outcome"] == "completed"


@pytest.mark.keeps("16.10")
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_no_use_is_acknowledged_and_ended(scene: Scene, name: str) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    assert target.incoming
    target.respond(target.incoming, 200, body=description(target, ANSWERS[name]))
    await target.wait_request("BYE")
    assert [one.method for one in target.requests] == ["ACK", "BYE"]
    outcome = await scene.outcome()
    assert (outcome["outcome"], outcome["reason"]) == ("failed", "not-acceptable")
    await talk(caller, assistant)


OF_ANOTHER_KIND = {
    "application/isup;version=itu-t92+": b"\x01\x02",
    "text/html": b"<html/>",
    "multipart/mixed;boundary=x": b"--x\r\nContent-Type: application/isup\r\n\r\n\x01\r\n--x--\r\n",
}


def with_body(target: Call, code: int, content_type: str) -> None:
    """The target answers with a body that is no description."""
    assert target.incoming
    headers = [("Contact", f"<{target.peer.contact}>"), ("Content-Type", content_type)]
    tag = target.local.rpartition("tag=")[2]
    body = OF_ANOTHER_KIND[content_type]
    answer = reply(target.incoming, code, tag=tag, headers=headers, body=body)
    target.peer.respond(target.incoming, target.remote, answer)


@pytest.mark.keeps("16.10")
@pytest.mark.parametrize("content_type", OF_ANOTHER_KIND)
async def test_a_phone_rings_on_whatever_the_body_of_its_ringing_is(scene: Scene, content_type: str) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    with_body(target, 183, content_type)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    assert not [one for one in target.requests if one.method in ("CANCEL", "BYE")]
    assert (await scene.outcome())["outcome"] == "completed"


@pytest.mark.keeps("16.10")
@pytest.mark.parametrize("content_type", OF_ANOTHER_KIND)
async def test_an_answer_without_a_description_is_acknowledged_and_ended(scene: Scene, content_type: str) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    with_body(target, 200, content_type)
    assert (await assistant.notifies())[-1].sipfrag == 488
    await target.wait_request("BYE")
    assert [one.method for one in target.requests] == ["ACK", "BYE"]
    await talk(caller, assistant)


@pytest.mark.keeps("16.4")
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_in_ack_that_is_no_use_changes_nothing(scene: Scene, name: str) -> None:
    caller, assistant = await scene.bridged()
    caller.keeps_ack = True
    assert (await caller.reinvite(delayed=True)).code == 200
    assert caller.ack
    caller.ack.body = description(caller, ANSWERS[name])
    caller.peer.send(caller.ack, caller.remote)
    caller.keeps_ack = False
    await talk(caller, assistant)
