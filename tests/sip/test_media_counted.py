# SPDX-License-Identifier: GPL-2.0-or-later
"""`call.ended.v1` says how each leg was heard: packets, losses, jitter and an estimate of the MOS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.report.webhook.server import SECRET, Server
from tests.sip.scene import CALLER_HZ, TARGET_HZ, Scene, settings
from tests.support.gateway import Gateway
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

LOST = 30


@pytest.mark.keeps("16.191")
@pytest.mark.parametrize("first", ["caller", "target"])
async def test_the_end_of_a_call_tells_how_each_leg_was_heard(own_net: Net, first: str) -> None:
    files = settings(own_net)
    files.secrets["crm.secret"] = SECRET
    async with Server() as server:
        hook = {"id": "crm", "url": server.url, "secret_file": "crm.secret", "events": ["call.ended.v1"]}
        files.main["webhooks"] = [hook]
        async with Gateway(files) as gateway, Scene(own_net, gateway) as scene:
            caller, assistant = await scene.bridged()
            target = await scene.referred(assistant)
            await target.answer(hz=TARGET_HZ)
            await caller.media.hears(TARGET_HZ)
            await target.media.hears(CALLER_HZ)
            # Some of the caller's packets never come, and a new description begins the target's counts anew.
            caller.media._sequence = (caller.media._sequence + LOST) & 0xFFFF
            await target.reinvite()
            before = len(target.media.received)

            async def goes_on() -> bool:
                return len(target.media.received) > before + 30

            await eventually(goes_on, "audio after the new description")
            heard = {call.call_id: len(call.media.received) for call in (caller, target)}
            await (caller if first == "caller" else target).hang_up()
            await server.until(lambda it: bool(it.taken))
            [event] = server.taken
    media = {leg["call_id"]: leg for leg in event["data"]["media"]}
    assert set(media) == set(heard)
    for call_id, leg in media.items():
        assert leg["side"] == "pbx"
        # 50 packets a second, of which no peer here reports anything.
        assert leg["packets_received"] > 25
        # One may be on its way while a new description comes, and counts with neither.
        assert leg["packets_sent"] >= heard[call_id] - 1 > 25
        assert (leg["packets_sent_lost"], leg["round_trip_ms"]) == (None, None)
        assert 0 <= leg["jitter_ms"] <= leg["jitter_max_ms"]
    assert media[caller.call_id]["packets_lost"] == LOST
    assert media[target.call_id]["packets_lost"] == 0
    assert media[target.call_id]["mos"] > media[caller.call_id]["mos"] > 1
