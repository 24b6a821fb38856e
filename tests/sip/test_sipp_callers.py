# SPDX-License-Identifier: GPL-2.0-or-later
"""Who calls, as SIPp is told by the gateway and tells it; what may not get out; requests that go in circles."""

from __future__ import annotations

import pytest

from tests.sip.bed import PORT
from tests.sip.sipp_talk import CALLED_HZ, WAYS, Place, Talk
from tests.support.sipp_script import Calling

pytestmark = pytest.mark.sip

INSIDE = "inside.example"
EVE = f'"Eve Example" <sip:+31201112222@pbx.{INSIDE}>'
ANONYMOUS = "<sip:anonymous@anonymous.invalid>"
WITHHELD = {"P-Asserted-Identity": EVE, "Privacy": "id"}
DIVERTED = f"<sip:+31208889999@pbx.{INSIDE};user=phone>;reason=no-answer;counter=1"
HISTORY = f"<sip:+31208889999@{INSIDE}>;index=1, <sip:+31207776666@{INSIDE}>;index=1.1, <sip:x@{INSIDE}>;index=2"

both_ways = pytest.mark.parametrize("way", WAYS)


@pytest.mark.keeps("11.14")
@both_ways
async def test_from_alone_names_the_caller(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        invite = await talk.begin({"P-Asserted-Identity": EVE, "Diversion": DIVERTED})
        assert invite["From"].startswith(f'"Eve Example" <sip:+31201112222@{place.net.gateway}>')
        assert not invite.all("P-Asserted-Identity") + invite.all("Diversion") + invite.all("History-Info")


@pytest.mark.keeps("11.14")
@both_ways
async def test_who_is_trusted_gets_the_asserted_identity_and_the_diversion(place: Place, way: str) -> None:
    async with Talk(place, "told", way) as talk:
        invite = await talk.begin({"Diversion": DIVERTED})
        assert invite["P-Asserted-Identity"] == f'"Eve Example" <sip:+31201112222@{place.net.gateway}>'
        assert f"<sip:+31208889999@{place.net.gateway}>;reason=unconditional" in invite.all("Diversion")
        assert not invite.all("Privacy")


@pytest.mark.keeps("11.14")
@both_ways
async def test_history_info_is_made_of_what_came(place: Place, way: str) -> None:
    async with Talk(place, "history", way) as talk:
        entries = (await talk.begin({"History-Info": HISTORY})).all("History-Info")
        here = place.net.gateway
        dialled = [place.bed.number("history"), *([] if way == WAYS[0] else ["6001"])]
        users = ["+31208889999", "+31207776666", *dialled]
        assert entries == [f"<sip:{user}@{here}>;index=1{'.1' * depth}" for depth, user in enumerate(users)]


@pytest.mark.keeps("11.14")
@both_ways
async def test_a_number_that_is_withheld_reaches_nobody_but_who_keeps_it(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        await talk.begin(WITHHELD)
        assert ANONYMOUS in talk.called.taken[0]["From"]
        await talk.over()
        log = talk.called.sipp.messages()
        assert "+31201112222" not in log
        assert "Eve" not in log
    async with Talk(place, "told", way, caller=ANONYMOUS) as talk:
        invite = await talk.begin(WITHHELD)
        assert ANONYMOUS in invite["From"]
        assert "+31201112222" in invite["P-Asserted-Identity"]
        assert invite["Privacy"] == "id"


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


@pytest.mark.keeps("11.16")
@both_ways
async def test_max_forwards_counts_down(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        invite = await talk.begin({"Max-Forwards": "17"})
        assert invite.all("Max-Forwards") == ["16"]


@pytest.mark.keeps("11.16")
@both_ways
async def test_no_hops_left(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        talk.caller.does.invite(talk.caller.offer(), {"Max-Forwards": "0"}).refused(483)
        await talk.start("")


@pytest.mark.keeps("11.16")
@both_ways
async def test_our_own_request_that_comes_back_is_a_loop(place: Place, way: str) -> None:
    async with Talk(place, "udp", way) as talk:
        ours = await talk.begin()
        # It comes back as from a proxy: one hop less, and a Via on top.
        proxy = Calling(talk.number, ours["From"], cseq=ours.cseq[0])
        proxy.invite(talk.called.offer(), {"Max-Forwards": "69", "v": ours["Via"]}).refused(482)
        back = place.end(proxy, talk.called.here[0], CALLED_HZ, port=PORT + 10, call_id=ours["Call-ID"])
        await talk.joined_by(back).start()
        await back.over()
        await talk.both_hear(anew=True)
