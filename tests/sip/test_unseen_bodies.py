# SPDX-License-Identifier: GPL-2.0-or-later
"""A body that PJSIP does not see is never taken for none (RFC 3261 §7.4.1, §20.15), played with real bytes.

It is not seen where there is no Content-Type, where that cannot be read, and where a header before it cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ
from tests.support.peer_call import Call
from tests.support.sip_message import Message, token

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip

TYPE = "Content-Type: application/sdp"
BROKEN = {
    "no-colon": ["Broken", TYPE],
    "uri": ["Contact: <sip:", TYPE],
    "quote": ['Contact: "Eve <sip:eve@127.0.0.1>', TYPE],
    "number": ["Max-Forwards: abc", TYPE],
    "no-name": [": x", TYPE],
    "blank-in-name": ["X Odd: x", TYPE],
    "byte-in-name": ["X\xffOdd: x", TYPE],
    "zero": ["X-Odd: a\0b", TYPE],
    "return-in-value": ["X-Odd: a\rb", TYPE],
    "empty-list": ["Contact: ,", TYPE],
    "route": ["Route: x", TYPE],
    "timer": ["Min-SE: x", TYPE],
    "length": ["Content-Length: x", TYPE],
    "type": ["Content-Type: sdp"],
    "empty-type": ["Content-Type: "],
}
HEADLESS = {
    "untyped": [],
    "after-an-empty-line": ["X-Odd: a\r\r", TYPE],
    "after-another-empty-line": ["X-Odd: a\n\n", TYPE],
}
DESCRIBING = ["INVITE", "UPDATE", "PRACK"]


def bytes_of(call: Call, method: str, lines: list[str], body: bytes) -> bytes:
    """A request of the call's next CSeq, with these lines as they are between the headers that it needs."""
    call.cseq += 1
    own = [f"{name}: {value}" for name, value in call._headers(method, call.cseq)]
    more = [f"RAck: 1 {call.cseq - 1} INVITE"] if method == "PRACK" else [f"Contact: <{call.peer.contact}>"]
    head = [f"{method} {call.target} SIP/2.0", *own, *more, *lines]
    if not any(line.startswith("Content-Length") for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


async def answer(call: Call, method: str, lines: list[str], body: bytes | None = None) -> Message:
    """The final response to such a request."""
    call.peer.send_raw(bytes_of(call, method, lines, call.offer() if body is None else body), call.remote)
    wanted = f"{call.cseq} {method}"

    def final() -> Message | None:
        came = [one.message for one in call.peer.trace if not one.sent and not one.message.is_request]
        mine = [one for one in came if one["Call-ID"] == call.call_id and one["CSeq"] == wanted]
        return next((one for one in mine if one.code >= 200), None)

    told = await call.peer.until(final, f"final response to {method}", 5)
    if method == "INVITE":
        ack = Message(f"ACK {call.target} SIP/2.0", call._headers("ACK", call.cseq))
        ack.headers[0] = ("Via", told["Via"])
        call.peer.send(ack, call.remote)
    return told


async def talk(caller: Call, assistant: Call) -> None:
    """They hear each other."""
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)


@pytest.mark.keeps("16.9")
@pytest.mark.parametrize("method", [*DESCRIBING, "INFO", "MESSAGE"])
async def test_a_header_that_cannot_be_read_before_the_type_is_a_bad_request(scene: Scene, method: str) -> None:
    caller, assistant = await scene.bridged()
    told = {name: (await answer(caller, method, lines)).code for name, lines in BROKEN.items()}
    assert told == dict.fromkeys(BROKEN, 400)
    await talk(caller, assistant)


@pytest.mark.keeps("16.9")
@pytest.mark.parametrize("method", [*DESCRIBING, "INFO", "REFER"])
async def test_a_body_without_a_type_is_a_bad_request(scene: Scene, method: str) -> None:
    caller, assistant = await scene.bridged()
    body = b"Signal=1\r\nDuration=160\r\n" if method == "INFO" else None
    told = {name: (await answer(caller, method, lines, body)).code for name, lines in HEADLESS.items()}
    assert told == dict.fromkeys(HEADLESS, 481 if method == "PRACK" else 400)  # there is nothing to acknowledge
    await talk(caller, assistant)


@pytest.mark.keeps("16.9")
async def test_what_is_not_served_is_405_and_what_ends_a_call_ends_it(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assert (await answer(caller, "MESSAGE", HEADLESS["untyped"])).code == 405
    assert (await answer(caller, "BYE", HEADLESS["untyped"])).code == 200
    await assistant.wait_request("BYE")


@pytest.mark.keeps("16.9")
@pytest.mark.parametrize("lines", [*BROKEN.values(), *HEADLESS.values()], ids=[*BROKEN, *HEADLESS])
async def test_a_first_invite_is_a_bad_request_and_nobody_is_called(scene: Scene, lines: list[str]) -> None:
    platform = await scene.platform()
    uri = scene.uri(scene.number("main"))
    call = Call(scene.pbx, scene.remote, local=f"<sip:a@b>;tag={token()}", far=f"<{uri}>", call_id=token())
    call.target = uri
    scene.pbx.calls.append(call)
    assert (await answer(call, "INVITE", lines)).code == 400
    assert not platform.received("INVITE")


@pytest.mark.keeps("16.9")
@pytest.mark.parametrize("lines", [*HEADLESS.values(), ["Content-Type: sdp"]], ids=[*HEADLESS, "type"])
async def test_an_answer_in_an_ack_that_is_not_seen_leaves_the_call(scene: Scene, lines: list[str]) -> None:
    caller, assistant = await scene.bridged()
    caller.keeps_ack = True
    assert (await caller.reinvite(delayed=True)).code == 200
    assert caller.ack
    body = caller.ack.body
    caller.cseq -= 1  # an ACK has its INVITE's
    caller.peer.send_raw(bytes_of(caller, "ACK", lines, body), caller.remote)
    await talk(caller, assistant)
