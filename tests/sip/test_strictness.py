# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that are bad in themselves get the code that RFC 3261 §8.2 has for them, in a call and outside of one.

They are made from the RFCs' text. None of them disturbs a call, and each is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scenario import both_hear_anew
from tests.sip.scene import ANNA, ASSISTANT_HZ, LINES, TARGET_HZ
from tests.support.peer_call import Call
from tests.support.sip_message import Message, token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.sip.scene import Scene
    from tests.support.peer import Peer
    from tests.support.sip_message import Address


pytestmark = pytest.mark.sip
TWICE = [
    ("From", "<sip:mallory@elsewhere.example>;tag=other"), ("f", "<sip:mallory@elsewhere.example>;tag=other"),
    ("To", "<sip:other@gateway.example>"), ("t", "<sip:other@gateway.example>"), ("Call-ID", "another"),
    ("i", "another"), ("CSeq", "99 {method}"), ("Max-Forwards", "5"), ("Content-Length", "7"), ("l", "7"),
]  # fmt: skip
"""Beside the right one (RFC 3261 §8.1.1, RFC 4475 §3.3.8)."""
PAIRS = [
    ("Content-Type", "application/sdp", "c", "text/plain"), ("Expires", "60", "Expires", "61"),
    ("Event", "refer", "o", "presence"), ("Session-Expires", "1800", "x", "900"), ("Min-SE", "90", "Min-SE", "91"),
    ("Subject", "one", "s", "two"), ("Content-Disposition", "session", "content-disposition", "render"),
    ("Referred-By", "<sip:a@b.example>", "b", "<sip:c@d.example>"),
]  # fmt: skip


async def answer_to(peer: Peer, request: Message, remote: Address) -> Message:
    """The final response to a request, whatever its CSeq says."""
    peer.send(request, remote)

    def final() -> Message | None:
        arrived = [one.message for one in peer.trace if not one.sent and not one.message.is_request]
        return next((one for one in arrived if one.branch == request.branch and one.code >= 200), None)

    told = await peer.until(final, f"final response to {request.start}")
    if request.method == "INVITE":
        own = [(name, value) for name, value in request.headers if name in ("Via", "From", "Call-ID", "Max-Forwards")][
            :4
        ]
        ack = [*own, ("To", told["To"]), ("CSeq", f"{told.cseq[0]} ACK")]
        peer.send(Message(f"ACK {request.uri} SIP/2.0", ack), remote)
    return told


def outside(scene: Scene, peer: Peer, method: str, *more: tuple[str, str], uri: str | None = None) -> Message:
    """A request outside of any dialog."""
    target = uri or f"sip:{scene.remote[0]}"
    call = Call(peer, scene.remote, local=f"<{peer.contact}>;tag={token()}", far="<sip:gw@g.example>", call_id=token())
    call.close()
    return Message(f"{method} {target} SIP/2.0", [*call._headers(method, 1), *more])


def inside(call: Call, method: str, *more: tuple[str, str]) -> Message:
    """A request in the dialog of a call."""
    call.cseq += 1
    return Message(f"{method} {call.target} SIP/2.0", [*call._headers(method, call.cseq), *more])


def filled(pairs: Sequence[tuple[str, str]], method: str) -> list[tuple[str, str]]:
    return [(name, value.format(method=method)) for name, value in pairs]


async def rejected(scene: Scene, reason: str = "bad-request") -> float:
    return await scene.gateway.metric("transfer_gateway_requests_rejected_total", reason=reason)


@pytest.mark.keeps("16.32")
@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "BYE", "SUBSCRIBE"])
async def test_contradictory_headers_outside_of_a_dialog_are_400(scene: Scene, method: str) -> None:
    platform = await scene.platform()
    before = await rejected(scene)
    contact = ("Contact", f"<{platform.contact}>")
    for pair in filled(TWICE, method):
        told = await answer_to(platform, outside(scene, platform, method, contact, pair), scene.remote)
        assert told.code == 400, (pair, told.start)
        assert told["Reason"] == 'SIP;cause=400;text="bad-request"'
    assert await rejected(scene) == before + len(TWICE)
    for name, value, again, other in PAIRS:
        request = outside(scene, platform, method, contact, (name, value), (again, other))
        told = await answer_to(platform, request, scene.remote)
        assert told.code == 400, (name, told.start)
    assert not scene.pbx.received("INVITE")


@pytest.mark.keeps("16.32")
@pytest.mark.parametrize("method", ["OPTIONS", "INFO", "INVITE", "UPDATE", "REFER", "BYE"])
async def test_contradictory_headers_in_a_call_are_400_and_the_call_goes_on(scene: Scene, method: str) -> None:
    caller, assistant = await scene.bridged()
    refer = [("Refer-To", ANNA)] if method == "REFER" else []
    for pair in filled(TWICE, method):
        if pair[0] in ("To", "t", "Call-ID", "i"):  # whose dialog it is would be another question
            continue
        told = await answer_to(assistant.peer, inside(assistant, method, pair, *refer), scene.remote)
        assert told.code == 400, (pair, told.start)
    await both_hear_anew(caller, assistant)
    assert not assistant.peer.received("NOTIFY")


@pytest.mark.keeps("16.32")
async def test_a_header_that_says_the_same_twice_contradicts_nothing(scene: Scene) -> None:
    platform = await scene.platform()
    told = await answer_to(platform, outside(scene, platform, "OPTIONS", ("Max-Forwards", "70")), scene.remote)
    assert told.code == 200


@pytest.mark.keeps("16.32")
@pytest.mark.parametrize(("method", "named"), [("OPTIONS", "INVITE"), ("INFO", "BYE"), ("BYE", "INFO")])
async def test_a_cseq_of_another_method_is_400(scene: Scene, method: str, named: str) -> None:
    platform = await scene.platform()
    caller, assistant = await scene.bridged()
    for request in (outside(scene, platform, method), inside(assistant, method)):
        number = request.cseq[0]
        request.headers = [(name, f"{number} {named}" if name == "CSeq" else value) for name, value in request.headers]
        told = await answer_to(platform, request, scene.remote)
        assert told.code == 400
        assert told["CSeq"] == f"{number} {named}"
    await both_hear_anew(caller, assistant)


@pytest.mark.keeps("16.31")
@pytest.mark.parametrize(
    "contact",
    ["<mailto:a@b.example>", "<tel:+31201112222>", "<http://b.example/>", "*", "<sip:a@127.0.0.9>, <sip:b@127.0.0.9>"],
)
async def test_a_call_whose_contact_cannot_be_reached_by_sip_is_400(scene: Scene, contact: str) -> None:
    before = await rejected(scene)
    call = scene.pbx.invite(scene.uri(LINES["main"].number), scene.remote, headers=[("Contact", contact)])
    told = await call.final()
    assert told.code == 400, told.start
    assert "Retry-After" not in dict(told.headers)
    assert await rejected(scene) == before + 1


@pytest.mark.keeps("16.31")
async def test_a_call_without_a_contact_is_400(scene: Scene) -> None:
    request = outside(scene, scene.pbx, "INVITE", uri=scene.uri(LINES["main"].number))
    told = await answer_to(scene.pbx, request, scene.remote)
    assert told.code == 400
    assert told.get("Retry-After") is None


@pytest.mark.keeps("16.31")
async def test_a_route_back_that_is_none_of_sip_is_400(scene: Scene) -> None:
    route = ("Record-Route", "<tel:+31201112222>")
    told = await scene.pbx.invite(scene.uri(LINES["main"].number), scene.remote, headers=[route]).final()
    assert told.code == 400
    assert told.get("Retry-After") is None


@pytest.mark.keeps("16.31")
@pytest.mark.parametrize("contact", ["<tel:+31201112222>", "<sip:a@127.0.0.9>, <sip:b@127.0.0.9>"])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_nobody_moves_to_where_sip_does_not_reach(scene: Scene, method: str, contact: str) -> None:
    caller, assistant = await scene.bridged()
    answer = await assistant.begin(
        method, headers=[("Contact", contact)], body=assistant.offer(), content_type="application/sdp"
    ).final()
    assert answer.code == 400
    await both_hear_anew(caller, assistant)


@pytest.mark.keeps("16.34")
@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "INFO", "UPDATE", "BYE", "MESSAGE", "SUBSCRIBE"])
async def test_what_a_request_requires_and_nobody_has_is_420(scene: Scene, method: str) -> None:
    platform = await scene.platform()
    caller, assistant = await scene.bridged()
    before = await rejected(scene, "unsupported-extension")
    more = [("Require", "timer, nothingSupportsThis"), ("Require", "norThis"), ("Contact", f"<{platform.contact}>")]
    for request in (outside(scene, platform, method, *more), inside(assistant, method, *more)):
        told = await answer_to(platform, request, scene.remote)
        assert told.code == 420, told.start
        assert told["Unsupported"] == "nothingSupportsThis, norThis"
    assert await rejected(scene, "unsupported-extension") == before + 2
    await both_hear_anew(caller, assistant)


@pytest.mark.keeps("16.34")
async def test_a_cancel_may_require_what_it_likes(scene: Scene) -> None:
    """RFC 3261 §8.2.2.3: a Require in a CANCEL is to be ignored, and so in an ACK."""
    await scene.platform()
    call = scene.call_from_pbx()
    assert call.invite
    await call.invite.provisional(100)
    kept = ("via", "from", "to", "call-id", "max-forwards")
    own = [(name, value) for name, value in call.invite.request.headers if name.lower() in kept]
    request = call.invite.request
    cancel = Message(f"CANCEL {request.uri} SIP/2.0", [*own, ("CSeq", f"{request.cseq[0]} CANCEL"), ("Require", "foo")])
    assert (await scene.pbx.transact(cancel, scene.remote).final()).code == 200
    assert (await call.final()).code == 487


@pytest.mark.keeps("16.35")
@pytest.mark.parametrize("uri", ["mailto:a@b.example", "soap.beep://192.0.2.103:3002", "nobodyKnows:thisScheme"])
@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "MESSAGE"])
async def test_a_request_uri_of_another_scheme_is_416(scene: Scene, method: str, uri: str) -> None:
    """RFC 4475 §3.3.2 and §3.3.3."""
    platform = await scene.platform()
    contact = ("Contact", f"<{platform.contact}>")
    told = await answer_to(platform, outside(scene, platform, method, contact, uri=uri), scene.remote)
    assert told.code == 416, told.start
    assert told["Reason"] == 'SIP;cause=416;text="bad-request"'


@pytest.mark.keeps("16.36")
@pytest.mark.parametrize("scheme", ["Bearer abc.def.ghi", "Basic dXNlcjpwYXNz", "Negotiate YII=", "bearer x,Digest y"])
@pytest.mark.parametrize("name", ["Authorization", "Proxy-Authorization", "authorization"])
async def test_credentials_that_nobody_asked_for_are_ignored(scene: Scene, name: str, scheme: str) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx(headers=[(name, scheme)])
    assistant = await platform.wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    await both_hear_anew(caller, assistant)
    assert (await assistant.begin("OPTIONS", headers=[(name, scheme)]).final()).code == 200
    assert (await assistant.hang_up((name, scheme))).code == 200


@pytest.mark.keeps("16.36")
async def test_credentials_of_another_scheme_are_challenged_where_a_password_is_wanted(scene: Scene) -> None:
    platform = await scene.platform("secret")
    call = platform.invite(scene.uri("+31612345681"), scene.remote, headers=[("Authorization", "Bearer abc")])
    told = await call.final()
    assert told.code == 401
    assert told.all("WWW-Authenticate")[0].startswith("Digest ")


@pytest.mark.keeps("16.36")
async def test_a_challenge_of_another_scheme_does_not_hide_the_one_that_we_can_answer(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    anna = await scene.referred(assistant)
    digest = 'Digest realm="pbx", nonce="abc", algorithm=MD5, qop="auth"'
    anna.reject(401, [("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", digest)])
    again = await anna.wait_request("INVITE")
    assert again["Authorization"].startswith("Digest ")
    anna.incoming = again
    await anna.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    assert (await assistant.notifies())[-1].sipfrag == 200


@pytest.mark.keeps("16.32")
async def test_strangers_are_told_nothing_of_what_is_wrong(scene: Scene) -> None:
    stranger = await scene.stranger()
    request = outside(scene, stranger, "OPTIONS", ("Require", "foo"))
    stranger.send(request, scene.remote)
    request = outside(scene, stranger, "INVITE", ("CSeq", "7 INVITE"))
    stranger.send(request, scene.remote)
    platform = await scene.platform()
    assert (await platform.request("OPTIONS", f"sip:{scene.remote[0]}", scene.remote)).code == 200
    assert not {one.message.code for one in stranger.trace if not one.sent} - {403}
