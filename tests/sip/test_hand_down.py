# SPDX-License-Identifier: GPL-2.0-or-later
"""Hand-down on the wire: the REFER that goes to the PBX on the caller's leg, and what comes of its NOTIFYs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.pbx.fake_ami import FakeAmi, hint
from tests.sip.scene import is_up
from tests.support.company import NUMBER, settings
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

PBX_PORT = 5070
CALLER_HZ, ASSISTANT_HZ, TARGET_HZ = 700, 900, 1200
ANNA = "<sip:+31612345681@gw.example>"


Running: TypeAlias = Callable[[Configuration], AbstractAsyncContextManager[Gateway]]
"""A gateway with this configuration, which runs within the context."""


class Stage:
    """A gateway that hands down, between a platform and a PBX whose manager interface says that 6001 is idle."""

    def __init__(self, gateway: Gateway, ami: FakeAmi, pbx: Peer, platform: Peer) -> None:
        self.gateway, self.ami, self.pbx, self.platform = gateway, ami, pbx, platform

    async def talk(self) -> tuple[Call, Call]:
        """A caller on the PBX who talks to the assistant: the PBX's leg and the platform's."""
        caller = f"<sip:+31201112222@{self.pbx.host}>"
        uri = f"sip:{NUMBER}@{self.gateway.sip[0]}"
        leg = self.pbx.invite(uri, self.gateway.sip, from_=caller, hz=CALLER_HZ)
        leg.answers["REFER"] = 202
        assistant = await self.platform.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await leg.answered()
        await assistant.media.hears(CALLER_HZ)
        return leg, assistant

    async def referred(self, leg: Call) -> Message:
        """The REFER that comes down to the PBX, whose caller has the channel 77 from then on."""
        refer = await leg.wait_request("REFER")
        self.ami.call_ids["PJSIP/line-1"] = refer["Refer-To"].strip("<>")
        return refer

    async def transferring(self) -> tuple[Call, Call]:
        """The legs of a caller whom the PBX was asked to put through to Anna."""
        leg, assistant = await self.talk()
        await assistant.refer(ANNA)
        await self.referred(leg)
        return leg, assistant

    def tell(self, *events: dict[str, str]) -> None:
        """The manager interface says that the caller was moved, and then something else."""
        transferee = {"TransfereeChannel": "PJSIP/line-1", "TransfereeUniqueid": "77"}
        self.ami.send({"Event": "BlindTransfer", "Result": "Success", **transferee, "Extension": "6001"}, *events)

    async def outcome(self) -> dict[str, Any]:
        """The only transfer, once it has ended."""
        [ended] = await self.gateway.ended()
        return ended


@pytest.fixture
async def stage(own_net: Net) -> AsyncIterator[Stage]:
    """When the test is over nothing may be left in the gateway."""
    async with staged(own_net) as made:
        yield made


@asynccontextmanager
async def staged(net: Net, running: Running = Gateway) -> AsyncIterator[Stage]:
    """Whoever still calls hangs up in the end, and then nothing may be left in the gateway."""
    async with FakeAmi() as ami, Peer(net.pbx, PBX_PORT, user="pbx") as pbx, Peer(net.trunk) as platform:
        ami.hints = [hint("6001", 0)]
        files = settings(net, pbx_uri=f"sip:{net.pbx}:{PBX_PORT}")
        files.follow("asterisk", ami.port, ami.secret)
        files.profiles["asterisk"]["transfer_mode"] = "hand-down"
        files.profiles["hms"]["pass_headers"] = ["User-to-User", "Referred-By"]
        files.destination("anna").update(ring_timeout_s=1, overflow=["voicemail"])
        async with running(files) as gateway:

            async def known() -> bool:
                told = await gateway.get("/api/explain?target=%2B31612345681&number=main-line")
                return any(line.endswith("6001: idle") for line in told["trail"])

            await eventually(known, "the gateway knows that 6001 is idle")
            yield Stage(gateway, ami, pbx, platform)
            for call in (*pbx.calls, *platform.calls):
                if is_up(call):
                    await call.hang_up()
            await gateway.idle()


async def notify(leg: Call, status: str, *, last: bool = False, event: str = "refer") -> Message:
    """The PBX tells how it gets on; the gateway's answer."""
    state = "terminated;reason=noresource" if last else "active;expires=60"
    headers = [("Event", event), ("Subscription-State", state)]
    fragment = f"SIP/2.0 {status}\r\n".encode()
    return await leg.begin("NOTIFY", headers=headers, body=fragment, content_type="message/sipfrag;version=2.0").final()


def codes(notifies: list[Message]) -> list[int]:
    return [one.sipfrag for one in notifies]


@pytest.mark.keeps("13.1")
async def test_the_mapped_refer_goes_to_the_pbx_and_its_notifies_come_back(stage: Stage) -> None:
    leg, assistant = await stage.talk()
    referred_by = "<sip:assistant@hms.example>;x=1"
    accepted = await assistant.refer(ANNA, ("Referred-By", referred_by), ("User-to-User", "00ff"))
    assert accepted.code == 202
    refer = await stage.referred(leg)
    [transfer] = await stage.gateway.transfers()
    target = f"sip:6001@{stage.pbx.host}:{PBX_PORT};x-transfer-id={transfer['transfer']}"
    assert refer.all("Refer-To") == [f"<{target}>"]
    assert refer.all("Referred-By") == [referred_by]
    assert refer.get("User-to-User") is None
    assert refer["Contact"]
    assert (await notify(leg, "100 Trying")).code == 200
    assert (await notify(leg, "180 Ringing")).code == 200
    assert not leg.peer.received("BYE")
    assert (await notify(leg, "200 OK", last=True)).code == 200
    assert codes(await assistant.notifies()) == [100, 180, 200]
    await leg.wait_request("BYE")
    await assistant.wait_request("BYE")
    assert not stage.pbx.received("INVITE")
    [running] = await stage.gateway.transfers()
    assert (running["outcome"], running["answered_at"] is not None) == (None, True)
    stage.tell(dial_end("77", "ANSWER"))
    assert (await stage.outcome())["outcome"] == "completed"


@pytest.mark.keeps("13.1")
async def test_a_person_is_known_by_the_refer_to_that_the_pbx_kept(stage: Stage) -> None:
    leg, _ = await stage.transferring()
    stage.tell()
    await stage.ami.asked("Getvar")
    await notify(leg, "200 OK", last=True)
    await leg.wait_request("BYE")
    # Of somebody else's call, and of a phone that was tried in vain, nothing is made.
    stage.ami.send(dial_end("78", "ANSWER"), dial_end("77", "NOANSWER"))
    stage.ami.send(dial_end("77", "ANSWER"))
    ended = await stage.outcome()
    assert (ended["outcome"], ended["human_at"] is not None) == ("completed", True)


@pytest.mark.keeps("13.3")
@pytest.mark.parametrize(("cause", "reason"), [("16", "caller-hung-up"), ("17", "busy"), ("19", "no-answer")])
async def test_a_caller_who_is_gone_from_the_pbx_before_anybody_answers(stage: Stage, cause: str, reason: str) -> None:
    leg, _ = await stage.transferring()
    stage.tell()
    await notify(leg, "200 OK", last=True)
    await leg.wait_request("BYE")
    stage.ami.send({"Event": "Hangup", "Channel": "PJSIP/line-1", "Uniqueid": "77", "Cause": cause})
    ended = await stage.outcome()
    assert (ended["reason"], ended["human_at"]) == (reason, None)
    assert (ended["fault"] is None) == (reason == "caller-hung-up")


@pytest.mark.keeps("13.2")
@pytest.mark.parametrize("refused", [403, 404, 501, 603])
async def test_a_refused_refer_leaves_the_caller_to_the_next_destination(stage: Stage, refused: int) -> None:
    leg, assistant = await stage.talk()
    leg.answers["REFER"] = refused
    await assistant.refer(ANNA)
    voicemail = await stage.pbx.wait_call()
    assert voicemail.incoming
    assert voicemail.incoming.uri.startswith("sip:6599@")
    await voicemail.answer(hz=TARGET_HZ)
    await leg.media.hears(TARGET_HZ)
    assert codes(await assistant.notifies()) == [100, 200]
    await leg.hang_up()
    ended = await stage.outcome()
    assert [attempt["extension"] for attempt in ended["attempts"]] == ["6001", "6599"]


@pytest.mark.keeps("13.3")
async def test_a_caller_who_is_still_there_after_a_failure_is_taken_on(stage: Stage) -> None:
    leg, assistant = await stage.transferring()
    await notify(leg, "404 Not Found", last=True)
    voicemail = await stage.pbx.wait_call()
    voicemail.reject(486)
    assert codes(await assistant.notifies()) == [100, 486]
    await assistant.media.hears(CALLER_HZ)
    await leg.media.hears(ASSISTANT_HZ)
    ended = await stage.outcome()
    assert [attempt["sip_code"] for attempt in ended["attempts"]] == [404, 486]
    assert ended["returned_to_transferor"]
    # As if nothing had happened: the next one is handed down again.
    await assistant.refer(ANNA)
    [again] = await stage.pbx.until(lambda: refers(leg)[1:] or None, "a second REFER")
    stage.ami.call_ids["PJSIP/line-1"] = again["Refer-To"].strip("<>")
    await notify(leg, "200 OK", last=True, event=f"refer;id={again.cseq[0]}")
    await assistant.wait_request("BYE")
    stage.tell(dial_end("77", "ANSWER"))
    assert [one["outcome"] for one in await stage.gateway.ended(2)] == ["completed", "failed"]


@pytest.mark.keeps("13.3")
async def test_a_caller_whom_the_pbx_drops_is_a_failure_with_a_fault(stage: Stage) -> None:
    leg, assistant = await stage.transferring()
    leg.media.pause()
    await notify(leg, "503 Service Unavailable", last=True)
    assert codes(await assistant.notifies()) == [100, 503]
    await leg.wait_request("BYE")
    await assistant.wait_request("BYE")
    ended = await stage.outcome()
    assert (ended["outcome"], ended["reason"], ended["attempts"][0]["sip_code"]) == ("failed", "pbx-error", 503)
    assert ended["fault"] == "the PBX took the caller and dropped them: 503"
    assert not ended["returned_to_transferor"]


@pytest.mark.keeps("13.4")
async def test_a_pbx_that_says_nothing_more_does_not_keep_the_caller_waiting(stage: Stage) -> None:
    leg, assistant = await stage.transferring()
    await notify(leg, "100 Trying")
    (await stage.pbx.wait_call()).reject(603)
    assert codes(await assistant.notifies()) == [100, 603]
    await leg.media.hears(ASSISTANT_HZ)
    ended = await stage.outcome()
    assert [attempt["reason"] for attempt in ended["attempts"]] == ["no-answer", "declined"]


@pytest.mark.keeps("13.4")
async def test_a_caller_of_whom_the_pbx_says_nothing_more_and_who_is_gone_is_not_returned(stage: Stage) -> None:
    leg, assistant = await stage.transferring()
    leg.media.pause()
    assert codes(await assistant.notifies()) == [100, 480]
    ended = await stage.outcome()
    assert (ended["outcome"], ended["reason"]) == ("failed", "no-answer")
    assert ended["fault"] == "the PBX took the caller and did not say what became of them"
    await leg.wait_request("BYE")


@pytest.mark.keeps("13.3")
async def test_a_leg_that_the_pbx_ends_before_the_outcome_is_told_of_as_that(stage: Stage) -> None:
    leg, assistant = await stage.transferring()
    await leg.hang_up()
    assert codes(await assistant.notifies()) == [100, 502]
    ended = await stage.outcome()
    assert (ended["outcome"], ended["reason"], ended["human_at"]) == ("failed", "pbx-error", None)
    assert "before it said" in ended["fault"]


@pytest.mark.keeps("13.4")
async def test_the_end_of_the_subscription_without_an_outcome_is_none(stage: Stage) -> None:
    leg, assistant = await stage.transferring()
    await notify(leg, "100 Trying", last=True)
    (await stage.pbx.wait_call()).reject(486)
    assert codes(await assistant.notifies()) == [100, 486]
    assert (await stage.outcome())["attempts"][0]["sip_code"] == 500


@pytest.mark.keeps("13.2")
async def test_a_transferor_who_is_gone_leaves_the_caller_to_the_next_destination(stage: Stage) -> None:
    leg, assistant = await stage.transferring()
    await assistant.hang_up()
    await notify(leg, "404 Not Found", last=True)
    voicemail = await stage.pbx.wait_call()
    await voicemail.answer(hz=TARGET_HZ)
    await leg.media.hears(TARGET_HZ)
    await leg.hang_up()
    assert (await stage.outcome())["destination"] == "voicemail"


@pytest.mark.keeps("13.1")
async def test_the_pbx_may_name_the_refer_by_its_id(stage: Stage) -> None:
    leg, assistant = await stage.talk()
    await assistant.refer(ANNA)
    refer = await stage.referred(leg)
    assert (await notify(leg, "200 OK", last=True, event=f"refer;id={refer.cseq[0]}")).code == 200
    await assistant.wait_request("BYE")
    await leg.wait_request("BYE")
    stage.tell(dial_end("77", "ANSWER"))


def refers(leg: Call) -> list[Message]:
    return [one for one in leg.requests if one.method == "REFER"]


def dial_end(unique: str, status: str) -> dict[str, str]:
    return {"Event": "DialEnd", "Uniqueid": unique, "DestChannel": "PJSIP/6001-00000003", "DialStatus": status}
