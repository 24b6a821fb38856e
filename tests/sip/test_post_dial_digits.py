# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that the gateway presses for a target that has answered: for it alone, each once, after the pauses it wants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, codes
from tests.support.company import NUMBER, settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PBX_PORT = 5070
TARGET_HZ = 1700
DIGITS = "ww12#"


@pytest.mark.keeps("21.7")
@pytest.mark.parametrize("dtmf", ["rfc4733", "info"])
async def test_the_target_alone_is_given_its_keys(own_net: Net, dtmf: str) -> None:
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:{PBX_PORT}")
    files.destination("anna")["digits"] = DIGITS
    files.profiles["asterisk"]["dtmf"] = dtmf
    async with (
        Gateway(files) as gateway,
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.trunk) as platform,
    ):
        caller = pbx.invite(f"sip:{NUMBER}@{gateway.sip[0]}", gateway.sip, hz=CALLER_HZ)
        assistant = await platform.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        assert (await assistant.refer("<sip:+31612345681@gw.example>")).code == 202
        target = await pbx.wait_call()
        await target.answer(hz=TARGET_HZ)
        clock = asyncio.get_running_loop().time
        answered = clock()
        assert codes(await assistant.notifies())[-1] == 200
        await caller.media.hears(TARGET_HZ)
        await (target.has_infos("12#") if dtmf == "info" else target.has_keys("12#"))
        assert clock() - answered > 2 * 0.5
        # What the caller presses comes after it, and nobody else was given anything.
        await caller.press("7")
        await (target.has_infos("12#7") if dtmf == "info" else target.has_keys("12#7"))
        for other in (caller, assistant):
            assert (other.media.keys, other.infos) == ("", "")
        await caller.hang_up()
        await gateway.idle()
