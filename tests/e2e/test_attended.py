# SPDX-License-Identifier: GPL-2.0-or-later
"""An attended transfer past a real PBX: the platform consults Anna, then puts the caller through to her."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.e2e.scene import ANNA_HZ, ASSISTANT_HZ, CALLER_HZ, hang_up, hears_nobody, scene
from tests.support.sip_message import parameter

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk

pytestmark = pytest.mark.pbx

ANNA = "+31612345681"


async def test_a_platform_consults_and_then_joins_the_caller_with_whom_it_consulted(
    pbx: Asterisk, phones: Phones
) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    async with scene(pbx) as play:
        caller, assistant = await play.talk()
        platform = play.assistant.invite(f"sip:{ANNA}@{play.gateway.sip[0]}", play.gateway.sip, hz=ASSISTANT_HZ)
        await platform.answered()
        await platform.media.hears(ANNA_HZ)
        await anna.hears(ASSISTANT_HZ)
        await caller.media.hears(ASSISTANT_HZ)
        channels = await pbx.channels()

        own, ours = parameter(platform.local, "tag"), parameter(platform.far, "tag")
        replaces = quote(f"{platform.call_id};to-tag={ours};from-tag={own}", safe="")
        assert (await assistant.refer(f"<sip:anna@gateway?Replaces={replaces}>")).code == 202
        assert [notify.sipfrag for notify in await assistant.notifies()] == [100, 200]
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        await hears_nobody(caller, ASSISTANT_HZ)
        assert await pbx.channels() == channels  # nothing was dialled
        await assistant.wait_request("BYE")
        await platform.wait_request("BYE")

        ended = await play.gateway.until(lambda one: one["entry"] == "refer" and one["outcome"] is not None)
        assert (ended[0]["outcome"], ended[0]["destination"]) == ("completed", "anna")
        await hang_up(caller)
