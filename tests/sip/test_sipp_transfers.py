# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers in the middle of what else a call may go through, asked for by a platform that is SIPp.

Caller, platform and target are all played by SIPp; afterwards caller and target hear each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.bed import ANNA, PORT, TARGET_HZ
from tests.sip.sipp_talk import Place, Talk, hear
from tests.support.sipp_end import CODECS
from tests.support.sipp_script import Called

if TYPE_CHECKING:
    from tests.support.sipp_end import End

pytestmark = pytest.mark.sip

RINGBACK_HZ = 425


class Transfer(Talk):
    """A caller who talks to the platform, and whom the platform has put through to a target."""

    def __init__(self, place: Place, wire: str = "udp") -> None:
        super().__init__(place, wire, caller_port=PORT + 10)
        self.target: End[Called] = self.joined_by(place.end(Called(), self.caller.here[0], TARGET_HZ, self.wire))

    def asked(self) -> None:
        """The platform asks; the target rings until its stop, answers, and the platform is told and hung up."""
        platform = self.called.does.request("REFER", headers={"Refer-To": ANNA}).response(202)
        for code in (100, 180, 200):
            platform.expect("NOTIFY", f"^SIP/2.0 {code} ", Event="refer").respond()
        platform.gone().stop("through")
        self.target.does.invited().answer(180).stop("rings")
        self.target.does.answer(200, self.target.answer()).expect("ACK").stop("through")

    def ending(self) -> None:
        """The caller hangs up, and so is the target."""
        self.caller.does.stop("through").bye()
        self.target.does.gone()

    async def goes_through(self) -> None:
        """From the ringing of the target on, until caller and target hear each other."""
        await self.arrive("rings")
        await self.caller.media.hears(RINGBACK_HZ)
        await self.until("through")
        for end in self.ends:
            end.media.received.clear()
        await hear(self.caller, self.target)


def spoken_to(end: End[Any]) -> set[str]:
    """The codecs of all sound that has come."""
    return {CODECS[one.payload_type] for one in end.media.received}


@pytest.mark.keeps("11.17")
@pytest.mark.parametrize("platform", ["PCMA", "PCMU"])
@pytest.mark.parametrize(("caller", "target"), [("PCMA", "PCMU"), ("PCMU", "PCMA"), ("PCMA", "PCMA")])
async def test_between_different_codecs(place: Place, caller: str, platform: str, target: str) -> None:
    async with Transfer(place) as talk:
        talk.caller.codecs, talk.called.codecs, talk.target.codecs = (caller,), (platform,), (target,)
        talk.opening()
        talk.asked()
        talk.ending()
        await talk.start()
        await talk.both_hear()
        assert spoken_to(talk.called) == {platform}
        await talk.go()
        await talk.goes_through()
        assert spoken_to(talk.caller) == {caller}
        assert spoken_to(talk.target) == {target}
