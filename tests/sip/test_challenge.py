# SPDX-License-Identifier: GPL-2.0-or-later
"""A trunk that has to show its password, for INVITE and REFER (RFC 3261 §22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, CALLER_HZ, TARGET_HZ, TRUNK_PASSWORD, codes

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

LINE = "secret"


def credentials(
    challenged: Message,
    method: str,
    uri: str,
    *,
    algorithm: str = "SHA-256",
    password: str = TRUNK_PASSWORD,
    username: str = "hms",
    count: int = 1,
) -> tuple[str, str]:
    """An Authorization header that answers a 401, worked out by RFC 7616 §3.4.1."""
    offered = [value for value in challenged.all("WWW-Authenticate") if f"algorithm={algorithm}" in value]
    assert len(offered) == 1, challenged
    fields = {
        name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', offered[0])
    }
    make = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}[algorithm]

    def digest(*parts: str) -> str:
        return make(":".join(parts).encode()).hexdigest()

    secret, request = digest(username, fields["realm"], password), digest(method, uri)
    response = digest(secret, fields["nonce"], f"{count:08x}", "0a4f113b", "auth", request)
    return "Authorization", (
        f'Digest username="{username}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm={algorithm}, cnonce="0a4f113b", opaque="{fields["opaque"]}", qop=auth, '
        f"nc={count:08x}"
    )


async def call(scene: Scene, *headers: tuple[str, str], uri: str | None = None) -> Call:
    """The platform calls a destination."""
    platform = await scene.platform(LINE)
    return platform.invite(uri or scene.uri("+31612345681"), scene.gateway.sip, headers=headers, hz=CALLER_HZ)


async def challenged(scene: Scene) -> Message:
    """The response to a call without credentials."""
    answer = await (await call(scene)).final()
    assert answer.code == 401
    return answer


@pytest.mark.keeps("5.1")
async def test_a_call_without_a_password_is_challenged_and_makes_nothing(scene: Scene) -> None:
    known = len(await scene.gateway.transfers())
    answer = await challenged(scene)
    best, other = answer.all("WWW-Authenticate")
    for offered, algorithm in ((best, "SHA-256"), (other, "MD5")):
        assert offered.startswith("Digest ")
        assert f"algorithm={algorithm}" in offered
        assert 'qop="auth"' in offered
        assert "stale" not in offered
    assert len(await scene.gateway.transfers()) == known
    assert not scene.pbx.received("INVITE")


@pytest.mark.keeps("3.4", "5.2")
@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
async def test_a_call_with_the_password_goes_through(scene: Scene, algorithm: str) -> None:
    answer = await challenged(scene)
    uri = scene.uri("+31612345681")
    caller = await call(scene, credentials(answer, "INVITE", uri, algorithm=algorithm))
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    await caller.answered()
    await caller.media.hears(TARGET_HZ)
    assert target.incoming
    assert not target.incoming.all("Authorization")


@pytest.mark.keeps("5.5")
@pytest.mark.parametrize("wrong", [{"password": "wrong horse"}, {"username": "other"}], ids=["password", "username"])
async def test_a_wrong_password_is_challenged_again_and_counted(scene: Scene, wrong: dict[str, str]) -> None:
    before = await scene.gateway.rejected_so_far()
    answer = await challenged(scene)
    header = credentials(answer, "INVITE", scene.uri("+31612345681"), **wrong)  # type: ignore[arg-type]  # all str
    again = await (await call(scene, header)).final()
    assert again.code == 401
    assert "stale" not in again["WWW-Authenticate"]
    assert await scene.gateway.rejected() - before == 1
    assert not scene.pbx.received("INVITE")
    assert TRUNK_PASSWORD not in scene.gateway.log


@pytest.mark.keeps("5.6")
async def test_what_was_overheard_is_of_no_use(scene: Scene) -> None:
    answer = await challenged(scene)
    uri = scene.uri("+31612345681")
    header = credentials(answer, "INVITE", uri)
    first = await call(scene, header)
    (await scene.target()).reject()
    await first.final()
    replayed = await (await call(scene, header)).final()
    assert replayed.code == 401
    assert all("stale=true" in value for value in replayed.all("WWW-Authenticate"))
    elsewhere = scene.uri("+31612345678")
    assert (await (await call(scene, header, uri=elsewhere)).final()).code in (400, 401)
    assert len(scene.pbx.received("INVITE")) == 1


@pytest.mark.keeps("5.8")
async def test_credentials_for_another_uri_are_a_bad_request(scene: Scene) -> None:
    answer = await challenged(scene)
    header = credentials(answer, "INVITE", scene.uri("+31612345678"))
    assert (await (await call(scene, header)).final()).code == 400
    assert not scene.pbx.received("INVITE")


@pytest.mark.keeps("5.7")
async def test_a_nonce_serves_again_with_the_next_count(scene: Scene) -> None:
    answer = await challenged(scene)
    uri = scene.uri("+31612345681")
    for count in (1, 2):
        caller = await call(scene, credentials(answer, "INVITE", uri, count=count))
        (await scene.target()).reject()
        assert (await caller.final()).code == 486


@pytest.mark.keeps("5.7")
async def test_a_repeated_invite_is_not_taken_for_a_replay(scene: Scene) -> None:
    answer = await challenged(scene)
    caller = await call(scene, credentials(answer, "INVITE", scene.uri("+31612345681")))
    target = await scene.target()
    assert caller.invite
    caller.invite.resend()
    await target.answer()
    assert (await caller.final()).code == 200
    assert len(scene.pbx.received("INVITE")) == 1


@pytest.mark.keeps("5.3")
async def test_a_refer_in_a_call_is_challenged_too(scene: Scene) -> None:
    caller, assistant = await scene.bridged(LINE)
    first = await assistant.refer(ANNA)
    assert first.code == 401
    assert not scene.pbx.received("INVITE")
    accepted = await assistant.refer(ANNA, credentials(first, "REFER", assistant.target))
    assert accepted.code == 202
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    notifies = await assistant.notifies()
    assert codes(notifies) == [100, 200]
    assert {notify["Event"] for notify in notifies} == {"refer"}  # the one before made no subscription
    await caller.media.hears(TARGET_HZ)


@pytest.mark.keeps("5.3")
async def test_a_refer_out_of_the_blue_is_challenged_before_it_is_refused(scene: Scene) -> None:
    platform = await scene.platform(LINE)
    uri = scene.uri("2001")
    first = await platform.request("REFER", uri, scene.gateway.sip, headers=[("Refer-To", ANNA)])
    assert first.code == 401
    header = credentials(first, "REFER", uri)
    second = await platform.request("REFER", uri, scene.gateway.sip, headers=[("Refer-To", ANNA), header])
    assert second.code == 403


@pytest.mark.keeps("5.4")
async def test_what_ends_a_call_is_never_challenged(scene: Scene) -> None:
    answer = await challenged(scene)
    caller = await call(scene, credentials(answer, "INVITE", scene.uri("+31612345681")))
    target = await scene.target()
    await target.ring()
    assert caller.invite
    await caller.invite.provisional(180)
    assert (await caller.cancel()).code == 200
    assert (await caller.final()).code == 487
    _, assistant = await scene.bridged(LINE)
    assert (await assistant.hang_up()).code == 200
    options = await (await scene.platform(LINE)).request("OPTIONS", scene.uri("2001"), scene.gateway.sip)
    assert options.code == 200


@pytest.mark.keeps("5.9")
@pytest.mark.parametrize("value", ['Digest realm="{}"', 'Digest username="hms", realm="{}", nonce="", response=""'])
async def test_half_a_password_is_none(scene: Scene, value: str) -> None:
    answer = await (await call(scene, ("Authorization", value.format(scene.net.gateway)))).final()
    assert answer.code in (400, 401)
    assert not scene.pbx.received("INVITE")


@pytest.mark.keeps("5.9")
@pytest.mark.parametrize("value", ["Digest", "Basic aG1zOng=", 'Digest realm="', "Digest " + "a=b," * 400])
async def test_what_cannot_be_read_opens_nothing(scene: Scene, value: str) -> None:
    platform = await scene.platform(LINE)
    await call(scene, ("Authorization", value))  # PJSIP drops what it cannot parse, as if it had been lost
    assert (await platform.request("OPTIONS", scene.uri("2001"), scene.gateway.sip)).code == 200
    assert not scene.pbx.received("INVITE")


@pytest.mark.keeps("5.10")
async def test_a_trunk_that_need_not_show_a_password_is_not_asked(scene: Scene) -> None:
    platform = await scene.platform()
    caller = platform.invite(scene.uri("+31612345681"), scene.gateway.sip)
    (await scene.target()).reject()
    assert (await caller.final()).code == 486


@pytest.mark.keeps("2.38")
async def test_a_challenge_of_the_trunk_is_answered_for_invite_and_notify(scene: Scene) -> None:
    platform = await scene.platform(LINE)
    caller = scene.call_from_pbx(LINE)
    assistant = await platform.wait_call()
    asks = [("Proxy-Authenticate", 'Digest realm="platform", nonce="abc", algorithm=SHA-256, qop="auth"')]
    assistant.reject(407, headers=asks)
    again = await assistant.wait_request("INVITE")
    assert 'username="hms"' in again["Proxy-Authorization"]
    assistant.incoming = again
    await assistant.answer()
    await caller.answered()

    assistant.answers["NOTIFY"] = None
    first = await assistant.refer(ANNA)
    assert (await assistant.refer(ANNA, credentials(first, "REFER", assistant.target))).code == 202
    notify = await assistant.wait_notify()
    assistant.respond(notify, 407, headers=asks)
    repeated = await assistant.wait_notify()
    assert codes([notify, repeated]) == [100, 100]
    assert repeated.cseq[0] == notify.cseq[0] + 1
    assert 'username="hms"' in repeated["Proxy-Authorization"]
    assistant.answers["NOTIFY"] = 200
    assistant.respond(repeated, 200)
    (await scene.target()).reject()
    assert codes(await assistant.notifies())[-1] == 486
