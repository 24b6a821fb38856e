# SPDX-License-Identifier: GPL-2.0-or-later
"""What may happen in mid call, over TCP, TLS, and TLS with SRTP: scenarios that UDP has in modules of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.sip import test_early_update as update
from tests.sip import test_mid_call_hold as hold
from tests.sip import test_mid_call_offers as offers
from tests.sip.mid_call import WAYS
from tests.sip.wires import WIRES, OnWire

pytestmark = pytest.mark.sip

Scenario = Callable[..., Awaitable[None]]
OUT, IN = WAYS


def scenario(play: Scenario, **how: Any) -> Any:
    """A scenario of another module, and which of its variants."""
    name = play.__name__.removeprefix("test_")
    return pytest.param(play, how, id="-".join([name, *map(str, how.values())]))


SCENARIOS = [
    scenario(update.test_an_offer_before_the_answer, way=OUT, who="called"),
    scenario(update.test_an_offer_before_the_answer, way=IN, who="caller"),
    # In the middle of a transfer.
    scenario(hold.test_the_target_is_told_that_the_caller_has_put_it_on_hold),
    scenario(offers.test_the_target_speaks_another_codec_than_the_caller),
]
wires = pytest.mark.parametrize("wire", WIRES)


@pytest.mark.keeps("9.17")
@wires
@pytest.mark.parametrize(("play", "how"), SCENARIOS)
async def test_in_mid_call(wired: OnWire, wire: str, play: Scenario, how: dict[str, Any]) -> None:
    async with wired(wire) as scene:
        await play(scene, **how)
