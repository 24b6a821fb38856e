# SPDX-License-Identifier: GPL-2.0-or-later
"""A platform that is SIPp shows its password in mid call, where its trunk has `challenge` (RFC 3261 §22.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.sip.bed import ANNA, PORT, TARGET_HZ, Pair
from tests.sip.sipp_talk import Place, Talk, hear
from tests.support.certificates import Authority
from tests.support.sipp_end import End
from tests.support.sipp_script import Called

pytestmark = pytest.mark.sip

USERNAME, PASSWORD = "platform", "correct-horse"
CHALLENGE = "Digest .*algorithm=SHA-256.*"


def proves(platform: End[Called], gateway: str) -> None:
    """Have SIPp write into its credentials where its requests go: the gateway's Contact (RFC 7616 §3.4)."""
    platform.options = ["-auth_uri", f"transfer-gateway@{gateway}:{PORT};ob"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(authority: Authority) -> AsyncIterator[Place]:
    """A trunk that has to show its password."""
    pair = Pair({"challenge": True, "username": USERNAME, "password": PASSWORD})
    async with Place(authority, {"udp": pair}) as opened:
        yield opened


@pytest.mark.keeps("11.18")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_who_shows_the_password_may_hold_and_transfer(guarded: Place, method: str) -> None:
    async with Talk(guarded, "udp", caller_port=PORT + 10) as talk:
        caller, platform = talk.caller, talk.called
        target = talk.joined_by(guarded.end(Called(), caller.here[0], TARGET_HZ))
        proves(platform, guarded.bed.net.gateway)
        talk.opening()

        def proved(asked: str, body: str = "", headers: dict[str, str] | None = None) -> None:
            """Ask, be challenged, and ask again with the password."""
            platform.does.request(asked, body, headers=headers).challenged(asked, WWW_Authenticate=CHALLENGE)
            platform.does.request(asked, body, headers=headers, password=(USERNAME, PASSWORD))

        for direction, answer, told in (("sendonly", "recvonly", "held"), ("sendrecv", "sendrecv", "resumed")):
            proved(method, platform.offer(direction))
            platform.does.response(200, f"a={answer}", before=[100])
            if method == "INVITE":
                platform.does.ack()
            platform.does.stop(told)
            caller.does.told(f"a={direction}", caller.answer(answer)).stop(told)
        proved("REFER", headers={"Refer-To": ANNA})
        platform.does.response(202)
        for code in (100, 180, 200):
            platform.does.expect("NOTIFY", f"^SIP/2.0 {code} ", Event="refer").respond()
        platform.does.gone().stop("through")
        target.does.invited().answer(180).answer(200, target.answer()).expect("ACK").stop("through").gone()
        caller.does.stop("through").bye()
        await talk.start()
        await talk.both_hear()
        await talk.until("held")
        await platform.media.hears_nothing()
        await talk.until("resumed")
        await talk.both_hear(anew=True)
        await talk.until("through")
        await hear(caller, target)


@pytest.mark.keeps("11.18")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_who_shows_another_one_changes_nothing(guarded: Place, method: str) -> None:
    async with Talk(guarded, "udp") as talk:
        platform = talk.called
        proves(platform, guarded.bed.net.gateway)
        talk.opening()
        offer = platform.offer("inactive")
        platform.does.request(method, offer).challenged(method)
        platform.does.request(method, offer, password=(USERNAME, "wrong")).challenged(method).stop("refused")
        talk.closing()
        await talk.start()
        await platform.go()
        await platform.at("refused")
        await talk.both_hear(anew=True)
