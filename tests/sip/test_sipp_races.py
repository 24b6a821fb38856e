# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that cross, are lost or come twice around the answer of a call, with SIPp at both ends; forked calls."""

from __future__ import annotations

import pytest

from tests.sip.sipp_talk import WAYS, WIRES, Place, Talk

pytestmark = pytest.mark.sip

both_ways = pytest.mark.parametrize("way", WAYS)
WINNER, LATE = ".*;tag=called", ".*;tag=late"


@pytest.mark.keeps("11.8")
@both_ways
async def test_a_caller_who_cancels(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer()).progress(180).stop("rings").cancel().response(200).refused(487)
        called.does.invited().answer(180).stop("rings").expect("CANCEL").respond(200).answer(487).expect("ACK")
        await talk.start("rings")


@pytest.mark.keeps("11.8")
@both_ways
@pytest.mark.parametrize("wire", WIRES)
async def test_a_caller_who_cancels_while_it_is_answered(place: Place, way: str, wire: str) -> None:
    async with Talk(place, wire, way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer()).progress(180).stop("rings").cancel().response(200).refused(487)
        called.does.invited().answer(180).stop("rings").expect("CANCEL").respond(200)
        called.does.answer(200, called.answer()).expect("ACK").gone()
        await talk.start("rings")


@pytest.mark.keeps("11.8")
@both_ways
async def test_a_cancel_that_meets_our_200_changes_nothing(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer()).answered().cancel().response(200).ack().stop("up")
        called.does.invited().answer(180).answer(200, called.answer()).expect("ACK").stop("up")
        talk.closing()
        await talk.start()
        await talk.both_hear()


@pytest.mark.keeps("11.9")
@both_ways
async def test_a_lost_ack_is_made_up_for_by_our_next_200(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer()).answered().stop("answered").ack().stop("up")
        called.does.invited().answer(200, called.answer()).expect("ACK").stop("answered").stop("up")
        talk.closing()
        await talk.start("answered")
        await caller.has_logged("SIP/2.0 200", 2)
        await talk.until("up")
        await talk.both_hear()


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


@pytest.mark.keeps("11.9")
@both_ways
@pytest.mark.parametrize("wire", WIRES)
async def test_a_bye_before_the_ack(place: Place, way: str, wire: str) -> None:
    async with Talk(place, wire, way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer()).answered().stop("answered").bye().ack()
        called.does.invited().answer(200, called.answer()).expect("ACK").stop("answered").gone()
        await talk.start("answered")


# --- more than one place answers


@pytest.mark.keeps("11.10")
@both_ways
async def test_of_three_that_ring_the_one_that_answers_is_heard(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        caller, called = talk.caller, talk.called
        caller.does.invite(caller.offer()).answered().ack().stop("up")
        called.does.invited().answer(180, tag="one").answer(183, called.answer(), tag="other").answer(180)
        called.does.answer(200, called.answer()).expect("ACK", To=WINNER).stop("up")
        caller.does.bye()
        called.does.expect("BYE", To=WINNER).respond()
        await talk.start()
        await talk.both_hear()


@pytest.mark.keeps("11.10")
@both_ways
async def test_a_second_answer_is_acknowledged_and_hung_up(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        talk.opening()
        called = talk.called.does
        called.answer(200, talk.called.answer(), tag="late").expect("ACK", To=LATE).expect("BYE", To=LATE).respond()
        called.stop("late")
        talk.caller.does.stop("late")
        talk.closing()
        await talk.start()
        await talk.until("late")
        await talk.both_hear(anew=True)
