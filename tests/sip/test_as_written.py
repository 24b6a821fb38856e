# SPDX-License-Identifier: GPL-2.0-or-later
"""From and To come back as their sender wrote them, in responses and in requests of ours (RFC 3261 §8.2.6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ
from tests.support.peer_call import Call
from tests.support.sip_message import token

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip

WRITTEN = {
    "port": "<sip:+31201112222@pbx.example:5060>",
    "another-port": "<sip:+31201112222@pbx.example:5071>",
    "parameters": "<sip:+31201112222@pbx.example:5060;transport=udp;lr;maddr=192.0.2.1;ttl=3;user=phone;x=y>",
    "method": "<sip:+31201112222@pbx.example;method=INVITE?Subject=none&x=y>",
    "escapes": "<sip:%2B31%32%301112222;phone-context=%41@pbx.example;a=%62>",
    "password": "<sip:eve%20x:pa%3Ass@pbx.example>",
    "quotes": r'"Eve \"E\\\" <sip:x@y>;tag=no" <sip:eve@pbx.example:5060>',
    "words": "Eve  of  Example <sip:eve@pbx.example;transport=udp>",
    "letters": '"Ève" <SIP:Eve@PBX.Example:5060>',
    "bare": "sip:+31201112222@pbx.example:5060",
    "number": "<tel:+31-20-111-2222;isub=1>",
    "literal": "<sip:eve@[2001:DB8::0:1]:5060>",
    "folded": '"Eve Example"\r\n\t<sip:eve@pbx.example:5060>',
}


def unfolded(value: str) -> str:
    """As our side of the test reads it."""
    return value.replace("\r\n\t", " ").replace("\r\n ", " ")


@pytest.mark.keeps("16.59")
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
async def test_a_call_has_its_from_and_to_as_they_were_written(scene: Scene, written: str) -> None:
    platform = await scene.platform()
    number = scene.number("main")
    to = f'"Line; tag=no" <sip:%2B{number[1:]}@{scene.remote[0]}:5060;transport=udp;x=%79>'
    caller = scene.pbx.invite(scene.uri(number), scene.remote, from_=written, to=to, hz=CALLER_HZ)
    assistant = await platform.wait_call()
    assert caller.invite
    await assistant.ring()
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    told = caller.invite.responses
    assert {100, 200} < {one.code for one in told}
    sender = unfolded(caller.local)
    for one in told:
        assert " ".join(one["From"].split()) == " ".join(sender.split()), one.start
        assert one["To"].startswith(to), one.start
        assert one["To"].count(";tag=") == (one.code > 100), one.start
    await caller.media.hears(ASSISTANT_HZ)
    assert (await assistant.reinvite(direction="sendonly")).code == 200
    ours = [await caller.wait_request("INVITE")]
    update = await caller.begin("UPDATE").final()
    assert " ".join(update["From"].split()) == " ".join(sender.split())
    assert (await assistant.hang_up()).code == 200
    ours.append(await caller.wait_request("BYE"))
    for one in ours:
        assert one["From"] == told[-1]["To"], one.start
        assert " ".join(one["To"].split()) == " ".join(sender.split()), one.start


@pytest.mark.keeps("16.59")
@pytest.mark.parametrize("line", ["main", "secret"])
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
async def test_so_does_what_is_refused_or_only_asked(scene: Scene, written: str, line: str) -> None:
    platform = await scene.platform(line)
    codes = {}
    for method, user, headers in (
        ("OPTIONS", "", []), ("OPTIONS", "nobody", []), ("INVITE", "+31699999999", []), ("BYE", "x", []),
        ("INVITE", "+31612345681", [("Require", "teleportation")]), ("REFER", "2001", []),
    ):  # fmt: skip
        uri = scene.uri(user) if user else f"sip:{scene.remote[0]}"
        call = Call(platform, scene.remote, local=f"{written};tag={token()}", far=f"<{uri};a=%62>", call_id=token())
        call.target = uri
        platform.calls.append(call)
        call.invite = call.begin(method, headers=headers)
        answer = await call.invite.final()
        codes[method, user] = answer.code
        assert " ".join(answer["From"].split()) == " ".join(unfolded(call.local).split()), answer.start
        assert answer["To"].startswith(f"{call.far};tag="), answer.start
    assert codes["INVITE", "+31699999999"] == (404 if line == "main" else 401)


@pytest.mark.keeps("16.59")
async def test_a_stranger_gets_back_what_he_wrote(scene: Scene) -> None:
    stranger = await scene.stranger()
    call = Call(
        stranger, scene.remote, local=f"{WRITTEN['parameters']};tag={token()}", far="<sip:x@y:5060>", call_id=token()
    )
    call.target = scene.uri("x")
    answer = await call.begin("OPTIONS").final()
    assert answer.code == 403
    assert answer["From"] == call.local
    assert answer["To"].startswith("<sip:x@y:5060>;tag=")
    call.close()
