# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is trusted with what: strangers with nothing, and each peer with its own password alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, LINES, TARGET_HZ, codes
from tests.support.peer_call import Call
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer import Peer
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip


async def pending(scene: Scene) -> tuple[Call, Call, Call]:
    """Caller, assistant and a target that has been called for them."""
    caller, assistant = await scene.bridged()
    assert (await assistant.refer(ANNA)).code == 202
    return caller, assistant, await scene.target()


async def following(peer: Peer, known: list[Message], assistant: Call) -> Message | None:
    """The INVITE that comes after those that are known; None once the assistant is told that none will come."""

    async def either() -> list[Message]:
        told = [one for one in assistant.requests if one.method == "NOTIFY" and one.sipfrag >= 200]
        return [*peer.received("INVITE")[len(known) :], *told]

    first = (await eventually(either, "a further INVITE, or the final NOTIFY"))[0]
    return first if first.method == "INVITE" else None


# --- strangers


@pytest.mark.keeps("2.31")
async def test_a_stranger_is_refused_and_leaves_nothing_behind(scene: Scene) -> None:
    stranger = await scene.stranger()
    known = len(await scene.gateway.transfers())
    before = await scene.gateway.metric("transfer_gateway_requests_rejected_total", reason="peer-not-allowed")
    refer = await stranger.request("REFER", scene.uri("2001"), scene.gateway.sip, headers=[("Refer-To", ANNA)])
    invite = stranger.invite(scene.uri(LINES["main"].number), scene.gateway.sip)
    options = await stranger.request("OPTIONS", scene.uri("2001"), scene.gateway.sip)
    assert (refer.code, (await invite.final()).code, options.code) == (403, 403, 403)
    assert refer["Reason"] == 'SIP;cause=403;text="peer-not-allowed"'
    after = await scene.gateway.metric("transfer_gateway_requests_rejected_total", reason="peer-not-allowed")
    assert after - before == 3
    assert len(await scene.gateway.transfers()) == known
    await scene.gateway.idle()


@pytest.mark.keeps("2.31")
async def test_a_stranger_who_knows_a_dialog_cannot_transfer_it(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    stranger = await scene.stranger()
    forged = Call(stranger, assistant.remote, local=assistant.local, far=assistant.far, call_id=assistant.call_id)
    forged.target, forged.cseq = assistant.target, assistant.cseq
    stranger.calls.append(forged)
    assert (await forged.refer(ANNA)).code == 403
    await caller.media.hears(ASSISTANT_HZ)
    assert not scene.pbx.received("INVITE")


@pytest.mark.keeps("2.36")
async def test_a_refer_out_of_the_blue_is_403(scene: Scene) -> None:
    platform = await scene.platform()
    answer = await platform.request("REFER", scene.uri("2001"), scene.gateway.sip, headers=[("Refer-To", ANNA)])
    assert answer.code == 403
    assert answer["Reason"] == 'SIP;cause=403;text="forbidden-target"'


# --- the PBX wants a password


@pytest.mark.keeps("2.37")
@pytest.mark.parametrize("code", [401, 407])
async def test_a_challenge_of_the_pbx_is_answered(scene: Scene, code: int) -> None:
    caller, assistant, target = await pending(scene)
    name, answer = (
        ("WWW-Authenticate", "Authorization") if code == 401 else ("Proxy-Authenticate", "Proxy-Authorization")
    )
    target.reject(code, headers=[(name, 'Digest realm="pbx", nonce="abc", algorithm=MD5, qop="auth"')])
    again = await target.wait_request("INVITE")
    assert 'username="gw"' in again[answer]
    assert "battery" not in again[answer]
    target.incoming = again
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 200]


def asked(name: str, nonce: str, more: str, realm: str = "pbx") -> tuple[str, str]:
    """A challenge, told apart by its nonce."""
    return name, f'Digest realm="{realm}", nonce="{nonce}", {more}'


WWW, PROXY = "WWW-Authenticate", "Proxy-Authenticate"
STRONG, WEAK = 'algorithm=SHA-256, qop="auth"', 'algorithm=MD5, qop="auth"'


@pytest.mark.keeps("16.79")
@pytest.mark.parametrize(
    ("challenges", "answered"),
    [
        ([asked(WWW, "one", STRONG), asked(WWW, "two", WEAK)], ["one"]),
        ([asked(WWW, "one", WEAK), asked(WWW, "two", STRONG)], ["one"]),
        ([asked(WWW, "one", STRONG), asked(WWW, "two", STRONG)], ["one"]),
        ([asked(WWW, "one", "algorithm=MD7"), asked(WWW, "two", STRONG), asked(WWW, "three", WEAK)], ["two"]),
        ([asked(WWW, "one", 'algorithm=MD5, qop="auth-int"'), asked(WWW, "two", 'qop="auth-int, auth"')], ["two"]),
        ([asked(WWW, "one", STRONG), asked(WWW, "two", 'algorithm=SHA-256, qop="auth-int"')], ["one"]),
        ([asked(WWW, "one", 'algorithm=AKAv1-MD5, qop="auth"'), asked(WWW, "two", WEAK)], ["two"]),
        ([asked(WWW, "one", STRONG), asked(WWW, "two", WEAK, "PBX")], ["one"]),
        (
            [asked(WWW, "one", STRONG, "a"), asked(WWW, "two", WEAK, "b"), asked(WWW, "three", WEAK, "a")],
            ["one", "two"],
        ),
        (
            [asked(PROXY, "one", STRONG, "a"), asked(WWW, "two", WEAK, "b"), asked(WWW, "three", STRONG, "b")],
            ["one", "two"],
        ),
    ],
)
async def test_the_topmost_challenge_of_each_realm_is_answered(
    scene: Scene, challenges: list[tuple[str, str]], answered: list[str]
) -> None:
    _, assistant, target = await pending(scene)
    target.answers["INVITE"] = None
    target.reject(407 if challenges[0][0] == PROXY else 401, headers=challenges)
    again = await target.wait_request("INVITE")
    given = [*again.all("Authorization"), *again.all("Proxy-Authorization")]
    assert sorted(value.partition('nonce="')[2].partition('"')[0] for value in given) == sorted(answered)
    target.respond(again, 486)
    assert codes(await assistant.notifies()) == [100, 486]


@pytest.mark.keeps("2.37")
async def test_a_pbx_that_takes_no_password_of_ours_is_a_failure(scene: Scene) -> None:
    caller, assistant, target = await pending(scene)
    target.answers["INVITE"] = None
    told: list[Message] = []
    while len(told) < 6 and (invite := await following(scene.pbx, told, assistant)):
        # A new nonce every time, as from a PBX that has forgotten the one before.
        challenge = f'Digest realm="pbx", nonce="nonce-{len(told)}", algorithm=MD5, qop="auth"'
        target.respond(invite, 401, headers=[("WWW-Authenticate", challenge)])
        told.append(invite)
    assert 2 <= len(told) < 6
    assert codes(await assistant.notifies()) == [100, 401]
    await caller.media.hears(ASSISTANT_HZ)


@pytest.mark.keeps("2.39")
async def test_the_pbx_password_is_not_for_the_platform(scene: Scene) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx()
    assistant = await platform.wait_call()
    assistant.reject(401, headers=[("WWW-Authenticate", 'Digest realm="pbx", nonce="abc", algorithm=MD5, qop="auth"')])
    assert (await caller.final()).code >= 400
    assert len(platform.received("INVITE")) == 1
    assert not any(message.all("Authorization") for message in platform.received("INVITE"))
