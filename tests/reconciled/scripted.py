# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers that SIPp cannot ask for: who does has to know the tags of two dialogs, or what the API calls a transfer.

Each case returns what its platform was told, as outcome and reason.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.core.outcome import Reason
from tests.reconciled.kinds import UNHEARD_OF, Key, key
from tests.reconciled.world import FAULTY, SIDE, SINGLE, STRANGER_HOST
from tests.support.configuration import TOKEN
from tests.support.peer import Peer
from tests.support.sip_message import Message, token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.reconciled.world import World
    from tests.support.peer_call import Call

ENDLESS, MACHINE, BUSY, SALES = "+31612345703", "+31612345701", "+31612345682", "+31612345678"


class Scripted:
    """The scripted platform and its callers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gateway = world.gateway

    async def played(self) -> Counter[Key]:
        """Every case once; what the platform was told, counted."""
        cases: tuple[Callable[[], Awaitable[list[Reason]]], ...] = (
            self.pending, self.cancelled, self.at_capacity, self.not_bridged, self.replaces, self.attended,
            self.command, self.faulty,
        )  # fmt: skip
        counted: Counter[Key] = Counter()
        for case in cases:
            counted.update(key(reason) for reason in await case())
        return counted

    async def talk(self) -> tuple[Call, Call]:
        """A caller and the assistant: both ends of the call."""
        host, port = self.gateway.sip
        caller = self.world.line.invite(f"sip:{SIDE}@{host}", (host, port), from_=f"<sip:+31201112233@{host}>")
        assistant = await self.world.side.wait_call()
        await assistant.answer()
        await caller.answered()
        return caller, assistant

    def invited(self, number: str, peer: Peer | None = None, **more: object) -> Call:
        """A fresh INVITE of the platform."""
        host, port = self.gateway.sip
        return (peer or self.world.side).invite(f"sip:{number}@{host}", (host, port), **more)  # type: ignore[arg-type]

    async def refer(self, assistant: Call, target: str) -> tuple[int, str]:
        """Ask for a transfer; the code of the answer and its reason."""
        answer = await assistant.refer(f"<sip:{target}@{self.gateway.sip[0]}>")
        return answer.code, reason_of(answer.get("Reason"))

    async def ringing(self) -> tuple[Call, Call]:
        """A caller who waits for somebody who never answers."""
        caller, assistant = await self.talk()
        assert await self.refer(assistant, ENDLESS) == (202, "")
        while (await assistant.wait_notify()).sipfrag != 180:
            pass
        return caller, assistant

    async def pending(self) -> list[Reason]:
        """A second REFER while the first is under way; then the caller has enough of it."""
        caller, assistant = await self.ringing()
        assert await self.refer(assistant, SALES) == (491, "transfer-pending")
        await hang_up(caller)
        assert (await assistant.notifies())[-1].sipfrag == 487
        await assistant.wait_request("BYE")
        return [Reason.TRANSFER_PENDING, Reason.CALLER_HUNG_UP]

    async def cancelled(self) -> list[Reason]:
        """Somebody takes the transfer back over HTTP."""
        caller, assistant = await self.ringing()
        transfer = await self.transfer_of(assistant)
        status, text = await self.gateway.http("POST", f"/api/transfers/{transfer}/cancel", token=TOKEN, body={})
        assert status == 200, text
        assert (await assistant.notifies())[-1].sipfrag == 487
        await hang_up(caller)
        await assistant.wait_request("BYE")
        return [Reason.CANCELLED]

    async def at_capacity(self) -> list[Reason]:
        """Two callers for a destination that has room for one."""
        first, asking = await self.talk()
        assert await self.refer(asking, SINGLE) == (202, "")
        assert (await asking.notifies())[-1].sipfrag == 200
        await asking.wait_request("BYE")
        second, asking = await self.talk()
        assert await self.refer(asking, SINGLE) == (503, "at-capacity")
        await hang_up(first, second)
        return [Reason.ANSWERED, Reason.AT_CAPACITY]

    async def not_bridged(self) -> list[Reason]:
        """The caller is with somebody already, and the assistant has not hung up yet."""
        caller, assistant = await self.talk()
        assert await self.refer(assistant, MACHINE) == (202, "")
        assert (await assistant.notifies())[-1].sipfrag == 200
        assert await self.refer(assistant, BUSY) == (480, "not-bridged")
        await assistant.wait_request("BYE")
        await hang_up(caller)
        return [Reason.ANSWERED, Reason.NOT_BRIDGED]

    async def replaces(self) -> list[Reason]:
        """Attended transfers that come to nothing."""
        caller, assistant = await self.talk()
        consulting = self.invited(MACHINE)
        await consulting.answered()
        own = consulting.named
        for named, told in (
            (own.replace("from-tag=", "from-tag=not-"), (481, "no-such-dialog")),
            (f"{own};early-only", (486, "dialog-not-early")),
            (caller.named, (403, "peer-not-allowed")),
            ("nonsense", (400, "bad-request")),
        ):
            assert await self.join(assistant, named) == told
        await hang_up(consulting)
        assert await self.join(assistant, own) == (603, "dialog-ended")
        await hang_up(caller)
        await assistant.wait_request("BYE")
        return [
            Reason.ANSWERED, Reason.NO_SUCH_DIALOG, Reason.DIALOG_NOT_EARLY, Reason.PEER_NOT_ALLOWED,
            Reason.BAD_REQUEST, Reason.DIALOG_ENDED,
        ]  # fmt: skip

    async def attended(self) -> list[Reason]:
        """An attended transfer that joins the caller with whom the platform has called."""
        caller, assistant = await self.talk()
        consulting = self.invited(MACHINE)
        await consulting.answered()
        assert await self.join(assistant, consulting.named) == (202, "")
        assert (await assistant.notifies())[-1].sipfrag == 200
        await assistant.wait_request("BYE")
        await consulting.wait_request("BYE")
        await hang_up(caller)
        return [Reason.ANSWERED, Reason.ANSWERED]

    async def command(self) -> list[Reason]:
        """Commands over HTTP: one that is refused, one that works; and an INVITE that is refused."""
        caller, assistant = await self.talk()
        [call] = [
            one["call"] for one in (await self.gateway.get("/api/calls"))["calls"]
            if assistant.call_id in one["call_ids"].values()
        ]  # fmt: skip
        for target, told in ((UNHEARD_OF, 409), (MACHINE, 202)):
            body = {"type": "transfer", "destination": target}
            status, text = await self.gateway.http("POST", f"/api/calls/{call}/transfer", token=TOKEN, body=body)
            assert status == told, text
        await assistant.wait_request("BYE")
        await hang_up(caller)
        refused = await self.invited(SALES).final()
        assert (refused.code, reason_of(refused.get("Reason"))) == (480, "queue-unstaffed")
        return [Reason.UNKNOWN_DESTINATION, Reason.ANSWERED, Reason.QUEUE_UNSTAFFED]

    async def faulty(self) -> list[Reason]:
        """A fresh INVITE whose target has answered, and which the gateway fails to answer then."""
        failed = await self.invited(FAULTY).final()
        assert (failed.code, reason_of(failed.get("Reason"))) == (500, "gateway-error")
        return [Reason.GATEWAY_ERROR]

    async def join(self, assistant: Call, named: str) -> tuple[int, str]:
        """Ask for an attended transfer to whom this Replaces names."""
        answer = await assistant.refer(f"<sip:machine@gateway?Replaces={quote(named, safe='')}>")
        return answer.code, reason_of(answer.get("Reason"))

    async def transfer_of(self, assistant: Call) -> str:
        """What the API calls the transfer that this call has asked for last."""
        found = await self.gateway.until(lambda one: one["call_ids"]["transferor"] == assistant.call_id)
        name: str = found[0]["transfer"]
        return name

    async def rejected(self) -> Counter[str]:
        """Requests that never become a transfer, each once; why each was refused, counted."""
        host, port = self.gateway.sip
        line, side = self.world.line, self.world.side
        named = [("Refer-To", f"<sip:{SALES}@{host}>"), ("Contact", f"<{side.contact}>")]
        answers = [await side.request("REFER", f"sip:{host}", (host, port), headers=named)]
        answers.append(await self.invited("+4930123456", self.world.narrow).final())
        answers.append(await self.invited(SIDE, line, headers=[("Max-Forwards", "0")]).final())
        only = self.invited(MACHINE, self.world.narrow)
        await only.answered()
        answers.append(await self.invited(MACHINE, self.world.narrow).final())
        caller, _ = await self.talk()
        assert caller.invite
        first = caller.invite.request
        # The same, as it comes by another way (RFC 3261 §8.2.2.2).
        other = ("Via", f"SIP/2.0/UDP {line.sent_by};branch={token('z9hG4bK')};rport")
        headers = [other if name == "Via" else (name, value) for name, value in first.headers]
        answers.append(await line.transact(Message(first.start, headers, first.body), (host, port)).final())
        async with Peer(self.world.net.host(STRANGER_HOST)) as stranger:
            answers.append(await self.invited(SIDE, stranger).final())
        await hang_up(caller, only)
        told = [reason_of(answer.get("Reason")) for answer in answers]
        assert told == [
            "forbidden-target", "not-assigned", "too-many-hops", "trunk-at-capacity", "loop", "peer-not-allowed",
        ]  # fmt: skip
        return Counter(told)


def reason_of(header: str | None) -> str:
    """The slug in a Reason header; empty: there is none."""
    return header.rpartition('text="')[2].rstrip('"') if header else ""


async def hang_up(*calls: Call) -> None:
    """End calls from their own end."""
    for call in calls:
        assert (await call.hang_up()).code == 200
