# SPDX-License-Identifier: GPL-2.0-or-later
"""One call more than there may be, with SIPp at all ends: refused for now, and the others go on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.sip.bed import PORT, Pair
from tests.sip.sipp_talk import WAYS, Place, Talk
from tests.support.certificates import Authority
from tests.support.sipp_script import Calling

pytestmark = pytest.mark.sip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(authority: Authority) -> AsyncIterator[Place]:
    async with Place(authority, {"udp": Pair()}, max_calls=1) as opened:
        yield opened


@pytest.mark.keeps("11.16")
@pytest.mark.parametrize("way", WAYS)
async def test_max_calls(small: Place, way: str) -> None:
    async with Talk(small, "udp", way) as talk:
        await talk.begin()
        refused = Calling(talk.number).invite(talk.caller.offer())
        refused.refused(503, Retry_After="[1-9][0-9]*", Reason='.*text="at-capacity".*')
        one_more = talk.joined_by(small.end(refused, talk.caller.here[0], 0, port=PORT + 10))
        await one_more.start()
        await one_more.over()
        await talk.both_hear(anew=True)
    async with Talk(small, "udp", way) as talk:  # and there is room again
        await talk.begin()
        await talk.both_hear()
