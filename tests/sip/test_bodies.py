# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies that are not a description, or not that alone, and what a caller accepts (RFC 3261 §8.2.3, RFC 5621)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scenario import both_hear_anew
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, LINES
from tests.support.peer_call import Call
from tests.support.sip_message import sdp, token

if TYPE_CHECKING:
    from tests.sip.scene import Scene


pytestmark = pytest.mark.sip


def parts(*bodies: tuple[str, bytes], boundary: str = "unique-boundary-1") -> bytes:
    """A multipart body of (headers, body)."""
    made = b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode(), body) for head, body in bodies)
    return made + b"--%s--\r\n" % boundary.encode()


SDP, ISUP = "Content-Type: application/sdp", "Content-Type: application/ISUP;version=nxv3"
MIXED = "multipart/mixed;boundary=unique-boundary-1"
REQUIRED, OPTIONAL = "Content-Disposition: signal;handling=required", "Content-Disposition: signal;handling=optional"


async def with_body(scene: Scene, body: bytes, content_type: str, *more: tuple[str, str]) -> Call:
    """A caller who sends this body."""
    await scene.platform()
    headers = [("Content-Type", content_type), *more]
    call = Call(
        scene.pbx, scene.remote, local=f"<sip:+31201112222@pbx.example>;tag={token()}",
        far=f"<{scene.uri(LINES['main'].number)}>", call_id=token(),
    )  # fmt: skip
    call.target, call.hz = scene.uri(LINES["main"].number), CALLER_HZ
    scene.pbx.calls.append(call)
    call.invite = call.begin("INVITE", headers=headers, body=body)
    return call


@pytest.mark.keeps("16.37")
async def test_a_part_that_has_to_be_understood_and_is_not_is_415(scene: Scene) -> None:
    """RFC 3204 §4, RFC 5621 §4.1."""
    body = parts((SDP, sdp(scene.pbx.host, 40000)), (f"{ISUP}\r\n{REQUIRED}", b"\x01\x02"))
    told = await (await with_body(scene, body, MIXED)).final()
    assert told.code == 415
    assert told["Accept"] == "application/sdp"
    assert told.get("Retry-After") is None


@pytest.mark.keeps("16.37")
@pytest.mark.parametrize("how", [f"{ISUP}\r\n{OPTIONAL}", ISUP])
async def test_a_part_that_need_not_be_understood_is_ignored(scene: Scene, how: str) -> None:
    body = parts((SDP, sdp(scene.pbx.host, 40000)), (how, b"\x01\x02"))
    call = await with_body(scene, body, MIXED)
    assistant = await (await scene.platform()).wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    await call.answered()


@pytest.mark.keeps("16.37")
async def test_a_body_that_need_not_be_understood_is_ignored(scene: Scene) -> None:
    """RFC 3261 §20.11: the INVITE is then one without an offer."""
    disposition = ("Content-Disposition", "signal; handling=optional")
    call = await with_body(scene, b"\x01\x02", "application/ISUP;version=nxv3", disposition)
    assistant = await (await scene.platform()).wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    assert b"m=audio" in (await call.answered()).body


@pytest.mark.keeps("16.37")
async def test_a_body_that_nobody_knows_is_415(scene: Scene) -> None:
    told = await (await with_body(scene, b"\x01\x02", "application/ISUP;version=nxv3")).final()
    assert (told.code, told["Accept"]) == (415, "application/sdp")
    caller, assistant = await scene.bridged()
    for method in ("INVITE", "UPDATE"):
        told = await assistant.begin(method, body=b"\x01", content_type="application/ISUP").final()
        assert (told.code, told["Accept"]) == (415, "application/sdp")
    await both_hear_anew(caller, assistant)


@pytest.mark.keeps("16.37")
@pytest.mark.parametrize("name", ["Content-Encoding", "e"])
async def test_a_body_in_an_encoding_that_nobody_knows_is_415(scene: Scene, name: str) -> None:
    """RFC 3261 §8.2.3, §21.4.13."""
    told = await (await with_body(scene, b"\x1f\x8b\x08", "application/sdp", (name, "gzip"))).final()
    assert (told.code, told["Accept-Encoding"]) == (415, "identity")
    caller, assistant = await scene.bridged()
    relay = "application/dtmf-relay"
    told = await assistant.begin("INFO", headers=[(name, "gzip")], body=b"\x1f\x8b", content_type=relay).final()
    assert (told.code, told["Accept-Encoding"]) == (415, "identity")
    told = await assistant.begin(
        "INVITE", headers=[(name, "gzip")], body=b"\x1f", content_type="application/sdp"
    ).final()
    assert (told.code, told["Accept-Encoding"]) == (415, "identity")
    await both_hear_anew(caller, assistant)


@pytest.mark.keeps("16.37")
@pytest.mark.parametrize("accept", ["text/x", "text/x, application/sdp;q=0.0", ""])
async def test_a_caller_who_accepts_no_description_is_406(scene: Scene, accept: str) -> None:
    told = await scene.call_from_pbx(headers=[("Accept", accept)]).final()
    assert told.code == 406


@pytest.mark.keeps("16.37")
@pytest.mark.parametrize("accept", ["application/sdp", "text/x, application/*", "*/*;q=0.1", "Application/SDP;level=1"])
async def test_a_caller_who_accepts_a_description_gets_one(scene: Scene, accept: str) -> None:
    platform = await scene.platform()
    caller = scene.call_from_pbx(headers=[("Accept", accept)])
    assistant = await platform.wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
