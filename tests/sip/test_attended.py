# SPDX-License-Identifier: GPL-2.0-or-later
"""Attended transfers: Replaces in a Refer-To and in an INVITE (RFC 3891), REFER outside of a dialog (RFC 4538)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, LINES, Scene
from tests.support.peer_call import Call
from tests.support.sip_message import Message, parameter, token

pytestmark = pytest.mark.sip

ANNA = "+31612345681"
ANNA_HZ, SUCCESSOR_HZ = 1900, 2300


async def consultation(scene: Scene) -> tuple[Call, Call]:
    """The platform calls Anna through us: its end, and hers."""
    trunk = await scene.platform()
    platform = trunk.invite(scene.uri(ANNA), scene.gateway.sip, hz=ASSISTANT_HZ)
    anna = await scene.target("anna")
    await anna.answer(hz=ANNA_HZ)
    await platform.answered()
    return platform, anna


def tags(call: Call) -> tuple[str, str]:
    """The tags of a dialog: the peer's own, and the gateway's."""
    own, gateway = parameter(call.local, "tag"), parameter(call.far, "tag")
    assert own
    assert gateway
    return own, gateway


def replaces(call: Call, *, early_only: bool = False) -> str:
    """The Replaces that names this dialog, as its far end (the gateway) knows it."""
    own, gateway = tags(call)
    text = f"{call.call_id};to-tag={gateway};from-tag={own}"
    return text + (";early-only" if early_only else "")


def refer_to(call: Call, *, early_only: bool = False) -> str:
    return f"<sip:anna@gateway?Replaces={quote(replaces(call, early_only=early_only), safe='')}>"


@pytest.mark.keeps("1.14", "2.32")
async def test_replaces_in_refer_to_joins_the_far_ends_without_dialling(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    platform, anna = await consultation(scene)
    invites = len(scene.pbx.received("INVITE"))
    assert (await assistant.refer(refer_to(platform))).code == 202
    assert [notify.sipfrag for notify in await assistant.notifies()] == [100, 200]
    await caller.media.hears(ANNA_HZ)
    await anna.media.hears(CALLER_HZ)
    assert len(scene.pbx.received("INVITE")) == invites
    await assistant.wait_request("BYE")
    await platform.wait_request("BYE")
    ended = await scene.outcome()
    assert (ended["outcome"], ended["reason"], ended["destination"]) == ("completed", "answered", "anna")
    assert ended["attempts"] == []
    await caller.hang_up()
    await anna.wait_request("BYE")


@pytest.mark.keeps("2.34")
async def test_a_phone_behind_the_pbx_may_put_its_two_calls_together_too(scene: Scene) -> None:
    platform, anna = await consultation(scene)
    consulting, assistant = await scene.bridged()
    await assistant.media.hears(CALLER_HZ)
    assert (await anna.refer(refer_to(consulting))).code == 202
    assert [notify.sipfrag for notify in await anna.notifies()] == [100, 200]
    assistant.media.hz = SUCCESSOR_HZ  # from now on not the tone of the platform's other end
    await platform.media.hears(SUCCESSOR_HZ)
    await assistant.media.hears(ASSISTANT_HZ)
    await anna.wait_request("BYE")
    await consulting.wait_request("BYE")
    assert (await scene.outcome())["outcome"] == "completed"
    await platform.hang_up()
    await assistant.wait_request("BYE")


@pytest.mark.keeps("2.33")
@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (lambda call: refer_to(call).replace(tags(call)[0], "nobody"), 481, "no-such-dialog"),
        (lambda call: refer_to(call, early_only=True), 486, "dialog-not-early"),
        (lambda _call: "<sip:anna@gateway?Replaces=nonsense>", 400, "bad-request"),
    ],
)
async def test_a_dialog_that_cannot_be_joined(scene: Scene, change: object, code: int, reason: str) -> None:
    caller, assistant = await scene.bridged()
    platform, anna = await consultation(scene)
    refused = await assistant.refer(change(platform))  # type: ignore[operator]  # one of the lambdas above
    assert refused.code == code
    assert f'text="{reason}"' in refused["Reason"]
    await caller.media.hears(ASSISTANT_HZ)
    await platform.media.hears(ANNA_HZ)
    await caller.hang_up()
    await anna.hang_up()


@pytest.mark.keeps("2.33")
async def test_a_dialog_that_has_ended_is_declined(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    platform, anna = await consultation(scene)
    await anna.hang_up()
    await platform.wait_request("BYE")
    assert (await assistant.refer(refer_to(platform))).code == 603
    await caller.hang_up()


@pytest.mark.keeps("2.33")
async def test_nobody_joins_the_dialog_of_another_peer(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assert (await assistant.refer(refer_to(caller))).code == 403
    await caller.media.hears(ASSISTANT_HZ)
    await caller.hang_up()


@pytest.mark.keeps("2.35")
async def test_an_invite_with_replaces_takes_the_place_of_the_peers_own_leg(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    trunk = await scene.platform()
    successor = trunk.invite(
        scene.uri(LINES["main"].number),
        scene.gateway.sip,
        hz=SUCCESSOR_HZ,
        headers=[("Replaces", replaces(assistant)), ("Require", "replaces")],
    )
    assert (await successor.answered()).code == 200
    await assistant.wait_request("BYE")
    await caller.media.hears(SUCCESSOR_HZ)
    await successor.media.hears(CALLER_HZ)
    await caller.hang_up()
    await successor.wait_request("BYE")


@pytest.mark.keeps("2.35")
async def test_an_invite_cannot_replace_the_leg_of_another_peer(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    trunk = await scene.platform()
    thief = trunk.invite(scene.uri(LINES["main"].number), scene.gateway.sip, headers=[("Replaces", replaces(caller))])
    assert (await thief.final()).code == 403
    unknown = replaces(assistant).replace(tags(assistant)[0], "nobody")
    lost = trunk.invite(scene.uri(LINES["main"].number), scene.gateway.sip, headers=[("Replaces", unknown)])
    assert (await lost.final()).code == 481
    await caller.media.hears(ASSISTANT_HZ)
    await caller.hang_up()


@pytest.mark.keeps("2.36", "16.77")
@pytest.mark.parametrize("as_the_rfc", [True, False])
async def test_refer_outside_of_a_dialog_with_its_target_dialog(scene: Scene, as_the_rfc: bool) -> None:
    caller, assistant = await scene.bridged()
    trunk = await scene.platform()
    own, gateway = tags(assistant)
    # The local tag is that of who receives it (RFC 4538 §4); some senders write it from their own side.
    local, remote = (gateway, own) if as_the_rfc else (own, gateway)
    target = f"{assistant.call_id};local-tag={local};remote-tag={remote}"
    response = await trunk.request(
        "REFER",
        "sip:gateway",
        scene.gateway.sip,
        headers=[
            ("Refer-To", "<sip:+31612345681@gateway>"),
            ("Target-Dialog", target),
            ("Require", "tdialog"),
            ("Contact", f"<sip:platform@{trunk.host}:{trunk.port}>"),
        ],
    )
    assert response.code == 202
    anna = await scene.pbx.wait_call()
    await anna.answer(hz=ANNA_HZ)
    await caller.media.hears(ANNA_HZ)
    await assistant.wait_request("BYE")
    ended = await scene.outcome()
    assert ended["outcome"] == "completed"
    await caller.hang_up()
    await anna.wait_request("BYE")


@pytest.mark.keeps("16.68")
@pytest.mark.parametrize("contact", [[], [("Contact", "*")], [("Contact", "<tel:+31201112222>")]])
async def test_refer_outside_of_a_dialog_without_a_contact_moves_nobody(
    scene: Scene, contact: list[tuple[str, str]]
) -> None:
    caller, assistant = await scene.bridged()
    trunk = await scene.platform()
    own, gateway = tags(assistant)
    named = [("Target-Dialog", f"{assistant.call_id};local-tag={own};remote-tag={gateway}")]
    refer_to = [("Refer-To", "<sip:+31612345681@gateway>")]
    request = Message(
        f"REFER sip:gateway@{scene.gateway.sip[0]} SIP/2.0",
        [
            ("Via", f"SIP/2.0/UDP {trunk.sent_by};branch={token('z9hG4bK')};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<{trunk.contact}>;tag={token()}"),
            ("To", "<sip:gateway>"),
            ("Call-ID", token()),
            ("CSeq", "1 REFER"),
            *refer_to,
            *named,
            *contact,
        ],
    )
    assert (await trunk.transact(request, scene.gateway.sip).final()).code == 400
    await caller.media.hears(ASSISTANT_HZ)
    assert not scene.pbx.received("INVITE")
    assert [one for one in await scene.gateway.transfers() if assistant.call_id in one["call_ids"].values()] == []
    await caller.hang_up()


@pytest.mark.keeps("2.36", "16.77")
@pytest.mark.parametrize("named", [None, "unknown;local-tag=a;remote-tag=b"])
async def test_refer_outside_of_a_dialog_that_names_none_of_its_own(scene: Scene, named: str | None) -> None:
    caller, assistant = await scene.bridged()
    trunk = await scene.platform()
    headers = [("Refer-To", "<sip:+31612345681@gateway>")] + ([("Target-Dialog", named)] if named else [])
    assert (await trunk.request("REFER", "sip:gateway", scene.gateway.sip, headers=headers)).code == 403
    own, gateway = tags(caller)
    for local, remote in ((own, gateway), (gateway, own), (gateway, gateway)):
        stolen = f"{caller.call_id};local-tag={local};remote-tag={remote}"
        headers = [("Refer-To", "<sip:+31612345681@gateway>"), ("Target-Dialog", stolen)]
        assert (await trunk.request("REFER", "sip:gateway", scene.gateway.sip, headers=headers)).code == 403
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.hang_up()
