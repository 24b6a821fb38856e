# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes with a request and may travel on to the person who answers: what the profile's list names, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER, LINES, codes

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer import Peer
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

REFERRED_BY = '"Bot" <sip:bot@platform.example;x=1>;cid="20398823.2UWQFN309shb3@platform.example"'


async def invite_after(scene: Scene, refer_to: str, *headers: tuple[str, str], line: str = "main") -> Message:
    """The INVITE that a REFER with these headers leads to."""
    _, assistant = await scene.bridged(line)
    accepted = await assistant.refer(refer_to, *headers)
    assert accepted.code == 202, accepted.start
    target = await scene.target()
    target.reject()
    assert codes(await assistant.notifies()) == [100, 486]
    assert target.incoming
    return target.incoming


@pytest.mark.keeps("3.9", "4.1")
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("00FA1B2C;encoding=hex", id="hex"),
        pytest.param("04526573657276656421;encoding=hex;purpose=isdn-uui;content=isdn-uui", id="isdn"),
        pytest.param('"billing question";encoding=ascii', id="text"),
        pytest.param("conversationId=5f6a;encoding=ascii", id="key-value"),
        pytest.param("PD,00;C8,{'id':'42'}", id="unquoted"),
    ],
)
async def test_user_to_user_in_any_dialect_arrives_as_it_was_sent(scene: Scene, value: str) -> None:
    invite = await invite_after(scene, ANNA, ("User-to-User", value))
    assert invite.all("User-to-User") == [value]
    assert (await scene.outcome())["context"] == {"User-to-User": value}


@pytest.mark.keeps("3.9", "4.2")
async def test_x_headers_travel_on(scene: Scene) -> None:
    invite = await invite_after(scene, ANNA, ("X-Call-ID", "abc"), ("x-summary", "billing, urgent; two"))
    assert invite["X-Call-ID"] == "abc"
    assert invite["X-Summary"] == "billing, urgent; two"


@pytest.mark.keeps("23.47")
@pytest.mark.parametrize(("line", "travels"), [("jambonz", True), ("main", False)])
async def test_the_context_of_a_trace_travels_where_the_profile_names_it(
    scene: Scene, line: str, *, travels: bool
) -> None:
    trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    state = ("tracestate", "congo=t61rcWkgMzE")
    invite = await invite_after(scene, ANNA, trace, state, line=line)
    assert [invite.all(name) for name, _ in (trace, state)] == ([[trace[1]], [state[1]]] if travels else [[], []])


@pytest.mark.keeps("3.8", "4.3")
async def test_what_is_embedded_goes_before_what_is_plain(scene: Scene) -> None:
    embedded = "<sip:+31612345681@gw?X-Topic=embedded&X-More=%22a%20b%22>"
    invite = await invite_after(scene, embedded, ("X-Topic", "plain"), ("X-Plain", "1"))
    assert invite.all("X-Topic") == ["embedded"]
    assert invite["X-More"] == '"a b"'
    assert invite["X-Plain"] == "1"


@pytest.mark.keeps("4.4")
@pytest.mark.parametrize("name", ["Referred-By", "b"])
async def test_referred_by_is_passed_on_unmodified(scene: Scene, name: str) -> None:
    invite = await invite_after(scene, ANNA, (name, REFERRED_BY))
    assert invite.all("Referred-By") == [REFERRED_BY]


@pytest.mark.keeps("16.78")
async def test_referred_by_travels_with_a_transfer_unless_the_profile_says_otherwise(scene: Scene) -> None:
    invite = await invite_after(scene, ANNA, ("Referred-By", REFERRED_BY), line="livekit")
    assert invite.all("Referred-By") == [REFERRED_BY]


async def notified(peer: Peer, count: int) -> None:
    await peer.until(lambda: len(peer.received("NOTIFY")) >= count or None, f"{count} NOTIFYs")


@pytest.mark.keeps("16.78")
async def test_referred_by_of_another_transfer_is_not_carried_on(scene: Scene) -> None:
    platform = await scene.platform("livekit")
    caller = scene.call_from_pbx("livekit", headers=[("Referred-By", "<sip:stale@pbx.inside.example>")])
    assistant = await platform.wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    assert assistant.incoming
    assert not assistant.incoming.all("Referred-By")
    for refer_to, headers, told in (
        (ANNA, [("Referred-By", REFERRED_BY)], [REFERRED_BY]),
        (ANNA, [], []),
        ("<sip:+31612345681@gw?Referred-By=%3Csip%3Astale%40x%3E>", [], []),
        ("<sip:+31612345681@gw?b=%3Csip%3Astale%40x%3E>", [("b", REFERRED_BY)], [REFERRED_BY]),
    ):
        known = len(platform.received("NOTIFY"))
        assert (await assistant.refer(refer_to, *headers)).code == 202
        target = await scene.target()
        target.reject()
        assert target.incoming
        assert target.incoming.all("Referred-By") == told
        await notified(platform, known + 2)


@pytest.mark.keeps("4.4")
async def test_referred_by_proves_nothing(scene: Scene) -> None:
    invite = await invite_after(scene, ANNA, ("Referred-By", f"<sip:{LINES['livekit'].number}@gw.example>"))
    assert CALLER in invite["From"]
    assert (await scene.outcome())["number"] == "main"


@pytest.mark.keeps("4.5")
async def test_what_the_list_does_not_name_stays_here(scene: Scene) -> None:
    others = [
        ("Subject", "secret"), ("P-Asserted-Identity", "<sip:secret@x>"), ("Diversion", "<sip:secret@x>"),
        ("Alert-Info", "<secret>"), ("Call-Info", "<sip:x>;answer-after=0;secret"), ("History-Info", "<sip:secret@x>"),
        ("P-Secret", "1"), ("Xsecret", "1"),
    ]  # fmt: skip
    invite = await invite_after(scene, ANNA, ("X-Good", "1"), *others)
    assert invite["X-Good"] == "1"
    assert b"secret" not in bytes(invite).lower()


@pytest.mark.keeps("4.5")
async def test_each_profile_has_its_own_list(scene: Scene) -> None:
    invite = await invite_after(
        scene, ANNA, ("X-Good", "1"), ("User-to-User", "secret"), ("Referred-By", "<sip:b@x>"), line="jambonz"
    )
    assert invite["X-Good"] == "1"
    assert invite["Referred-By"] == "<sip:b@x>"
    assert b"secret" not in bytes(invite)


@pytest.mark.keeps("4.5")
async def test_nobody_gives_a_transfer_another_id(scene: Scene) -> None:
    invite = await invite_after(scene, ANNA, ("X-Transfer-ID", "forged"))
    assert invite.all("X-Transfer-ID") == [(await scene.outcome())["transfer"]]


@pytest.mark.keeps("4.7")
async def test_too_much_context_is_left_behind_and_the_call_is_made(scene: Scene) -> None:
    long = [(f"X-Part-{number}", "x" * 1500) for number in range(3)]
    invite = await invite_after(scene, ANNA, ("X-First", "1"), *long, ("X-Huge", "y" * 2100), ("X-Last", "1"))
    assert invite["X-First"] == "1"
    assert invite["X-Last"] == "1"
    assert len(invite["X-Part-1"]) == 1500
    assert not invite.all("X-Part-2")
    assert not invite.all("X-Huge")


@pytest.mark.keeps("4.7")
async def test_a_value_that_is_not_utf_8_does_no_harm(scene: Scene) -> None:
    invite = await invite_after(scene, ANNA, ("X-Broken", "caf\udce9"), ("X-Good", "café"))
    assert invite["X-Good"] == "café"
    assert not invite.all("X-Broken")
    assert (await scene.outcome())["context"] == {"X-Good": "café"}


@pytest.mark.keeps("4.7")
async def test_a_folded_header_arrives_in_one_line(scene: Scene) -> None:
    invite = await invite_after(scene, ANNA, ("X-Folded", "one\r\n  two"))
    assert invite["X-Folded"] == "one two"


@pytest.mark.keeps("4.6")
async def test_the_assistant_is_told_what_the_pbx_said_of_the_caller(scene: Scene) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx(headers=[("X-Account", "42"), ("Subject", "secret"), ("X-Transfer-ID", "forged")])
    assistant = await platform.wait_call()
    assert assistant.incoming
    assert assistant.incoming["X-Account"] == "42"
    assert b"secret" not in bytes(assistant.incoming)
    assert b"forged" not in bytes(assistant.incoming)
    await assistant.answer()
    await caller.answered()


@pytest.mark.keeps("4.8")
@pytest.mark.parametrize(
    ("from_", "shown"),
    [
        pytest.param('"Eve \\"E\\" X" <sip:+31201112222@x>', '"Eve \\"E\\" X" <sip:+31201112222@', id="quotes"),
        pytest.param('"Zoë" <sip:+31201112222@pbx.example>', '"Zoë" <sip:+31201112222@', id="utf-8"),
        pytest.param("<sip:+31201112222@pbx.example>", "<sip:+31201112222@", id="no-name"),
        pytest.param('"a\udcff" <sip:6001@pbx.example>', '"a" <sip:6001@', id="not-utf-8"),
        pytest.param("<sip:an%20na@pbx.example>", "<sip:an%20na@", id="escaped"),
    ],
)  # fmt: skip
async def test_whoever_calls_is_shown_as_they_are(scene: Scene, from_: str, shown: str) -> None:
    platform = await scene.platform()
    caller = scene.pbx.invite(scene.uri(LINES["main"].number), scene.gateway.sip, from_=from_)
    assistant = await platform.wait_call()
    assert assistant.incoming
    assert assistant.incoming["From"].startswith(shown)
    await assistant.answer()
    await caller.answered()
