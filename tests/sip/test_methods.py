# SPDX-License-Identifier: GPL-2.0-or-later
"""Every method gets an answer, in a dialog and outside of one; nothing is met with silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, LINES
from tests.support.peer_call import Call
from tests.support.sip_message import token

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip


@pytest.mark.keeps("6.1")
async def test_options_tells_what_the_gateway_can_do(scene: Scene) -> None:
    platform = await scene.platform()
    answer = await platform.request("OPTIONS", scene.uri("2001"), scene.gateway.sip)
    assert answer.code == 200
    assert {"INVITE", "ACK", "CANCEL", "BYE", "REFER"} <= {method.strip() for method in answer["Allow"].split(",")}
    assert "application/sdp" in answer["Accept"]


@pytest.mark.keeps("6.2")
@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "PUBLISH", "REGISTER", "FOO"])
async def test_what_is_not_served_is_405_or_501(scene: Scene, method: str) -> None:
    platform = await scene.platform()
    headers = [("Event", "presence")] if method in ("SUBSCRIBE", "PUBLISH") else []
    answer = await platform.request(method, scene.uri("2001"), scene.gateway.sip, headers=headers)
    assert answer.code in (405, 501)
    if answer.code == 405:
        assert "INVITE" in answer["Allow"]


@pytest.mark.keeps("6.3")
@pytest.mark.parametrize("method", ["BYE", "UPDATE", "INFO", "PRACK", "NOTIFY", "CANCEL"])
async def test_what_belongs_to_no_dialog_is_481(scene: Scene, method: str) -> None:
    platform = await scene.platform()
    headers = [("Event", "refer"), ("Subscription-State", "active")] if method == "NOTIFY" else []
    answer = await platform.request(method, scene.uri("2001"), scene.gateway.sip, headers=headers)
    assert answer.code == 481


@pytest.mark.keeps("6.4")
@pytest.mark.parametrize("method", ["INVITE", "REFER", "BYE", "INFO", "SUBSCRIBE", "MESSAGE"])
async def test_a_dialog_that_nobody_knows_is_481(scene: Scene, method: str) -> None:
    platform = await scene.platform()
    local, far = f"<{platform.contact}>;tag={token()}", f"<{scene.uri('2001')}>;tag={token()}"
    call = Call(platform, scene.gateway.sip, local=local, far=far, call_id=token())
    call.target = scene.uri("2001")
    try:
        headers = [("Refer-To", "<sip:2001@gw>"), ("Event", "refer")]
        assert (await call.begin(method, headers=headers).final()).code == 481
    finally:
        call.close()


@pytest.mark.keeps("6.6")
@pytest.mark.parametrize(
    ("method", "answers"),
    [("OPTIONS", {200}), ("INFO", {200, 415}), ("MESSAGE", {405, 415, 501, 202, 200}), ("PUBLISH", {405, 501}),
     ("SUBSCRIBE", {405, 481, 489}), ("NOTIFY", {405, 481, 489}), ("FOO", {405, 501}), ("PRACK", {481, 200, 400})],
)  # fmt: skip
async def test_every_method_is_answered_in_a_call_and_the_call_goes_on(
    scene: Scene, method: str, answers: set[int]
) -> None:
    caller, assistant = await scene.bridged()
    headers = [("Event", "presence"), ("Subscription-State", "active")] if method in ("SUBSCRIBE", "NOTIFY") else []
    headers += [("RAck", "1 1 INVITE")] if method == "PRACK" else []
    answer = await assistant.begin(method, headers=headers).final()
    assert answer.code in answers
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)


@pytest.mark.keeps("6.7")
async def test_a_call_that_requires_what_is_not_there_is_420(scene: Scene) -> None:
    call = scene.pbx.invite(
        scene.uri(LINES["main"].number), scene.gateway.sip, headers=[("Require", "timer, bext01"), ("Require", "foo")]
    )
    refused = await call.final()
    assert refused.code == 420
    assert refused["Unsupported"] == "bext01, foo"


@pytest.mark.keeps("6.8")
async def test_a_call_to_a_number_that_is_not_ours_is_404(scene: Scene) -> None:
    call = scene.pbx.invite(scene.uri("+31209999999"), scene.gateway.sip)
    refused = await call.final()
    assert refused.code == 404
    assert refused["Reason"].startswith("SIP;cause=404")


@pytest.mark.keeps("6.13")
async def test_what_is_no_sip_at_all_disturbs_nobody(scene: Scene) -> None:
    platform = await scene.platform()
    for data in (b"\r\n\r\n", b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", b"INVITE sip:a SIP/2.0\r\n\r\n", b"\xff" * 1400):
        platform.send_raw(data, scene.gateway.sip)
    huge = "x" * 60000
    platform.send_raw(f"REFER sip:a@b SIP/2.0\r\nX-Huge: {huge}\r\n\r\n".encode(), scene.gateway.sip)
    caller, assistant = await scene.bridged()
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)


@pytest.mark.keeps("6.5")
async def test_two_calls_on_one_trunk_do_not_meet(scene: Scene) -> None:
    platform = await scene.platform()
    calls = [scene.call_from_pbx(), scene.call_from_pbx()]
    for call, hz in zip(calls, (600, 1500), strict=True):
        assistant = await platform.wait_call()
        assert assistant.incoming
        assert LINES["main"].number in assistant.incoming.uri
        await assistant.answer(hz=hz)
        await call.answered()
    await calls[0].media.hears(600)
    await calls[1].media.hears(1500)
    assert calls[0].media.detect(1500) == set()
