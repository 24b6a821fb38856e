# SPDX-License-Identifier: GPL-2.0-or-later
"""Offers in the middle of calls, and calls without one, with SIPp at both ends: codecs, addresses, glare.

Whoever is not concerned is not told: SIPp takes any message that it does not expect for a failure.
"""

from __future__ import annotations

import pytest

from tests.sip.bed import PORT
from tests.sip.sipp_talk import WAYS, WHO, Place, Talk
from tests.support.rtp import Rtp
from tests.support.sipp_script import Script

pytestmark = pytest.mark.sip


both_ways = pytest.mark.parametrize("way", WAYS)
either = pytest.mark.parametrize("who", WHO)


@pytest.mark.keeps("11.3")
@both_ways
@either
async def test_one_side_moves_to_another_address(place: Place, way: str, who: str) -> None:
    """Its sound and its signalling: what is for it from then on reaches another program."""
    async with Talk(place, "udp", way) as talk:
        moving, other = talk.parts(who)
        elsewhere = Rtp(moving.media.host, hz=moving.hz)
        moved = talk.joined_by(place.end(Script(), moving.here[0], 0, port=PORT + 10))
        contact = {"Contact": f"<sip:moved@{moved.here[0]}:{moved.here[1]}>"}
        talk.opening()
        moving.does.reinvite(moving.offer(media=elsewhere), "a=sendrecv", headers=contact).stop("moved")
        other.does.stop("moved").bye()
        moved.does.gone()
        await talk.start()
        await talk.both_hear()
        moving.moves(elsewhere)
        await talk.until("moved")
        await talk.both_hear(anew=True)


@pytest.mark.keeps("11.4")
@both_ways
@either
async def test_a_re_invite_that_meets_another_is_tried_again(place: Place, way: str, who: str) -> None:
    async with Talk(place, "udp", way) as talk:
        holder, held = talk.parts(who)
        talk.opening()
        holder.does.reinvite(holder.offer("sendonly"), "a=recvonly").stop("held")
        held.does.expect("INVITE", "a=sendonly").respond(491).expect("ACK")
        held.does.told("a=sendonly", held.answer("recvonly")).stop("held")
        talk.closing()
        await talk.start()
        await talk.until("held")
        await holder.media.hears_nothing()


@pytest.mark.keeps("11.4")
@both_ways
@either
async def test_a_re_invite_is_refused_while_ours_is_under_way(place: Place, way: str, who: str) -> None:
    async with Talk(place, "udp", way) as talk:
        holder, held = talk.parts(who)
        talk.opening()
        holder.does.reinvite(holder.offer("sendonly"), "a=recvonly").stop("held")
        held.does.expect("INVITE", "a=sendonly").request("INVITE", held.offer()).refused(491)
        held.does.answer(200, held.answer("recvonly")).expect("ACK").stop("held")
        held.does.reinvite(held.offer(), "a=sendonly").stop("again")
        holder.does.stop("again")
        talk.closing()
        await talk.start()
        await talk.until("held")
        await talk.until("again")
        await holder.media.hears_nothing()


# --- without an offer
