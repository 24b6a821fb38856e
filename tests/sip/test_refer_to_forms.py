# SPDX-License-Identifier: GPL-2.0-or-later
"""Every form of Refer-To that a platform, an SBC or a phone sends, as a REFER to the running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import EXTENSIONS, codes

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip


async def dialled(scene: Scene, refer_to: str, *, name: str = "Refer-To") -> Message:
    """The INVITE that a REFER leads to; the transfer fails and the caller goes back, as if nothing had been."""
    _, assistant = await scene.bridged()
    accepted = await assistant.refer(refer_to, name=name)
    assert accepted.code == 202, accepted.start
    target = await scene.pbx.wait_call()
    target.reject(486)
    assert codes(await assistant.notifies()) == [100, 486]
    assert target.incoming
    return target.incoming


@pytest.mark.parametrize(
    ("refer_to", "destination"),
    [
        pytest.param("<sip:+31612345678@gw.example>", "sales", id="brackets", marks=pytest.mark.keeps("1.1")),
        pytest.param(
            "sip:+31612345678@gw.example;x=y", "sales", id="bare-with-header-parameter", marks=pytest.mark.keeps("1.2")
        ),
        pytest.param("tel:+31612345678;ext=12", "sales", id="bare-tel-with-extension", marks=pytest.mark.keeps("1.3")),
        pytest.param("<tel:+31612345678>", "sales", id="tel", marks=pytest.mark.keeps("1.4", "3.10")),
        pytest.param(
            "<tel:2001;phone-context=pbx.example>", "sales", id="tel-with-context", marks=pytest.mark.keeps("1.5")
        ),
        pytest.param(
            '"Sales" <sip:+31612345678@gw;user=phone>', "sales", id="display-name", marks=pytest.mark.keeps("1.6")
        ),
        pytest.param(
            "<sip:+31612345678;ext=12@gw;user=phone>", "sales", id="user-parameters", marks=pytest.mark.keeps("1.7")
        ),
        pytest.param("<sip:2001@pbx;transport=tcp>", "sales", id="transport", marks=pytest.mark.keeps("1.8")),
        pytest.param("<sip:2001>", "sales", id="host-only", marks=pytest.mark.keeps("1.9")),
        pytest.param("+14125551234", "overseas", id="bare-number", marks=pytest.mark.keeps("1.10")),
        pytest.param("<sip:2001@gw;method=INVITE?X-A=1>", "sales", id="method-invite", marks=pytest.mark.keeps("1.15")),
    ],
)
async def test_form(scene: Scene, refer_to: str, destination: str) -> None:
    invite = await dialled(scene, refer_to)
    assert invite.uri.startswith(f"sip:{EXTENSIONS[destination]}@")
    assert invite.tag("To") is None


@pytest.mark.keeps("1.10")
async def test_a_number_without_a_scheme_is_noted(scene: Scene) -> None:
    noted = scene.gateway.log.count("refer-to-malformed")
    await dialled(scene, "<sip:+14125551234@gw>")
    await dialled(scene, "+14125551234")
    assert scene.gateway.log.count("refer-to-malformed") == noted + 1


@pytest.mark.keeps("1.11")
async def test_compact_form(scene: Scene) -> None:
    invite = await dialled(scene, "<sip:2001@gw>", name="r")
    assert invite.uri.startswith(f"sip:{EXTENSIONS['sales']}@")


@pytest.mark.keeps("1.12")
async def test_embedded_user_to_user(scene: Scene) -> None:
    invite = await dialled(scene, "<sip:+14125551234@gw?User-to-User=00FA1B2C%3Bencoding%3Dhex>")
    assert invite.uri.startswith(f"sip:{EXTENSIONS['overseas']}@")
    assert invite["User-to-User"] == "00FA1B2C;encoding=hex"


@pytest.mark.keeps("1.13")
async def test_embedded_x_headers(scene: Scene) -> None:
    invite = await dialled(scene, "<sip:2001@gw?X-Call-ID=abc&X-Summary=billing>")
    assert invite["X-Call-ID"] == "abc"
    assert invite["X-Summary"] == "billing"
    assert invite["Call-ID"] != "abc"


@pytest.mark.keeps("1.16")
async def test_no_refer_to(scene: Scene) -> None:
    _, assistant = await scene.bridged()
    assert (await scene.refused(assistant, None)).code == 400


@pytest.mark.parametrize(
    "more",
    [
        pytest.param([("Refer-To", "<sip:2001@gw>")], id="two-headers", marks=pytest.mark.keeps("1.17")),
        pytest.param([("r", "<sip:2001@gw>")], id="one-of-them-compact", marks=pytest.mark.keeps("1.17")),
    ],
)
async def test_more_than_one_refer_to(scene: Scene, more: list[tuple[str, str]]) -> None:
    _, assistant = await scene.bridged()
    refused = await scene.refused(assistant, "<sip:+31612345678@gw>", *more)
    assert refused.code == 400
    assert refused["Reason"] == 'SIP;cause=400;text="bad-request"'


@pytest.mark.parametrize(
    "refer_to",
    [
        pytest.param("<sip:2001@gw>, <sip:+31612345678@gw>", id="two-values", marks=pytest.mark.keeps("1.17")),
        pytest.param("<sip:2001@gw;method=BYE>", id="method-bye", marks=pytest.mark.keeps("1.18")),
        pytest.param(
            "<sip:2001@gw;method=REFER?Refer-To=sip:2001@gw>", id="method-refer", marks=pytest.mark.keeps("1.18")
        ),
        pytest.param("<http://gw.example/2001>", id="http", marks=pytest.mark.keeps("1.19")),
        pytest.param("<mailto:2001@gw>", id="mailto", marks=pytest.mark.keeps("1.19")),
        pytest.param("<urn:service:sos>", id="urn", marks=pytest.mark.keeps("1.19")),
        pytest.param("<>", id="nothing", marks=pytest.mark.keeps("1.20")),
        pytest.param("<sip:2001@gw", id="open-bracket", marks=pytest.mark.keeps("1.20")),
        pytest.param("<sip:20%0D%0A01@gw>", id="line-break", marks=pytest.mark.keeps("1.20")),
        pytest.param("<sip:2001\udcff@gw>", id="not-utf-8", marks=pytest.mark.keeps("1.20")),
        pytest.param(f"<sip:{'1' * 2000}@gw>", id="too-long", marks=pytest.mark.keeps("1.20")),
    ],
)
async def test_what_is_no_target(scene: Scene, refer_to: str) -> None:
    _, assistant = await scene.bridged()
    assert (await scene.refused(assistant, refer_to)).code == 400


@pytest.mark.keeps("1.21")
@pytest.mark.parametrize("refer_to", ["<sip:500@gw>", "500", "<tel:500>"])
async def test_an_extension_is_not_a_phone_number(scene: Scene, refer_to: str) -> None:
    _, assistant = await scene.bridged()
    assert (await scene.refused(assistant, refer_to)).code == 404
    assert (await scene.outcome())["requested_target"] == "500"


@pytest.mark.keeps("1.22")
@pytest.mark.parametrize(
    "name",
    ["From", "To", "Via", "Route", "Record-Route", "Contact", "Authorization", "Call-ID", "CSeq", "Max-Forwards"],
)
async def test_an_embedded_header_that_makes_a_request_is_not_copied(scene: Scene, name: str) -> None:
    invite = await dialled(scene, f"<sip:2001@gw?{name}=%22evil%22&X-Good=1>")
    assert invite["X-Good"] == "1"
    assert b"evil" not in bytes(invite)


@pytest.mark.keeps("1.23")
async def test_an_embedded_line_break_adds_no_header(scene: Scene) -> None:
    invite = await dialled(scene, "<sip:2001@gw?X-A=1%0D%0AX-Evil:%201&X-B%0D%0AX-Evil=1&X-Good=1>")
    assert invite["X-Good"] == "1"
    assert b"evil" not in bytes(invite).lower()
