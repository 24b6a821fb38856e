# SPDX-License-Identifier: GPL-2.0-or-later
"""What one side must not learn of the other, who calls where it is said oddly, and a call that comes by two ways."""

from __future__ import annotations

import pytest

from tests.sip.bed import ANNA, TARGET_HZ, Bed, Pair, Stage
from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

INSIDE = "inside.example"
ASSERTED = ("P-Asserted-Identity", f'"Eve Example" <sip:+31201112222@pbx.{INSIDE}>')
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
DIVERSION = ("Diversion", f"<sip:+31208889999@pbx.{INSIDE};user=phone>;reason=no-answer;counter=1")
HISTORY = (
    "History-Info",
    f'<sip:+31208889999@{INSIDE}>;index=1, "A, B" <sip:+31207776666@{INSIDE}>;index=1.1, <sip:x@{INSIDE}>;index=2',
)
BOTH = {"identity": "asserted", "diversion": "diversion"}
PAIRS = {"plain": Pair(), "told": Pair(BOTH, BOTH)}


def invite_of(call: object) -> Message:
    """The INVITE that reached a peer."""
    invite = getattr(call, "incoming", None)
    assert isinstance(invite, Message)
    return invite


@pytest.mark.keeps("8.23", "8.25")
async def test_whom_a_transfer_calls_is_told_of_both_diversions_and_of_the_hops_that_are_left(bed: Bed) -> None:
    async with Stage(bed, "told") as at:
        caller, assistant = await at.conversation(headers=[DIVERSION, ("Max-Forwards", "17")])
        anna = await at.transfer(caller, assistant)
        invite = invite_of(anna)
        assert [value.partition("@")[0] for value in invite.all("Diversion")] == [
            f"<sip:{at.number}",
            "<sip:+31208889999",
        ]
        assert invite.all("Max-Forwards") == ["16"]
        await assistant.wait_request("BYE")
        await caller.hang_up()
        await anna.wait_request("BYE")


@pytest.mark.keeps("16.73")
@pytest.mark.parametrize(
    "from_",
    [
        '"Anonymous" <sip:anonymous@anonymous.invalid;user=phone>', '"Anonymous" <sip:Anonymous@10.10.10.2>',
        "<sip:restricted@carrier.example>", '"Unavailable" <sip:unavailable@unknown.invalid>',
    ],
)  # fmt: skip
async def test_a_number_stays_withheld_however_that_is_said(bed: Bed, from_: str) -> None:
    async with Stage(bed, "plain") as at:
        asserted = ("P-Asserted-Identity", "<tel:+31612312312>")
        caller, assistant = await at.conversation(from_=from_, headers=[asserted])
        invite = invite_of(assistant)
        assert invite["From"].startswith(ANONYMOUS)
        assert b"31612312312" not in bytes(invite)
        await caller.hang_up()


@pytest.mark.keeps("16.75")
async def test_name_and_number_are_of_one_identity(bed: Bed) -> None:
    async with Stage(bed, "plain") as at:
        asserted = ("P-Asserted-Identity", '"Jan" <sip:+31612312312@carrier.example>')
        caller, assistant = await at.conversation(from_="<sip:acct-7731@carrier.example>", headers=[asserted])
        assert invite_of(assistant)["From"].startswith(f'"Jan" <sip:+31612312312@{bed.net.gateway}>')
        await caller.hang_up()


@pytest.mark.keeps("8.24")
async def test_nothing_of_the_inner_side_goes_out(bed: Bed) -> None:
    async with Stage(bed, "told") as at:
        caller, assistant = await at.conversation(
            headers=[ASSERTED, DIVERSION, HISTORY, ("X-Note", "for the assistant")]
        )
        assert caller.call_id not in str(invite_of(assistant))
        assert (await assistant.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        anna.reject(486, headers=[("Warning", f'399 pbx.{INSIDE} "busy"'), ("Reason", f'SIP;text="{at.pbx.host}"')])
        await assistant.notifies()
        await caller.hang_up()
        await assistant.wait_request("BYE")
        told = b"".join(bytes(one.message) for one in at.trunk.trace if not one.sent)
        for inner in (at.pbx.host, INSIDE, caller.call_id, anna.call_id):
            assert inner.encode() not in told
        outside = b"".join(bytes(one.message) for one in at.pbx.trace if not one.sent)
        for outer in (at.trunk.host, assistant.call_id):
            assert outer.encode() not in outside


@pytest.mark.keeps("8.24")
async def test_a_refusal_of_our_own_does_not_name_the_machine(bed: Bed) -> None:
    async with Stage(bed, "plain") as at:
        body = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n"
        refused = await at.call(body=body).final()
        assert refused.code == 488
        assert all(value.split()[1] == "transfer-gateway" for value in refused.all("Warning"))


@pytest.mark.keeps("8.26")
async def test_a_request_that_comes_by_two_ways_counts_once(bed: Bed) -> None:
    async with Stage(bed, "plain") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        assert caller.invite
        first = caller.invite.request
        headers = [(name, f"{value}-2" if name == "Via" else value) for name, value in first.headers]
        headers[0] = ("Via", f"SIP/2.0/UDP {at.pbx.sent_by};branch=z9hG4bK-other-way;rport")
        second = at.pbx.transact(Message(first.start, headers, first.body), at.gateway)
        assert (await second.final()).code == 482
        await assistant.answer(hz=TARGET_HZ)
        await caller.answered()
        assert len(at.trunk.received("INVITE")) == 1
        await caller.hang_up()
