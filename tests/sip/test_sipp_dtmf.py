# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys between a side that has them as RFC 4733 events and one that has them in SIP INFO, which is SIPp's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.sipp_talk import WAYS, Place, Talk
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.support.sipp_end import End

pytestmark = pytest.mark.sip

RELAY = "application/dtmf-relay"
EVENTS, INFOS = "159D#", "2580A"
"""What is pressed on either side."""


async def has_keys(end: End[Any], keys: str) -> None:
    """Wait until so many keys have come as events; they have to be these."""

    async def are_there() -> bool:
        return len(end.media.keys) >= len(keys)

    await eventually(are_there, f"{keys} (there are {end.media.keys})")
    assert end.media.keys == keys


@pytest.mark.keeps("11.13")
@pytest.mark.parametrize("way", WAYS)
async def test_events_pass_both_ways(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        talk.opening()
        talk.closing()
        await talk.start()
        await talk.both_hear()
        talk.caller.media.press("123*#")
        talk.called.media.press("4455")
        await has_keys(talk.called, "123*#")
        await has_keys(talk.caller, "4455")


@pytest.mark.keeps("11.13")
@pytest.mark.parametrize("way", WAYS)
async def test_events_become_info_and_info_becomes_events(place: Place, way: str) -> None:
    """The trunk wants INFO, whichever side has called."""
    async with Talk(place, "info", way) as talk:
        pbx, trunk = (talk.caller, talk.called) if way == WAYS[0] else (talk.called, talk.caller)
        talk.opening()
        for key in EVENTS:
            trunk.does.expect("INFO", f"^Signal={key}[[:cntrl:]]", Content_Type=RELAY).respond()
        trunk.does.stop("told")
        pbx.does.stop("told").stop("pressed")
        for key in INFOS:
            trunk.does.request("INFO", f"Signal={key}\nDuration=160", kind=RELAY).response(200)
        trunk.does.stop("pressed")
        talk.closing()
        await talk.start()
        await talk.both_hear()
        await talk.go()
        pbx.media.press(EVENTS)
        await talk.arrive("told")
        await talk.until("pressed")
        await has_keys(pbx, INFOS)
        assert trunk.media.keys == ""
        await talk.both_hear(anew=True)
