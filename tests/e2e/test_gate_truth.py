# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate tells what the PBX then does: agents' states really change, and in each the two are compared.

A call is sent to the queue or extension as the gateway would send it, and what comes of it is watched: it *rings*
somebody, the caller *waits*, or is sent back, because *nobody* is there or because it is *full* or *busy*. The gate
is asked just before, twice: by a destination that wants an agent free (`min_available = 1`) and by a patient one
(`min_available = 0`).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.asterisk import SIP_PORT
from tests.support.company import settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk
    from tests.support.baresip import Agent, Manner
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.pbx

RING_S = 0.8  # how long a call that rings nobody is watched before it counts as waiting
SENT_BACK = {503: "nobody", 480: "nobody", 486: "full or busy"}
GATE_SAYS = {
    "rings": ({"accepted"}, {"accepted"}),
    "waits": ({"agents-busy"}, {"accepted"}),
    "nobody": ({"queue-unstaffed"}, {"queue-unstaffed"}),
    "full or busy": ({"agents-busy", "queue-full"}, {"queue-full", "agents-busy"}),
}
"""What the gate must have said, strict and patient, before the PBX did what the key names."""
DESTINATIONS: list[dict[str, Any]] = [
    {"extension": "6500", "queue": "sales"},
    {"extension": "6510", "queue": "tiny"},
    {"extension": "6520", "queue": "slow", "wrap_up_s": 3},
    {"extension": "6521", "queue": "sales", "max_penalty": 2},
    {"extension": "6530", "group": ["6001", "6002"]},
    {"extension": "6001"},
]
QUEUES = ("sales", "tiny", "slow")


class Truth:
    """A PBX, a gateway that watches it, and whoever calls in the gateway's stead."""

    def __init__(self, pbx: Asterisk, gateway: Gateway, caller: Peer) -> None:
        self.pbx, self._gateway, self._caller = pbx, gateway, caller
        self._rows: list[tuple[str, str, str, str, str]] = []
        self._wrong: list[str] = []

    async def compare(self, state: str, extension: str) -> None:
        """Ask the gate, then the PBX."""
        await eventually(self._counts_agree, "the gateway counts as the PBX does")
        strict, patient = [await self._ask(f"{extension}-{manner}") for manner in ("strict", "patient")]
        did = await self._call(extension)
        right = all(said in allowed for said, allowed in zip((strict, patient), GATE_SAYS[did], strict=True))
        self._rows.append((state, extension, did, strict, patient))
        if not right:
            self._wrong.append(state)

    def table(self) -> str:
        """What was found, for people."""
        head = ("state", "dialled", "the PBX", "gate", "gate, patient")
        widths = [max(len(row[column]) for row in (head, *self._rows)) for column in range(5)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in (head, tuple("-" * width for width in widths), *self._rows)
        ]
        return "\n".join(lines)

    def conclude(self) -> None:
        """Print the table; every row must be right."""
        print(f"\n{self.table()}")
        assert not self._wrong, f"the gate said otherwise than the PBX did: {self._wrong}\n{self.table()}"

    @asynccontextmanager
    async def caller_in(self, extension: str) -> AsyncIterator[Call]:
        """Somebody else who calls there, until the block is left."""
        before = await self.pbx.channels()
        call = self._caller.invite(f"sip:{extension}@{self.pbx.host}", (self.pbx.host, SIP_PORT))
        final = asyncio.create_task(call.final(timeout_s=60))
        try:
            yield call
        finally:
            await self._end(call, final, before)

    async def _ask(self, destination: str) -> str:
        answer = await self._gateway.get(f"/api/explain?target={destination}&number=main-line")
        reason: str = answer["reason"]
        return reason

    async def _call(self, extension: str) -> str:
        before = await self.pbx.channels()
        async with self.pbx.ami() as ami:
            call = self._caller.invite(f"sip:{extension}@{self.pbx.host}", (self.pbx.host, SIP_PORT))
            final = asyncio.create_task(call.final())
            rings = asyncio.create_task(ami.event("DialBegin", timeout_s=RING_S))
            await asyncio.wait({final, rings}, return_when=asyncio.FIRST_COMPLETED)
            if final.done() and final.result().code >= 300:
                did = SENT_BACK[final.result().code]
            else:
                did = "waits" if rings.done() and rings.exception() else "rings"
            rings.cancel()
            await asyncio.gather(rings, return_exceptions=True)
            await self._end(call, final, before)
            return did

    async def _end(self, call: Call, final: asyncio.Task[Message], before: int) -> None:
        """End a call, however far it got, and wait until the PBX has no more channels than before."""
        if not final.done():
            await call.cancel()
        if (await final).code < 300:
            await call.hang_up()

        async def over() -> bool:
            return await self.pbx.channels() <= before

        await eventually(over, "the call is over")

    async def _counts_agree(self) -> bool:
        theirs = {
            each["Queue"]: (int(each["LoggedIn"]), int(each["Available"]), int(each["Callers"]))
            for each in (await self.pbx.action("QueueSummary"))[1:]
        }
        ours = {
            each["queue"]: (each["logged_in"], each["available"], each["callers"])
            for each in (await self._gateway.get("/api/queues"))["queues"]
        }
        return all(ours.get(queue) == theirs.get(queue) for queue in QUEUES)


@pytest.fixture
async def truth(pbx: Asterisk) -> AsyncIterator[Truth]:
    """The gateway's gate and the PBX, ready to be compared."""
    net = pbx.net
    files = settings(net, pbx=pbx)
    files.line.update({
        "destinations": [
            {"id": f"{each['extension']}-{manner}", "min_available": least, **each}
            for each in DESTINATIONS
            for manner, least in (("strict", 1), ("patient", 0))
        ],
        "answer": "6500-strict",
        "fallback": "6500-patient",
    })  # fmt: skip
    # Its address is the gateway's, by which the PBX knows whose calls these are.
    async with Gateway(files) as gateway, Peer(net.gateway, 5066) as caller:
        for queue in QUEUES:
            await gateway.queue(queue)
        yield Truth(pbx, gateway, caller)


@pytest.fixture
def phones(pbx: Asterisk, phones: Phones) -> Phones:
    """Starts phones of which the PBX knows that they are idle: it learns so a little after it has registered them."""

    async def start(extension: str, *, hz: int | None = 440, manner: Manner = "answer") -> Agent:
        phone = await phones(extension, hz=hz, manner=manner)
        await pbx.until_state(extension, 0)
        return phone

    return start


async def test_of_one_agent_in_every_state(truth: Truth, phones: Phones) -> None:
    pbx = truth.pbx
    await truth.compare("nobody has a phone", "6500")
    anna = await phones("6001", hz=1000, manner="ring")
    await truth.compare("idle", "6500")
    await pbx.pause("6001")
    await truth.compare("paused", "6500")
    await pbx.pause("6001", paused=False)
    await truth.compare("no longer paused", "6500")
    async with truth.caller_in("6500") as first:
        await anna.event("CALL_INCOMING")
        await pbx.until_state("6001", 8)
        await truth.compare("rung for another caller", "6500")
        await anna.pick_up()
        await first.answered()
        await pbx.until_state("6001", 1)
        await truth.compare("on a call of the queue", "6500")
    await pbx.until_state("6001", 0)
    await anna.dial("6011")
    await pbx.until_state("6001", 1)
    await truth.compare("on a call of their own", "6500")
    await pbx.pause("6001")
    await truth.compare("on a call, and paused", "6500")
    await pbx.pause("6001", paused=False)
    await anna.hang_up()
    await pbx.until_state("6001", 0)
    await truth.compare("not a member", "6520")
    await pbx.add_member("slow", "6001")
    await truth.compare("logged in to the queue", "6520")
    await pbx.remove_member("slow", "6001")
    await truth.compare("logged out of the queue", "6520")
    await anna.stop()
    await pbx.until_state("6001", 4)
    await truth.compare("unregistered", "6500")
    await anna.start()
    await pbx.until_state("6001", 0)
    await truth.compare("registered again", "6500")
    await anna.kill()
    await pbx.until_state("6001", 4)
    await truth.compare("killed, and missed", "6500")
    truth.conclude()


async def test_of_penalty_and_wrap_up(truth: Truth, phones: Phones) -> None:
    pbx = truth.pbx
    await phones("6001", hz=1000, manner="ring")
    for penalty in (2, 3, 0):
        await pbx.action("QueuePenalty", Interface="PJSIP/6001", Penalty=penalty, Queue="sales")
        await truth.compare(f"penalty {penalty}, of no matter", "6500")
        await truth.compare(f"penalty {penalty}, at most 2", "6521")
    bert = await phones("6002", hz=1200, manner="answer")
    async with truth.caller_in("6520") as caller:
        await caller.answered()
        await bert.event("CALL_ESTABLISHED")
    await pbx.until_state("6002", 0)
    await truth.compare("in wrap-up", "6520")
    await asyncio.sleep(3)  # Asterisk tells nobody that it is over
    await truth.compare("after their wrap-up", "6520")
    truth.conclude()


async def test_of_a_full_queue_and_of_several_agents(truth: Truth, phones: Phones) -> None:
    pbx = truth.pbx
    anna, bert = await phones("6001", hz=1000, manner="ring"), await phones("6002", hz=1200, manner="ring")
    carla = await phones("6003", hz=1400, manner="ring")
    await truth.compare("two idle", "6500")
    await anna.dial("6011")
    await pbx.until_state("6001", 1)
    await truth.compare("one on a call, one idle", "6500")
    await pbx.pause("6002")
    await truth.compare("one on a call, one paused", "6500")
    await pbx.pause("6002", paused=False)
    await bert.dial("6011")
    await pbx.until_state("6002", 1)
    await truth.compare("both on a call", "6500")
    await bert.stop()
    await pbx.until_state("6002", 4)
    await truth.compare("one on a call, one gone", "6500")
    await anna.hang_up()
    await pbx.until_state("6001", 0)
    await truth.compare("nobody waits, one may", "6510")
    await carla.dial("6011")
    await pbx.until_state("6003", 1)
    async with truth.caller_in("6510"):
        await truth.compare("one waits, no more may", "6510")
    truth.conclude()


async def test_of_extensions_and_ring_groups(truth: Truth, phones: Phones) -> None:
    pbx = truth.pbx
    await truth.compare("no phone", "6001")
    await truth.compare("neither phone", "6530")
    anna = await phones("6001", hz=1000, manner="ring")
    await truth.compare("idle", "6001")
    await truth.compare("one phone, idle", "6530")
    bert = await phones("6002", hz=1200, manner="ring")
    await truth.compare("both idle", "6530")
    await anna.dial("6011")
    await pbx.until_state("6001", 1)
    await truth.compare("one on a call", "6530")
    await bert.stop()
    await anna.hang_up()
    await anna.stop()
    for extension in ("6001", "6002"):
        await pbx.until_state(extension, 4)
    await truth.compare("both gone", "6530")
    await truth.compare("gone", "6001")
    truth.conclude()
