# SPDX-License-Identifier: GPL-2.0-or-later
"""What passes before the answer with SIPp at both ends: early media, and responses that have to be acknowledged."""

from __future__ import annotations

import pytest

from tests.sip.sipp_talk import CALLED_HZ, WAYS, WIRES, Place, Talk

pytestmark = pytest.mark.sip

EARLY_HZ = 1500
REQUIRED = {"Require": "100rel"}
RELIABLE = {**REQUIRED, "RSeq": "71"}
SOUND = "m=audio [1-9][0-9]+ "

both_ways = pytest.mark.parametrize("way", WAYS)


async def early_media(talk: Talk, *, asks: bool = False, demands: bool = False) -> None:
    """The caller hears the other side before it answers, and is heard.

    `asks`: the caller wants the responses acknowledged; `demands`: the called one does.
    """
    caller, called = talk.caller.does, talk.called.does
    caller.invite(talk.caller.offer(), REQUIRED if asks else None)
    called.invited(SOUND, Supported=".*100rel.*")
    called.answer(183, talk.called.answer(), headers=RELIABLE if demands else None)
    if asks:
        caller.progress(183, SOUND, reliable=True, Require=".*100rel.*").prack()
    else:
        caller.progress(183, SOUND)
    if demands:
        called.expect("PRACK", RAck="71 [0-9]+ INVITE").respond()
    caller.stop("early").answered().ack().stop("up")
    called.stop("early").answer(200, talk.called.answer()).expect("ACK").stop("up")
    talk.closing()
    talk.called.media.hz = EARLY_HZ
    await talk.start("early")
    await talk.both_hear()
    talk.called.media.hz = CALLED_HZ
    await talk.until("up")
    await talk.both_hear(anew=True)


@pytest.mark.keeps("11.6")
@both_ways
@pytest.mark.parametrize("wire", WIRES)
async def test_early_media(place: Place, way: str, wire: str) -> None:
    async with Talk(place, wire, way) as talk:
        await early_media(talk)


@pytest.mark.keeps("11.7")
@both_ways
@pytest.mark.parametrize("wire", WIRES)
async def test_a_caller_who_requires_reliable_responses_gets_them(place: Place, way: str, wire: str) -> None:
    async with Talk(place, wire, way) as talk:
        await early_media(talk, asks=True)


@pytest.mark.keeps("11.7")
@both_ways
@pytest.mark.parametrize("wire", WIRES)
async def test_a_target_that_requires_prack_gets_it(place: Place, way: str, wire: str) -> None:
    async with Talk(place, wire, way) as talk:
        await early_media(talk, demands=True)


@pytest.mark.keeps("11.7")
@both_ways
async def test_reliable_responses_on_both_sides(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        await early_media(talk, asks=True, demands=True)


@pytest.mark.keeps("11.7")
@both_ways
async def test_a_reliable_response_is_repeated_until_it_is_acknowledged(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer(), REQUIRED).progress(183, SOUND, reliable=True).stop("early").prack()
        caller.does.answered().ack()
        called.does.invited().answer(183, called.answer()).stop("early").answer(200, called.answer()).expect("ACK")
        called.does.stop("up")
        caller.does.stop("up")
        talk.closing()
        await talk.start("early")
        await caller.has_logged("SIP/2.0 183", 2)
        await talk.until("up")
        await talk.both_hear()


@pytest.mark.keeps("11.6")
@both_ways
async def test_a_call_that_fails_after_its_early_media(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer()).progress(183, SOUND).stop("early").refused(486)
        called.does.invited().answer(183, called.answer()).stop("early").answer(486).expect("ACK")
        await talk.start("early")
        await talk.both_hear()
