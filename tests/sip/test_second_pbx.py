# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller of one PBX whose hunt goes on at another one, each with an account of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, codes
from tests.support.company import DESTINATIONS, NUMBER, settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer

if TYPE_CHECKING:
    from tests.support.configuration import Configuration
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PBX_PORT, BRANCH_HOST = 5070, 61
MOBILE = "+31612345699"
OVERFLOWING = f"<sip:{DESTINATIONS['overflowing']['number']}@gw.example>"


def two_pbxs(net: Net) -> Configuration:
    """`overflowing` is on the number's own PBX, and `anna`, to whom it goes on, at the branch."""
    files = settings(net, pbx_uri=f"sip:{net.pbx}:{PBX_PORT}")
    files.pbx("branch", f"sip:{net.host(BRANCH_HOST)}:{PBX_PORT}")
    files.destination("anna")["pbx"] = "branch"
    return files


async def overflowed(gateway: Gateway, pbx: Peer, platform: Peer, other: Peer, user: str) -> tuple[Call, Call]:
    """A caller whose hunt goes on from the busy PBX to `user` at the other peer: the caller, and who has answered."""
    caller = pbx.invite(f"sip:{NUMBER}@{gateway.sip[0]}", gateway.sip, hz=CALLER_HZ)
    assistant = await platform.wait_call()
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    assert (await assistant.refer(OVERFLOWING)).code == 202
    await (await pbx.wait_call()).declines(486)
    target = await other.wait_call()
    assert target.incoming is not None
    assert target.incoming.uri.startswith(f"sip:{user}@")
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    await caller.media.hears(TARGET_HZ)
    return caller, target


@pytest.mark.keeps("21.43")
async def test_a_caller_goes_on_to_another_pbx_and_is_transferred_from_there(own_net: Net) -> None:
    async with (
        Gateway(two_pbxs(own_net)) as gateway,
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.host(BRANCH_HOST), PBX_PORT, user="branch") as branch,
        Peer(own_net.trunk) as platform,
    ):
        extension = str(DESTINATIONS["anna"]["extension"])
        caller, target = await overflowed(gateway, pbx, platform, branch, extension)
        await target.media.hears(CALLER_HZ)
        # Whom the caller talks to there may transfer them back to the first PBX, as one of that PBX may.
        assert (await target.refer("<sip:+31612345682@gw.example>")).code == 202
        colleague = await pbx.wait_call()
        await colleague.answer(hz=TARGET_HZ)
        assert codes(await target.notifies())[-1] == 200
        await colleague.media.hears(CALLER_HZ)
        await caller.hang_up()
        await gateway.idle()


@pytest.mark.keeps("21.43")
async def test_the_other_pbx_may_not_call_for_the_number(own_net: Net) -> None:
    async with (
        Gateway(two_pbxs(own_net)) as gateway,
        Peer(own_net.host(BRANCH_HOST), PBX_PORT, user="branch") as branch,
        Peer(own_net.trunk),
    ):
        call = branch.invite(f"sip:{NUMBER}@{gateway.sip[0]}", gateway.sip)
        await call.refused(404)
        await gateway.idle()


@pytest.mark.keeps("21.44")
async def test_the_mobile_of_last_resort_is_called_by_a_carrier(own_net: Net) -> None:
    files = two_pbxs(own_net)
    files.pbx("carrier", f"sip:{own_net.host(BRANCH_HOST + 1)}:{PBX_PORT}", kind="carrier", prefixes=["+316"])
    files.destination("anna").update(pbx="carrier", extension=MOBILE)
    async with (
        Gateway(files) as gateway,
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.host(BRANCH_HOST + 1), PBX_PORT, user="carrier") as carrier,
        Peer(own_net.trunk) as platform,
    ):
        caller, target = await overflowed(gateway, pbx, platform, carrier, MOBILE)
        [transfer] = (await gateway.get("/api/transfers"))["transfers"]
        assert (transfer["pbx"], transfer["answered_by"], transfer["human_at"]) == ("carrier", "outside", None)
        assert (await target.refer("<sip:+31612345682@gw.example>")).code == 403
        await caller.hang_up()
        await gateway.idle()
