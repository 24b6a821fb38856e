# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls between two real Asterisks that grow old enough for the Asterisks to refresh them, and then for one to die."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.sip.aged_calls import EXPIRES_S, GIVE_UP_S, REFRESH_S, Aged
from tests.sip.far_ends import End, Ends, FarBed, FarStage
from tests.sip.mid_call import WAYS, both_hear
from tests.support.processes import Net, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.certificates import Authority
    from tests.support.far_asterisk import FarAsterisk

TIMED = End(asterisk={"timers": "always", "timers_sess_expires": str(EXPIRES_S), "timers_min_se": str(EXPIRES_S)})
AGREED = f"{EXPIRES_S};refresher=uac"
UNANSWERED_S = 40
"""A BYE that nobody answers takes 32 s (RFC 3261 §17.1.2.2), and until then its leg is there."""


async def refreshed_until_one_dies(bed: FarBed) -> None:
    async with FarStage(bed, "timed") as at:
        for far in (at.platform, at.pbx):
            await far.cli("rtp set debug off")  # it would print all of two minutes
        talks = [await at.conversation(way) for way in WAYS]
        await asyncio.sleep(REFRESH_S - 5)
        await asyncio.gather(*(refreshes(at, far) for far in (at.platform, at.pbx)))
        for person, assistant in talks:
            await both_hear(person, assistant)
        (person, assistant), others = talks
        await at.hang_up(*others)
        await at.pbx.kill()
        begun = time.monotonic()
        await assistant.wait_request("BYE", timeout_s=GIVE_UP_S + 8)
        assert time.monotonic() - begun > GIVE_UP_S - 15
        await at.gateway.idle(UNANSWERED_S)
        person.media.pause()
        await at.pbx.start()


async def refreshes(at: FarStage, far: FarAsterisk) -> None:
    """Wait until an Asterisk has refreshed the call that it has made, and was told that this is good."""

    async def done() -> bool:
        messages = [one for _, one in await at.messages(far)]
        refreshes = [
            one for one in messages if one.is_request and one.tag("To") and one.get("Session-Expires") == AGREED
        ]
        asked = {(one["Call-ID"], one.cseq) for one in refreshes}
        return any((one["Call-ID"], one.cseq) in asked and one.code == 200 for one in messages if not one.is_request)

    await eventually(done, "a refresh", timeout_s=15, every_s=0.5)


class AgedAsterisks(Aged[FarBed]):
    """The scenario of this module."""

    def __init__(self, authority: Authority) -> None:
        @asynccontextmanager
        async def opened() -> AsyncIterator[FarBed]:
            with Net() as net:
                async with FarBed(net, {"timed": Ends(TIMED, TIMED)}, authority) as bed:
                    yield bed

        super().__init__({"refreshed until one dies": refreshed_until_one_dies}, opened)
