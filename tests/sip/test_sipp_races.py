# SPDX-License-Identifier: GPL-2.0-or-later
"""Responses that come twice around the answer of a call, with SIPp at both ends."""

from __future__ import annotations

import pytest

from tests.sip.sipp_talk import ANY_OFFER, WAYS, Place, Talk

pytestmark = pytest.mark.sip

both_ways = pytest.mark.parametrize("way", WAYS)


@pytest.mark.keeps("11.9")
@both_ways
async def test_a_200_that_comes_again_is_acknowledged_again(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        talk.opening()
        talk.called.does.answer(200, talk.called.answer(), once=True).stop("again")
        talk.caller.does.stop("again")
        talk.closing()
        await talk.start()
        await talk.until("again")
        await talk.called.has_logged("ACK ", 2)
        await talk.both_hear(anew=True)


@pytest.mark.keeps("11.7")
@both_ways
async def test_a_reliable_response_is_repeated_until_it_is_acknowledged(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer(), {"Require": "100rel"}).progress(183, ANY_OFFER, reliable=True)
        caller.does.stop("early").prack().answered().ack()
        called.does.invited().answer(183, called.answer()).stop("early").answer(200, called.answer()).expect("ACK")
        called.does.stop("up")
        caller.does.stop("up")
        talk.closing()
        await talk.start("early")
        await caller.has_logged("SIP/2.0 183", 2)
        await talk.until("up")
        await talk.both_hear()
