# SPDX-License-Identifier: GPL-2.0-or-later
"""A trunk with `challenge` shows its password within calls too, where it would change them (RFC 3261 §22.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, codes
from tests.sip.test_challenge import LINE, call, challenged, credentials
from tests.support.sip_message import direction_of

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

METHODS = ["INVITE", "UPDATE"]


async def hold(call: Call, method: str, *headers: tuple[str, str], direction: str = "sendonly") -> Message:
    """The platform changes the direction of its media."""
    return await call.reinvite(method=method, direction=direction, headers=headers)


@pytest.mark.keeps("16.23")
@pytest.mark.parametrize("method", METHODS)
async def test_what_changes_a_call_is_challenged(scene: Scene, method: str) -> None:
    caller, assistant = await scene.bridged(LINE)
    first = await hold(assistant, method)
    assert first.code == 401
    assert "algorithm=SHA-256" in first.all("WWW-Authenticate")[0]
    assert not [one for one in caller.requests if one.method in METHODS]
    assistant.direction = "sendrecv"
    await caller.media.hears(ASSISTANT_HZ)
    held = await hold(assistant, method, credentials(first, method, assistant.target))
    assert held.code == 200
    assert direction_of(held.body) == "recvonly"
    next_one = credentials(first, method, assistant.target, count=2)
    assert (await hold(assistant, method, next_one, direction="sendrecv")).code == 200
    await assistant.media.hears(CALLER_HZ)


@pytest.mark.keeps("16.24")
@pytest.mark.parametrize("method", METHODS)
async def test_a_wrong_password_changes_nothing_and_is_counted(scene: Scene, method: str) -> None:
    caller, assistant = await scene.bridged(LINE)
    first = await hold(assistant, method)
    before = await scene.gateway.rejected_so_far()
    wrong = credentials(first, method, assistant.target, password="wrong horse")
    assert (await hold(assistant, method, wrong)).code == 401
    assert await scene.gateway.rejected() - before == 1
    elsewhere = ("Contact", "<sip:mallory@127.0.0.99:5060>")
    assert (await assistant.reinvite(method=method, headers=[elsewhere])).code == 401
    assert (await caller.hang_up()).code == 200
    await assistant.wait_request("BYE")  # where it always was


@pytest.mark.keeps("16.24")
@pytest.mark.parametrize("method", METHODS)
async def test_the_credentials_of_one_request_open_no_other(scene: Scene, method: str) -> None:
    _, assistant = await scene.bridged(LINE)
    first = await hold(assistant, method)
    own = credentials(first, method, assistant.target)
    assert (await hold(assistant, method, own)).code == 200
    replayed = await hold(assistant, method, own, direction="sendrecv")
    assert replayed.code == 401
    assert "stale=true" in replayed["WWW-Authenticate"]
    refer = await assistant.refer(ANNA, own)
    assert refer.code == 401


@pytest.mark.keeps("16.23")
async def test_a_request_that_asks_for_our_offer_is_challenged(scene: Scene) -> None:
    _, assistant = await scene.bridged(LINE)
    first = await assistant.reinvite(delayed=True)
    assert first.code == 401
    header = credentials(first, "INVITE", assistant.target)
    assert (await assistant.reinvite(delayed=True, headers=[header])).code == 200


@pytest.mark.keeps("16.25")
@pytest.mark.parametrize("method", METHODS)
async def test_a_refresh_that_changes_nothing_keeps_the_session_of_who_ignores_challenges(
    scene: Scene, method: str
) -> None:
    caller, assistant = await scene.bridged(LINE)
    for headers in ([], [("Session-Expires", "1800;refresher=uac"), ("Supported", "timer")]):
        assert (await assistant.reinvite(method=method, headers=headers)).code == 200
    if method == "UPDATE":
        assert (
            await assistant.begin("UPDATE", headers=[("Session-Expires", "1800;refresher=uac")]).final()
        ).code == 200
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)


@pytest.mark.keeps("16.23")
async def test_who_calls_us_is_challenged_in_the_call_as_well(scene: Scene) -> None:
    answer = await challenged(scene)
    caller = await call(scene, credentials(answer, "INVITE", scene.uri("+31612345681")))
    target = await scene.target()
    await target.answer(hz=TARGET_HZ)
    await caller.answered()
    assert (await hold(caller, "INVITE")).code == 401
    header = credentials(answer, "INVITE", caller.target, count=2)
    assert (await hold(caller, "INVITE", header)).code == 200


@pytest.mark.keeps("16.24")
async def test_what_is_asserted_without_the_password_counts_for_nobody(scene: Scene) -> None:
    answer = await challenged(scene)
    caller = await call(scene, credentials(answer, "INVITE", scene.uri("+31612345681")))
    bob = await scene.target()
    await bob.answer(hz=TARGET_HZ)
    await caller.answered()
    asserted = ("P-Asserted-Identity", '"Mallory" <sip:+31209999999@platform.example>')
    assert (await caller.reinvite(method="UPDATE", headers=[asserted])).code == 200
    assert (await bob.refer("<sip:+31612345678@gw.example>")).code == 202
    sales = await scene.target("sales")
    assert sales.incoming
    assert "+31209999999" not in str(sales.incoming)
    sales.reject()
    assert codes(await bob.notifies())[-1] == 486


@pytest.mark.keeps("16.25")
@pytest.mark.parametrize("with_credentials", [False, True])
async def test_a_bye_of_the_peer_is_obeyed_without_a_password(scene: Scene, *, with_credentials: bool) -> None:
    caller, assistant = await scene.bridged(LINE)
    headers = []
    if with_credentials:
        first = await hold(assistant, "UPDATE")
        headers = [credentials(first, "BYE", assistant.target)]
    assert (await assistant.hang_up(*headers)).code == 200
    await caller.wait_request("BYE")


@pytest.mark.keeps("16.23")
async def test_the_pbx_is_not_asked(scene: Scene) -> None:
    caller, assistant = await scene.bridged(LINE)
    assert (await hold(caller, "INVITE")).code == 200
    assert (await hold(caller, "UPDATE", direction="sendrecv")).code == 200
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
