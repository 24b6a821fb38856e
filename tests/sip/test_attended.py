# SPDX-License-Identifier: GPL-2.0-or-later
"""Attended transfers: Replaces in a Refer-To and in an INVITE (RFC 3891), REFER outside of a dialog (RFC 4538)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests.support.gateway import NUMBER, Gateway, settings
from tests.support.peer import Peer
from tests.support.peer_call import Call
from tests.support.processes import Net
from tests.support.sip_message import parameter

pytestmark = pytest.mark.sip

CALLER_HZ, ASSISTANT_HZ, COLLEAGUE_HZ = 700, 1300, 1900


@dataclass
class Bed:
    """The gateway between a scripted PBX and a scripted trunk."""

    gateway: Gateway
    pbx: Peer
    trunk: Peer

    async def conversation(self) -> tuple[Call, Call]:
        """A caller from the PBX talks to the assistant: the caller's end, and the assistant's."""
        caller = self.pbx.invite(f"sip:{NUMBER}@gateway", self.gateway.sip, hz=CALLER_HZ)
        assistant = await self.trunk.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        assert (await caller.answered()).code == 200
        return caller, assistant

    async def consultation(self) -> tuple[Call, Call]:
        """The assistant's platform calls Anna through us: its end, and Anna's."""
        platform = self.trunk.invite("sip:+31612345681@gateway", self.gateway.sip, hz=ASSISTANT_HZ)
        anna = await self.pbx.wait_call()
        await anna.answer(hz=COLLEAGUE_HZ)
        assert (await platform.answered()).code == 200
        return platform, anna


@pytest.fixture
async def bed(net: Net) -> AsyncIterator[Bed]:
    files = settings(net, pbx_uri=f"sip:{net.pbx}:5070")
    async with Gateway(files) as gateway, Peer(net.pbx, 5070) as pbx, Peer(net.trunk, 5060) as trunk:
        yield Bed(gateway, pbx, trunk)


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


async def test_replaces_in_refer_to_joins_the_far_ends_without_dialling(bed: Bed) -> None:
    caller, assistant = await bed.conversation()
    platform, anna = await bed.consultation()
    invites = len(bed.pbx.received("INVITE"))
    assert (await assistant.refer(refer_to(platform))).code == 202
    assert [notify.sipfrag for notify in await assistant.notifies()] == [100, 200]
    await caller.media.hears(COLLEAGUE_HZ)
    await anna.media.hears(CALLER_HZ)
    assert len(bed.pbx.received("INVITE")) == invites
    await assistant.wait_request("BYE")
    await platform.wait_request("BYE")
    (ended, *_) = await bed.gateway.until(lambda one: one["entry"] == "refer" and one["outcome"])
    assert (ended["outcome"], ended["reason"], ended["destination"]) == ("completed", "answered", "anna")
    assert ended["attempts"] == []
    await caller.hang_up()
    await anna.wait_request("BYE")
    await bed.gateway.idle()


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (lambda call: refer_to(call).replace(tags(call)[0], "nobody"), 481, "no-such-dialog"),
        (lambda call: refer_to(call, early_only=True), 486, "dialog-not-early"),
        (lambda _call: "<sip:anna@gateway?Replaces=nonsense>", 400, "bad-request"),
    ],
)
async def test_a_dialog_that_cannot_be_joined(bed: Bed, change: object, code: int, reason: str) -> None:
    caller, assistant = await bed.conversation()
    platform, anna = await bed.consultation()
    refused = await assistant.refer(change(platform))  # type: ignore[operator]  # one of the lambdas above
    assert refused.code == code
    assert f'text="{reason}"' in refused["Reason"]
    await caller.media.hears(ASSISTANT_HZ)
    await platform.media.hears(COLLEAGUE_HZ)
    await caller.hang_up()
    await anna.hang_up()
    await bed.gateway.idle()


async def test_a_dialog_that_has_ended_is_declined(bed: Bed) -> None:
    caller, assistant = await bed.conversation()
    platform, anna = await bed.consultation()
    await anna.hang_up()
    await platform.wait_request("BYE")
    assert (await assistant.refer(refer_to(platform))).code == 603
    await caller.hang_up()
    await bed.gateway.idle()


async def test_nobody_joins_the_dialog_of_another_peer(bed: Bed) -> None:
    caller, assistant = await bed.conversation()
    assert (await assistant.refer(refer_to(caller))).code == 403
    await caller.media.hears(ASSISTANT_HZ)
    await caller.hang_up()
    await bed.gateway.idle()


async def test_an_invite_with_replaces_takes_the_place_of_the_peers_own_leg(bed: Bed) -> None:
    caller, assistant = await bed.conversation()
    other_hz = 2300
    successor = bed.trunk.invite(
        f"sip:{NUMBER}@gateway",
        bed.gateway.sip,
        hz=other_hz,
        headers=[("Replaces", replaces(assistant)), ("Require", "replaces")],
    )
    assert (await successor.answered()).code == 200
    await assistant.wait_request("BYE")
    await caller.media.hears(other_hz)
    await successor.media.hears(CALLER_HZ)
    await caller.hang_up()
    await successor.wait_request("BYE")
    await bed.gateway.idle()


async def test_an_invite_cannot_replace_the_leg_of_another_peer(bed: Bed) -> None:
    caller, assistant = await bed.conversation()
    thief = bed.trunk.invite(f"sip:{NUMBER}@gateway", bed.gateway.sip, headers=[("Replaces", replaces(caller))])
    assert (await thief.final()).code == 403
    unknown = replaces(assistant).replace(tags(assistant)[0], "nobody")
    lost = bed.trunk.invite(f"sip:{NUMBER}@gateway", bed.gateway.sip, headers=[("Replaces", unknown)])
    assert (await lost.final()).code == 481
    await caller.media.hears(ASSISTANT_HZ)
    await caller.hang_up()
    await bed.gateway.idle()


async def test_refer_outside_of_a_dialog_with_its_target_dialog(bed: Bed) -> None:
    caller, assistant = await bed.conversation()
    own, gateway = tags(assistant)
    target = f"{assistant.call_id};local-tag={own};remote-tag={gateway}"
    response = await bed.trunk.request(
        "REFER",
        "sip:gateway",
        bed.gateway.sip,
        headers=[
            ("Refer-To", "<sip:+31612345681@gateway>"),
            ("Target-Dialog", target),
            ("Require", "tdialog"),
            ("Contact", f"<sip:platform@{bed.trunk.host}:{bed.trunk.port}>"),
        ],
    )
    assert response.code == 202
    anna = await bed.pbx.wait_call()
    await anna.answer(hz=COLLEAGUE_HZ)
    await caller.media.hears(COLLEAGUE_HZ)
    await assistant.wait_request("BYE")
    (ended,) = await bed.gateway.ended()
    assert ended["outcome"] == "completed"
    await caller.hang_up()
    await anna.wait_request("BYE")
    await bed.gateway.idle()


@pytest.mark.parametrize("named", [None, "unknown;local-tag=a;remote-tag=b"])
async def test_refer_outside_of_a_dialog_that_names_none_of_its_own(bed: Bed, named: str | None) -> None:
    caller, assistant = await bed.conversation()
    headers = [("Refer-To", "<sip:+31612345681@gateway>")] + ([("Target-Dialog", named)] if named else [])
    assert (await bed.trunk.request("REFER", "sip:gateway", bed.gateway.sip, headers=headers)).code == 403
    own, gateway = tags(caller)
    stolen = f"{caller.call_id};local-tag={own};remote-tag={gateway}"
    headers = [("Refer-To", "<sip:+31612345681@gateway>"), ("Target-Dialog", stolen)]
    assert (await bed.trunk.request("REFER", "sip:gateway", bed.gateway.sip, headers=headers)).code == 403
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.hang_up()
    await bed.gateway.idle()
