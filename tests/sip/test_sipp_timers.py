# SPDX-License-Identifier: GPL-2.0-or-later
"""Session timers (RFC 4028) as they are agreed on, with SIPp at both ends."""

from __future__ import annotations

import pytest

from tests.sip.sipp_talk import WAYS, WHO, Place, Talk

pytestmark = pytest.mark.sip

both_ways = pytest.mark.parametrize("way", WAYS)


def wanted(seconds: int, refresher: str = "") -> dict[str, str]:
    """What asks for a session timer."""
    role = f";refresher={refresher}" if refresher else ""
    return {"Supported": "timer", "Session-Expires": f"{seconds}{role}"}


@pytest.mark.keeps("11.11")
@both_ways
async def test_who_finds_our_session_too_short_is_asked_again(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer()).answered().ack().stop("up")
        called.does.invited().answer(422, headers={"Min-SE": "2400"}).expect("ACK")
        called.does.invited(Session_Expires="24[0-9][0-9].*", Min_SE="2400")
        called.does.answer(200, called.answer()).expect("ACK").stop("up")
        talk.closing()
        await talk.start()
        await talk.both_hear()


@pytest.mark.keeps("11.12")
@both_ways
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_a_refresh_is_answered_and_concerns_nobody_else(place: Place, way: str, who: str, method: str) -> None:
    async with Talk(place, "udp", way) as talk:
        refreshing, other = talk.parts(who)
        talk.opening()
        refreshing.does.request(method, refreshing.offer() if method == "INVITE" else "", headers=wanted(300, "uac"))
        refreshing.does.response(200, before=(100,), Session_Expires="300 *; *refresher=uac")
        if method == "INVITE":
            refreshing.does.ack()
        refreshing.does.stop("refreshed")
        other.does.stop("refreshed")
        talk.closing()
        await talk.start()
        await talk.until("refreshed")
        await talk.both_hear(anew=True)
