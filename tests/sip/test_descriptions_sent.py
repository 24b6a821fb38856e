# SPDX-License-Identifier: GPL-2.0-or-later
"""The descriptions that the gateway sends: how many, what they refuse, and their o= lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import ASSISTANT_HZ, CALLER_HZ, both_hear, told
from tests.support.processes import eventually
from tests.support.sip_message import media_of, sdp

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

SDP = "application/sdp"
PCMU, PCMA, OPUS = 0, 8, 96
OTHERS = {
    "text": b"m=text 41000 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n",
    "video": b"m=video 41002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n",
    "image": b"m=image 41004 udptl t38\r\na=T38FaxVersion:0\r\n",
    "application": b"m=application 41006 UDP/BFCP *\r\n",
    "audio": b"m=audio 41008 RTP/AVP 8\r\n",
    "message": b"m=message 41010 TCP/MSRP *\r\na=accept-types:text/plain\r\n",
}


def lines(body: bytes) -> list[tuple[str, bool]]:
    """The media lines of a description, and whether they have a port."""
    found = re.findall(rb"^m=(\w+) (\d+) ", body, re.M)
    return [(kind.decode(), port != b"0") for kind, port in found]


def origin(body: bytes) -> tuple[str, int, int]:
    """Username, session id and version (RFC 8866 §5.2)."""
    found = re.search(rb"^o=(\S+) (\d+) (\d+) IN", body, re.M)
    assert found, body
    return found[1].decode(), int(found[2]), int(found[3])


def asked(call: Call) -> list[str]:
    """The requests that came in a call with an offer, or that might have had one."""
    return [one.method for one in call.requests if one.method in {"INVITE", "UPDATE"}]


async def answers(call: Call, *codecs: str) -> None:
    """The call is taken with an answer that leaves a choice."""
    assert call.incoming
    body = sdp(call.peer.host, call.media.port, codecs)
    call.respond(call.incoming, 200, body=body)
    await call.wait_request("ACK")


def speak(call: Call, body: bytes, codec: str, hz: int) -> None:
    described = media_of(body)
    assert described
    call.hz = call.media.hz = hz
    call.media.send_to(*described[:2], codec)


@pytest.mark.keeps("16.46")
@pytest.mark.parametrize("codecs", [("PCMA", "PCMU"), ("PCMU", "PCMA"), ("PCMA", "PCMU", "opus")], ids="-".join)
async def test_whoever_answers_with_several_codecs_may_speak_each_and_is_asked_nothing(
    scene: Scene, codecs: tuple[str, ...]
) -> None:
    caller = scene.call_from_pbx()
    assistant = await (await scene.platform()).wait_call()
    assert assistant.incoming
    await answers(assistant, *codecs)
    await caller.answered()
    for codec, number in ((codecs[0], None), ("PCMU", PCMU), ("PCMA", PCMA), ("opus", OPUS), ("PCMU", PCMU)):
        if codec not in codecs:
            continue
        speak(assistant, assistant.incoming.body, codec, ASSISTANT_HZ)
        if codec != "opus":  # of which the peer here has silence alone
            await caller.media.hears(ASSISTANT_HZ)
        if number is not None:  # it is answered in the codec that it speaks
            await turned(assistant, number)
        if codec != "opus":
            await assistant.media.hears(CALLER_HZ)
    assert asked(assistant) == asked(caller) == []


async def turned(call: Call, number: int) -> None:
    """Wait until what comes is of this payload type."""

    async def has_turned() -> bool:
        return bool(call.media.received) and call.media.received[-1].payload_type == number

    await eventually(has_turned, f"payload type {number}")


@pytest.mark.keeps("16.46")
async def test_whoever_made_no_offer_may_answer_with_several_codecs_too(scene: Scene) -> None:
    caller = scene.call_from_pbx(body=b"")
    caller.keeps_ack = True
    assistant = await (await scene.platform()).wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    offer = await caller.answered()
    assert caller.ack
    caller.ack.body = sdp(caller.peer.host, caller.media.port, ("PCMA", "PCMU"))
    caller.peer.send(caller.ack, caller.remote)
    for codec in ("PCMA", "PCMU"):
        speak(caller, offer.body, codec, CALLER_HZ)
        await both_hear(caller, assistant)
    assert asked(caller) == asked(assistant) == []


@pytest.mark.keeps("16.46")
async def test_a_transfer_to_one_who_answers_with_several_codecs(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    assert target.incoming
    await answers(target, "PCMA", "PCMU")
    speak(target, target.incoming.body, "PCMU", ASSISTANT_HZ + 300)
    assert (await assistant.notifies())[-1].sipfrag == 200
    await both_hear(caller, target)
    assert asked(target) == asked(caller) == []


@pytest.mark.keeps("16.48")
@pytest.mark.parametrize("position", ["before", "behind"])
@pytest.mark.parametrize("kind", OTHERS)
async def test_what_nobody_joins_is_refused_line_by_line(scene: Scene, kind: str, position: str) -> None:
    platform = await scene.platform()

    def with_other(call_media_port: int, host: str) -> bytes:
        audio = sdp(host, call_media_port)
        start = audio.index(b"m=audio")
        parts = [OTHERS[kind], audio[start:]] if position == "before" else [audio[start:], OTHERS[kind]]
        return audio[:start] + b"".join(parts)

    def is_right(answer: Message) -> None:
        assert answer.code == 200
        found = lines(answer.body)
        names = [kind, "audio"] if position == "before" else ["audio", kind]
        assert [name for name, _ in found] == names
        assert [has_port for _, has_port in found].count(True) == 1
        assert ("audio", True) in found

    caller = scene.call_from_pbx()  # to have its port
    other = await platform.wait_call()
    offered_to_other = lines(other.incoming.body) if other.incoming else []
    assert offered_to_other == [("audio", True)]
    await other.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    for method in ("INVITE", "UPDATE"):
        body = with_other(caller.media.port, caller.peer.host)
        is_right(await caller.begin(method, body=body, content_type=SDP).final())
    assert asked(other) == []
    await caller.hang_up()
    await other.wait_request("BYE")
    again = scene.call_from_pbx(body=with_other(40998, caller.peer.host))
    other = await platform.wait_call()
    assert other.incoming
    assert lines(other.incoming.body) == [("audio", True)]
    await other.answer(hz=ASSISTANT_HZ)
    is_right(await again.answered())


@pytest.mark.keeps("16.48")
async def test_every_offer_of_ours_is_of_audio_alone(scene: Scene) -> None:
    caller = scene.call_from_pbx(body=b"")
    assistant = await (await scene.platform()).wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    assert lines((await caller.answered()).body) == [("audio", True)]
    for call in (caller, assistant):
        assert lines((await call.reinvite(delayed=True)).body) == [("audio", True)]
    await assistant.reinvite(direction="sendonly")
    assert lines((await told(caller, "sendonly")).body) == [("audio", True)]
    assert lines((await caller.reinvite(delayed=True)).body) == [("audio", True)]


@pytest.mark.keeps("16.49")
async def test_each_session_has_an_id_of_its_own(scene: Scene) -> None:
    pairs = [await scene.bridged(), await scene.bridged()]
    bodies = [body for caller, assistant in pairs for body in sent_to(caller, assistant)]
    assert len({origin(body)[:2] for body in bodies}) == 4


def sent_to(*calls: Call) -> list[bytes]:
    """What each of the calls was described first."""
    found = []
    for call in calls:
        if call.incoming:
            found.append(call.incoming.body)
        else:
            assert call.invite
            found.append(call.invite.responses[-1].body)
    return found


@pytest.mark.keeps("16.49")
async def test_an_id_lasts_and_its_version_tells_of_a_change(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    first, second = (origin(body) for body in sent_to(caller, assistant))
    same = await assistant.reinvite()
    assert origin(same.body)[:2] == second[:2]
    first_codec = origin(same.body)[2]
    assert origin((await assistant.reinvite()).body)[2] == first_codec  # nothing has changed (RFC 3264 §8)
    await assistant.reinvite(direction="sendonly")
    held = origin((await told(caller, "sendonly")).body)
    assert held == (*first[:2], first[2] + 1)
    await assistant.reinvite()
    assert origin((await told(caller, "sendrecv", 2)).body) == (*first[:2], held[2] + 1)
