# SPDX-License-Identifier: GPL-2.0-or-later
"""What else can happen while a transfer is asked for and made: no caller is lost, nobody is told what is not true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.scene import ANNA_HZ, CALLER_HZ, RINGBACK_HZ, hang_up, hears_nobody, scene
from tests.support.asterisk import VOICEMAIL_HZ
from tests.support.begun import Begun
from tests.support.company import settings
from tests.support.end import both_hear
from tests.support.peer import Peer
from tests.support.processes import eventually
from tests.support.sip_message import Message

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk

pytestmark = pytest.mark.pbx

ANNA, BUSY, SILENT, DECLINING = "+31612345681", "+31612345682", "+31612345683", "+31612345684"
MISSING, OVERFLOWING, NOBODY_S = "+31612345685", "+31612345686", "+31699999999"


@pytest.mark.keeps("2.13")
@pytest.mark.parametrize(
    ("number", "last", "code", "reason"),
    [
        (BUSY, 486, 486, "busy"), (SILENT, 480, 480, "no-answer"), (DECLINING, 603, 603, "declined"),
        (MISSING, 404, 480, "unreachable"),
    ],
)  # fmt: skip
async def test_after_a_failure_the_caller_is_back_with_the_assistant_and_a_second_refer_works(
    pbx: Asterisk, phones: Phones, number: str, last: int, code: int, reason: str
) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    async with scene(pbx) as play:
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, number) == 202
        told = [notify.sipfrag for notify in await assistant.notifies()]
        assert [told[0], told[-1]] == [100, last]
        assert set(told[1:-1]) <= {180}
        await both_hear(caller, assistant)
        await hears_nobody(caller, RINGBACK_HZ)
        [failed] = await play.gateway.ended()
        assert (failed["outcome"], failed["reason"], failed["sip_code"]) == ("failed", reason, code)
        assert failed["returned_to_transferor"]

        assert await play.refer(assistant, ANNA) == 202
        second = await assistant.notifies()
        assert second[-1].sipfrag == 200
        # RFC 3515 §2.4.6: from the second REFER on each NOTIFY says which one it is about.
        assert {notify["Event"] for notify in second} == {f"refer;id={assistant.cseq}"}
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        await assistant.wait_request("BYE")
        await hang_up(caller)


async def test_a_target_nobody_configured_is_refused_and_the_caller_notices_nothing(pbx: Asterisk) -> None:
    async with scene(pbx) as play:
        caller, assistant = await play.talk(past_pbx=True)
        begun, since = Begun(play.gateway.child.pid, pbx.pid), caller.media.received[-1].at
        refused = await assistant.refer(f"<sip:{NOBODY_S}@{play.gateway.sip[0]}>")
        assert (refused.code, refused["Reason"]) == (404, 'SIP;cause=404;text="unknown-destination"')

        async def later() -> bool:
            return caller.media.received[-1].at > since + 0.3

        await eventually(later, "the caller goes on hearing")
        assert caller.media.longest_gap(since) < 0.1 + begun.kept_s
        await both_hear(caller, assistant)
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["reason"], ended["destination"]) == ("refused", "unknown-destination", None)
        assert not assistant.requests[1:], "nothing but the ACK: no NOTIFY follows a refusal"
        await hang_up(assistant)
        await caller.wait_request("BYE")


async def test_a_refer_that_is_sent_again_is_one_transfer(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(pbx) as play:
        caller, assistant = await play.talk(past_pbx=True)
        refer = assistant.begin("REFER", headers=[("Refer-To", f"<sip:{ANNA}@{play.gateway.sip[0]}>")])
        refer.resend()
        assert (await refer.final()).code == 202
        await anna.event("CALL_INCOMING")
        refer.resend()

        async def answered_again() -> bool:
            return len(refer.responses) >= 3

        await eventually(answered_again, "each of the three is answered")
        assert {response.code for response in refer.responses} == {202}
        await anna.pick_up()
        assert (await assistant.notifies())[-1].sipfrag == 200
        await caller.media.hears(ANNA_HZ)
        assert len(await play.gateway.transfers()) == 1
        assert [event["type"] for event in anna.events].count("CALL_INCOMING") == 1
        await hang_up(caller)


async def test_a_caller_who_hangs_up_while_it_rings_stops_the_ringing(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", manner="ring")
    async with scene(pbx) as play:
        caller, assistant = await play.talk()
        assert await play.refer(assistant, ANNA) == 202
        await anna.event("CALL_INCOMING")
        # The phone rings before the gateway has heard of it.
        assert [(await assistant.wait_notify()).sipfrag for _ in range(2)] == [100, 180]
        await hang_up(caller)
        await anna.event("CALL_CLOSED")
        assert [notify.sipfrag for notify in await assistant.notifies()] == [487]
        await assistant.wait_request("BYE")
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["reason"], ended["sip_code"]) == ("abandoned", "caller-hung-up", 487)
        assert not ended["returned_to_transferor"]


async def test_an_assistant_that_leaves_at_once_leaves_the_caller_ringing(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(pbx) as play:
        caller, assistant = await play.talk()
        assert await play.refer(assistant, ANNA) == 202
        await hang_up(assistant)
        await anna.event("CALL_INCOMING")
        await caller.media.hears(RINGBACK_HZ)
        await anna.pick_up()
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["destination"]) == ("completed", "anna")
        await hang_up(caller)


@pytest.mark.parametrize("number", [BUSY, SILENT])
async def test_with_the_assistant_gone_a_failure_leads_to_voicemail(pbx: Asterisk, number: str) -> None:
    async with scene(pbx) as play:
        caller, assistant = await play.talk()
        refer = assistant.begin("REFER", headers=[("Refer-To", f"<sip:{number}@{play.gateway.sip[0]}>")])
        bye = assistant.begin("BYE")
        assert (await refer.final()).code == 202
        assert (await bye.final()).code == 200
        await caller.media.hears(VOICEMAIL_HZ)
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["destination"]) == ("completed", "voicemail")
        first, second = (attempt["destination"] for attempt in ended["attempts"])
        assert (first, second) == ("busy" if number == BUSY else "silent", "voicemail")
        assert "fallback voicemail: nobody is left to take the caller back" in ended["trail"]
        await hang_up(caller)


async def test_a_stranger_transfers_nobody(pbx: Asterisk) -> None:
    net = pbx.net
    async with scene(pbx) as play, Peer(net.host(40), user="stranger") as stranger:
        uri = f"sip:{net.gateway}"
        target = ("Refer-To", f"<sip:{ANNA}@{net.gateway}>")
        outside = await stranger.request("REFER", uri, play.gateway.sip, headers=[target])
        assert (outside.code, outside["Reason"]) == (403, 'SIP;cause=403;text="peer-not-allowed"')
        called = stranger.invite(f"sip:{ANNA}@{net.gateway}", play.gateway.sip)
        assert (await called.final()).code == 403

        # The same with a dialog overheard from the trunk, in which the assistant itself may ask.
        caller, assistant = await play.talk(past_pbx=True)
        refer = Message(f"REFER {assistant.target} SIP/2.0", assistant._headers("REFER", 77), b"")
        refer.headers[0] = ("Via", f"SIP/2.0/UDP {stranger.host}:5060;branch=z9hG4bKoverheard")
        refer.headers += [target, ("Contact", f"<{stranger.contact}>")]
        assert (await stranger.transact(refer, play.gateway.sip).final()).code == 403
        await both_hear(caller, assistant)
        assert await play.gateway.transfers() == []
        rejected = await play.gateway.metric("transfer_gateway_requests_rejected_total", reason="peer-not-allowed")
        assert rejected == 3
        await hang_up(caller)


async def test_a_leg_with_nobody_behind_it_transfers_nobody(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    async with scene(pbx) as play:
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, ANNA) == 202
        assert (await assistant.notifies())[-1].sipfrag == 200
        # The caller is with Anna, and the assistant has not hung up yet.
        assert await play.refer(assistant, BUSY) == 480
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        refused, completed = await play.gateway.ended(2)
        assert (refused["outcome"], refused["reason"]) == ("refused", "not-bridged")
        assert completed["outcome"] == "completed"
        await hang_up(caller)


async def test_a_transfer_under_way_is_the_only_one(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(pbx) as play:
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, ANNA) == 202
        assert await play.refer(assistant, BUSY) == 491
        await anna.event("CALL_INCOMING")
        await anna.pick_up()
        assert (await assistant.notifies())[-1].sipfrag == 200
        await caller.media.hears(ANNA_HZ)
        outcomes = {(one["outcome"], one["reason"]) for one in await play.gateway.ended(2)}
        assert outcomes == {("completed", "answered"), ("refused", "transfer-pending")}
        await hang_up(caller)


async def test_an_unstaffed_queue_overflows_to_the_next(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    async with scene(pbx) as play:
        await play.gateway.queue("support", logged_in=0)
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, OVERFLOWING) == 202
        assert (await assistant.notifies())[-1].sipfrag == 200
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["destination"]) == ("completed", "anna")
        assert [(one["destination"], one["reason"]) for one in ended["attempts"]] == [
            ("overflowing", "queue-unstaffed"), ("anna", "answered"),
        ]  # fmt: skip
        await hang_up(caller)


async def test_a_queue_that_does_not_answer_overflows_to_the_next(pbx: Asterisk, phones: Phones) -> None:
    carla = await phones("6003", manner="ring")
    anna = await phones("6001", hz=ANNA_HZ)
    files = settings(pbx.net, pbx=pbx)
    files.destination("overflowing")["ring_timeout_s"] = 1
    async with scene(pbx, files=files) as play:
        await play.gateway.queue("support", available=1)
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, OVERFLOWING) == 202
        await carla.event("CALL_INCOMING")
        await caller.media.hears(RINGBACK_HZ)
        assert (await assistant.notifies())[-1].sipfrag == 200
        await carla.event("CALL_CLOSED")
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        [ended] = await play.gateway.ended()
        assert [(one["destination"], one["reason"]) for one in ended["attempts"]] == [
            ("overflowing", "no-answer"), ("anna", "answered"),
        ]  # fmt: skip
        await hang_up(caller)
