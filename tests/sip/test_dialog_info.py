# SPDX-License-Identifier: GPL-2.0-or-later
"""Subscriptions to a PBX's extensions on the wire (RFC 6665, RFC 4235, RFC 3863), and what the gate makes of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.company import settings
from tests.support.configuration import TOKEN, Configuration
from tests.support.gateway import Gateway
from tests.support.notifier import BODY_TYPES, Notifier, dialog_info, pidf
from tests.support.peer import Peer
from tests.support.peer_call import Call
from tests.support.processes import Net, eventually
from tests.support.sip_message import address, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

MAX_AGE_S = 1.5
SOON_S = 8.0


class Stage:
    """A gateway that watches the extensions 6001 and 6002 of a PBX, and asks its gate about them."""

    def __init__(self, gateway: Gateway, pbx: Notifier) -> None:
        self.gateway, self.pbx = gateway, pbx

    async def says(self, reason: str, line: str, target: str = "anna") -> None:
        """Wait until the gate decides so, for this."""

        async def decided() -> bool:
            decision = await self.gateway.get(f"/api/explain?target={target}&number=main-line")
            return decision["reason"] == reason and any(line in each for each in decision["trail"])

        await eventually(decided, f"{target}: {reason}, {line}", timeout_s=SOON_S)

    async def counted(self, up: int) -> None:
        """Wait until the metric tells this of the PBX."""

        async def so() -> bool:
            return await self.gateway.metric("transfer_gateway_pbx_up") == up

        await eventually(so, f"pbx_up {up}")

    async def subscribed(self, package: str, count: int, extension: str = "6001") -> list[Message]:
        """Wait for so many SUBSCRIBEs."""

        def enough() -> list[Message] | None:
            found = self.pbx.subscribed(extension, package)
            return found if len(found) >= count else None

        return await self.pbx.until(enough, f"{count} SUBSCRIBEs to {extension}'s {package}", SOON_S)


def watching(net: Net, **pbx: Any) -> Configuration:
    """A configuration whose only source of state is the extensions' own."""
    files = settings(net)
    source = {"source": "dialog-info", "max_age_s": MAX_AGE_S}
    files.pbx("asterisk", f"sip:{net.pbx}:5060", **{"queues": source, **pbx})
    files.profiles["hms"]["options_interval_s"] = 0
    files.line["destinations"] = [
        {"id": "anna", "extension": "6001", "when_unknown": "refuse"},
        {"id": "bert", "extension": "6002", "when_unknown": "refuse"},
        {"id": "sales", "extension": "6500", "queue": "sales"},
        {"id": "voicemail", "extension": "6001"},
    ]
    return files


@asynccontextmanager
async def running(net: Net, pbx: Notifier, **profile: Any) -> AsyncIterator[Stage]:
    """The gateway; when the test is over no call is left in it, and it lets go of its subscriptions at its end."""
    async with Gateway(watching(net, **profile)) as gateway:
        stage = Stage(gateway, pbx)
        yield stage
        await gateway.idle()


@pytest.fixture
async def pbx(own_net: Net) -> AsyncIterator[Notifier]:
    """The PBX, with two idle extensions."""
    async with Notifier(own_net.pbx) as notifier:
        notifier.hints = {"6001": "idle", "6002": "idle"}
        yield notifier


@pytest.mark.keeps("15.1")
async def test_what_the_pbx_tells_is_what_the_gate_says(own_net: Net, pbx: Notifier) -> None:
    async with running(own_net, pbx) as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        first = pbx.subscribed("6001", "dialog")[0]
        assert first.start == f"SUBSCRIBE sip:6001@{own_net.pbx}:5060 SIP/2.0"
        assert (first["Event"], first["Accept"]) == ("dialog", "application/dialog-info+xml")
        assert int(first["Expires"]) >= 60
        assert "application/pidf+xml" in pbx.subscribed("6001", "presence")[0]["Accept"]
        pbx.set("6001", "ringing")
        await stage.says("agents-busy", "extension 6001 (dialog-info): ringing")
        pbx.set("6001", "in-use")
        await stage.says("agents-busy", "extension 6001 (dialog-info): in-use")
        pbx.set("6001", "unavailable")
        await stage.says("queue-unstaffed", "extension 6001 (dialog-info): unavailable")
        await stage.says("accepted", "extension 6002 (dialog-info): idle", "bert")
        await stage.says("accepted", "dialog-info tells nothing of queues: allowed", "sales")
        assert all(one.code == 200 for one in _answers(pbx, "NOTIFY"))
        assert (await stage.gateway.get("/api/status"))["watches"] == 4
        await stage.counted(1)


@pytest.mark.keeps("15.3")
async def test_the_end_of_the_gateway_is_the_end_of_its_subscriptions(own_net: Net, pbx: Notifier) -> None:
    async with running(own_net, pbx) as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        await stage.gateway.idle()
        assert await stage.gateway.stop() == 0
        assert not pbx.subscriptions
        assert pbx.subscribed("6001", "dialog")[-1]["Expires"] == "0"
        await stage.gateway.start()


@pytest.mark.keeps("16.2")
async def test_what_belongs_to_no_subscription_is_refused_before_it_is_accepted(own_net: Net, pbx: Notifier) -> None:
    pbx.refused = dict.fromkeys(BODY_TYPES, 0)  # it takes its time
    async with running(own_net, pbx) as stage:
        [subscribe] = await stage.subscribed("dialog", 1)
        local, far = f"{subscribe['To']};tag=first", subscribe["From"]
        call = Call(pbx, stage.gateway.sip, local=local, far=far, call_id=subscribe["Call-ID"])
        call.target = address(subscribe["Contact"])
        answers = {}
        for method in ("INVITE", "BYE", "UPDATE", "INFO", "MESSAGE"):
            body = call.offer() if method in ("INVITE", "UPDATE") else b""
            answers[method] = (await call.begin(method, body=body, content_type="application/sdp").final()).code
        assert set(answers.values()) == {481}, answers
        pbx.respond(subscribe, stage.gateway.sip, reply(subscribe, 200, tag="first", headers=[("Expires", "600")]))
        state = [("Event", "dialog"), ("Subscription-State", "active;expires=600")]
        told = dialog_info("6001", "terminated", 0)
        notify = call.begin("NOTIFY", headers=state, body=told, content_type=BODY_TYPES["dialog"])
        assert (await notify.final()).code == 200
        call.close()


@pytest.mark.keeps("16.181")
async def test_a_subscription_ends_whatever_the_pbx_makes_of_its_end(own_net: Net, pbx: Notifier) -> None:
    async with running(own_net, pbx) as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        pbx.refused = dict.fromkeys(BODY_TYPES, 490)
        files = stage.gateway.files
        files.profiles["asterisk"]["queues"] = {"source": "none"}
        files.line["destinations"] = [{"id": each, "extension": "6001"} for each in ("sales", "voicemail")]
        stage.gateway.write()
        status, text = await stage.gateway.http("POST", "/api/reload", token=TOKEN)
        assert status == 200, text

        async def over() -> bool:
            return bool((await stage.gateway.get("/api/status"))["watches"] == 0)

        await eventually(over, "the end of the subscriptions", timeout_s=20)
        assert pbx.subscribed("6001", "dialog")[-1]["Expires"] == "0"


@pytest.mark.keeps("16.134")
async def test_another_peer_says_nothing_of_the_extensions(own_net: Net, pbx: Notifier) -> None:
    async with Peer(own_net.trunk) as trunk, running(own_net, pbx) as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        known = pbx.subscriptions["6001", "dialog"]
        forged = Call(trunk, known.remote, local=known.local, far=known.far, call_id=known.call_id)
        forged.target, forged.cseq = known.target, known.cseq + 10
        trunk.calls.append(forged)
        said = dialog_info("6001", "confirmed", 99)
        state = [("Event", "dialog"), ("Subscription-State", "active;expires=600")]
        kind = "application/dialog-info+xml"
        answer = await forged.begin("NOTIFY", headers=state, body=said, content_type=kind).final()
        assert (answer.code, answer["Reason"]) == (403, 'SIP;cause=403;text="peer-not-allowed"')
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        pbx.set("6001", "in-use")  # whose own word counts as before
        await stage.says("agents-busy", "extension 6001 (dialog-info): in-use")


@pytest.mark.keeps("15.2")
async def test_a_healthy_pbx_is_asked_within_max_age(own_net: Net, pbx: Notifier) -> None:
    async with running(own_net, pbx) as stage:
        again = await stage.subscribed("presence", 3)
        assert len({one["Call-ID"] for one in again}) == 1
        assert [one.cseq[0] for one in again] == sorted({one.cseq[0] for one in again})
        await stage.says("accepted", "extension 6001 (dialog-info): idle")


@pytest.mark.keeps("15.4")
async def test_a_pbx_that_falls_silent_is_unknown_until_it_speaks(own_net: Net, pbx: Notifier) -> None:
    async with running(own_net, pbx) as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        pbx.refused = {"dialog": 0, "presence": 0}
        await stage.says("queue-unknown", "extension 6001 (dialog-info): state unknown")
        await stage.counted(0)
        pbx.set("6001", "idle")
        await stage.says("accepted", "extension 6001 (dialog-info): idle")


@pytest.mark.keeps("15.5")
async def test_a_pbx_that_has_lost_its_subscriptions_gets_them_anew(own_net: Net, pbx: Notifier) -> None:
    async with running(own_net, pbx) as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        pbx.forget()
        pbx.hints["6001"] = "unavailable"
        await stage.says("queue-unknown", "state unknown, the PBX has just come back")
        await stage.says("queue-unstaffed", "extension 6001 (dialog-info): unavailable")
        assert len({one["Call-ID"] for one in pbx.subscribed("6002", "presence")}) == 2


@pytest.mark.keeps("15.6")
async def test_a_subscription_that_the_pbx_ends_is_made_anew(own_net: Net, pbx: Notifier) -> None:
    async with running(own_net, pbx) as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        for count, how in enumerate(("deactivated", "timeout", "probation;retry-after=1"), start=2):
            pbx.hints["6001"] = "unavailable"
            pbx.end("6001", "presence", how)
            await stage.says("queue-unstaffed", "extension 6001 (dialog-info): unavailable")
            assert len({one["Call-ID"] for one in pbx.subscribed("6001", "presence")}) == count
            pbx.set("6001", "idle")
            await stage.says("accepted", "extension 6001 (dialog-info): idle")
        assert len({one["Call-ID"] for one in pbx.subscribed("6001", "dialog")}) == 1


@pytest.mark.keeps("15.7")
@pytest.mark.parametrize("code", [403, 489])
async def test_a_pbx_that_takes_no_subscriptions_is_unknown_and_the_trail_says_why(
    own_net: Net, pbx: Notifier, code: int
) -> None:
    pbx.refused = {"dialog": code, "presence": code}
    async with running(own_net, pbx) as stage:
        await stage.says("queue-unknown", f"asterisk answers {code} to our subscription to its")
        assert len(pbx.subscribed("6001", "dialog")) == 1


@pytest.mark.keeps("15.8")
async def test_an_extension_without_a_hint_is_unknown_alone(own_net: Net, pbx: Notifier) -> None:
    del pbx.hints["6002"]
    async with running(own_net, pbx) as stage:
        line = "extension 6002 (dialog-info): state unknown, asterisk answers 404 to our subscription to its dialog"
        await stage.says("queue-unknown", line, "bert")
        await stage.says("accepted", "extension 6001 (dialog-info): idle")


@pytest.mark.keeps("15.9")
async def test_presence_is_enough_where_that_is_all_there_is(own_net: Net, pbx: Notifier) -> None:
    pbx.refused = {"dialog": 489}
    async with running(own_net, pbx) as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        pbx.set("6001", "in-use")
        await stage.says("agents-busy", "extension 6001 (dialog-info): in-use")
        pbx.set("6001", "unavailable")
        await stage.says("queue-unstaffed", "extension 6001 (dialog-info): unavailable")


@pytest.mark.keeps("15.10")
async def test_what_cannot_be_read_makes_its_extension_unknown_alone(own_net: Net, pbx: Notifier) -> None:
    patient = {"source": "dialog-info", "max_age_s": 60}  # or the next question might bring what can be read
    async with running(own_net, pbx, queues=patient) as stage:
        state = [("Event", "presence"), ("Subscription-State", "active")]
        for body in (b"<!DOCTYPE a><presence/>", b"nonsense", pidf("6001", "ajar"), b"<a>" * 1000):
            await stage.says("accepted", "extension 6001 (dialog-info): idle")
            call = pbx.subscriptions["6001", "presence"]
            told = call.begin("NOTIFY", headers=state, body=body, content_type="application/pidf+xml")
            assert (await told.final()).code == 200
            await stage.says("queue-unknown", "extension 6001 (dialog-info): state unknown")
            await stage.says("accepted", "extension 6002 (dialog-info): idle", "bert")
            pbx.set("6001", "idle")


@pytest.mark.keeps("15.11")
async def test_a_pbx_that_wants_a_password_gets_proof_of_it(own_net: Net, pbx: Notifier) -> None:
    pbx.challenge = 'Digest realm="pbx", nonce="4711", algorithm=MD5, qop="auth"'
    async with running(own_net, pbx, username="gateway", password="open-the-door") as stage:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        proof = (await stage.subscribed("dialog", 2))[1]["Authorization"]
        assert 'username="gateway"' in proof
        assert "open-the-door" not in proof


@pytest.mark.keeps("15.11")
async def test_without_the_password_it_is_unknown(own_net: Net, pbx: Notifier) -> None:
    pbx.challenge = 'Digest realm="pbx", nonce="4711", algorithm=MD5, qop="auth"'
    async with running(own_net, pbx) as stage:
        await stage.says("queue-unknown", "asterisk answers 401 to our subscription")


@pytest.mark.keeps("15.12")
async def test_a_stranger_s_notify_changes_nothing(own_net: Net, pbx: Notifier) -> None:
    async with running(own_net, pbx) as stage, Notifier(own_net.host(30)) as stranger:
        await stage.says("accepted", "extension 6001 (dialog-info): idle")
        headers = [("Event", "presence"), ("Subscription-State", "active"), ("Content-Type", "application/pidf+xml")]
        uri = f"sip:transfer-gateway@{own_net.gateway}"
        answer = await stranger.request("NOTIFY", uri, stage.gateway.sip, headers=headers, body=pidf("6001", "closed"))
        assert answer.code in {403, 481}
        own = await pbx.request("NOTIFY", uri, stage.gateway.sip, headers=headers, body=pidf("6001", "closed"))
        assert own.code == 481
        await stage.says("accepted", "extension 6001 (dialog-info): idle")


def _answers(pbx: Notifier, method: str) -> list[Message]:
    return [one.message for one in pbx.trace if not one.sent and one.message.method == method]
