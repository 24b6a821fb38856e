# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of a phone that nobody scripted: baresip, called by the gateway itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.company import settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.pbx]

CALLER_HZ, ANNA_HZ = 700, 1000


@pytest.mark.keeps("9.16")
async def test_keys_of_a_phone_and_for_a_phone(net: Net, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    files = settings(net, pbx_uri=f"sip:{anna.host}:5060")
    async with Gateway(files) as gateway, Peer(net.trunk) as trunk:
        caller = trunk.invite("sip:+31612345681@gateway", gateway.sip, hz=CALLER_HZ)
        await caller.answered()
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        for key in "58":
            await anna.press(key)

        async def heard() -> bool:
            return len(caller.media.keys) >= 2

        await eventually(heard, "both keys")
        assert caller.media.keys == "58"
        caller.media.press("31")
        await anna.event("CALL_DTMF_START", count=2)
        assert [one["param"] for one in anna.events if one["type"] == "CALL_DTMF_START"] == ["3", "1"]
        await caller.hang_up()
        await gateway.idle()
