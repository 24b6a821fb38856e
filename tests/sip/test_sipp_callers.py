# SPDX-License-Identifier: GPL-2.0-or-later
"""What may not get out of one side's messages into those of the other, as SIPp sees it at both ends."""

from __future__ import annotations

import pytest

from tests.sip.sipp_talk import WAYS, Place, Talk

pytestmark = pytest.mark.sip

INSIDE = "inside.example"
EVE = f'"Eve Example" <sip:+31201112222@pbx.{INSIDE}>'
DIVERTED = f"<sip:+31208889999@pbx.{INSIDE};user=phone>;reason=no-answer;counter=1"
HISTORY = f"<sip:+31208889999@{INSIDE}>;index=1, <sip:+31207776666@{INSIDE}>;index=1.1, <sip:x@{INSIDE}>;index=2"

both_ways = pytest.mark.parametrize("way", WAYS)


@pytest.mark.keeps("11.15")
@both_ways
@pytest.mark.parametrize("answered", [True, False], ids=["answered", "refused"])
async def test_nothing_of_one_side_is_seen_on_the_other(place: Place, way: str, answered: bool) -> None:
    """Contact, Via, SDP, Call-ID, Warning: neither address nor name, in any message from the first to the last."""
    async with Talk(place, "told", way) as talk:
        caller, called = talk.caller, talk.called
        headers = {"P-Asserted-Identity": EVE, "Diversion": DIVERTED, "History-Info": HISTORY}
        if answered:
            await talk.begin(headers)
            await talk.both_hear()
        else:
            telling = {"Warning": f'399 pbx.{INSIDE} "busy"', "Reason": f'SIP;text="{called.here[0]}"'}
            caller.does.invite(caller.offer(), headers).refused(486)
            called.does.invited().stop("rings").answer(486, headers=telling).expect("ACK")
            await talk.start("rings")
        await talk.over()
        seen = called.sipp.messages()
        assert seen.count(INSIDE) == (0 if answered else 1)  # its own Warning
        assert caller.here[0] not in seen
        assert caller.call_id not in seen
        told = caller.sipp.messages()
        assert called.here[0] not in told
        assert called.call_id not in told
