# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys between a side that has them as RFC 4733 events and one that has them in SIP INFO, which is SIPp's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.sipp_talk import WAYS, Place, Talk
from tests.support.end import until_pressed

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.sip

RELAY = "application/dtmf-relay"
EVENTS, INFOS = "159D#", "2580A"
"""What is pressed on either side."""


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
        await until_pressed(INFOS, lambda: pbx.media.keys)
        assert trunk.media.keys == ""
        await talk.both_hear(anew=True)
