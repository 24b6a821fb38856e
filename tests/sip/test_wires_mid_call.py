# SPDX-License-Identifier: GPL-2.0-or-later
"""What may happen in mid call, over TCP, TLS, and TLS with SRTP: scenarios that UDP has in modules of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.sip import test_early_update as update
from tests.sip import test_media_early as early
from tests.sip import test_mid_call_dtmf as dtmf
from tests.sip import test_mid_call_hold as hold
from tests.sip import test_mid_call_offers as offers
from tests.sip.bed import Bed
from tests.sip.mid_call import WAYS
from tests.sip.wires import WIRES, Wired, make_bed
from tests.support.certificates import Authority
from tests.support.processes import Net

pytestmark = pytest.mark.sip

Scenario = Callable[..., Awaitable[None]]
OUT, IN = WAYS
TO_US, FROM_US = "to the assistant", "to a destination"


def scenario(play: Scenario, **how: Any) -> Any:
    """A scenario of another module, and which of its variants."""
    name = play.__name__.removeprefix("test_")
    return pytest.param(play, how, id="-".join([name, *map(str, how.values())]))


SCENARIOS = [
    scenario(hold.test_a_re_invite_that_meets_another_is_tried_again, who="caller"),
    scenario(hold.test_a_re_invite_of_the_peer_is_refused_while_ours_is_under_way),
    scenario(offers.test_one_side_moves_to_another_address, way=OUT, who="caller"),
    scenario(offers.test_one_side_moves_to_another_address, way=IN, who="caller"),
    scenario(early.test_a_caller_who_requires_reliable_responses_gets_them, direction=TO_US),
    scenario(early.test_a_caller_who_requires_reliable_responses_gets_them, direction=FROM_US),
    scenario(early.test_a_target_that_requires_prack_gets_it, direction=TO_US),
    scenario(early.test_a_target_that_requires_prack_gets_it, direction=FROM_US),
    scenario(update.test_an_offer_before_the_answer, way=OUT, who="called"),
    scenario(update.test_an_offer_before_the_answer, way=IN, who="caller"),
    # In the middle of a transfer.
    scenario(hold.test_the_target_is_told_that_the_caller_has_put_it_on_hold),
    scenario(offers.test_the_target_speaks_another_codec_than_the_caller),
    scenario(offers.test_a_transfer_while_our_offer_waits_for_its_answer),
]
BY_INFO = [scenario(dtmf.test_events_become_info_on_a_side_that_wants_it), scenario(dtmf.test_info_becomes_events)]

wires = pytest.mark.parametrize("wire", WIRES)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net, authority: Authority) -> AsyncIterator[Bed]:
    made = make_bed(own_net, authority)
    async with made.gateway:
        yield made


@pytest.mark.keeps("9.17")
@wires
@pytest.mark.parametrize(("play", "how"), SCENARIOS)
async def test_in_mid_call(bed: Bed, authority: Authority, wire: str, play: Scenario, how: dict[str, Any]) -> None:
    async with Wired(bed, authority, wire) as scene:
        await play(scene, **how)


@pytest.mark.keeps("9.17")
@wires
@pytest.mark.parametrize(("play", "how"), BY_INFO)
async def test_keys_by_info(bed: Bed, authority: Authority, wire: str, play: Scenario, how: dict[str, Any]) -> None:
    async with Wired(bed, authority, f"{wire}-info") as scene:
        await play(scene, **how)
