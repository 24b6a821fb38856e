# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said before a transfer is promised, and what a REFER then gets, over random states of a real PBX's queues.

It is asked over HTTP, and by the tool that an assistant calls; the REFER comes a second later. `STATES=500` in the
environment plays so many. Several numbers are played side by side, each with queues, a caller and an assistant of its
own, who talk all the while; each transfer that is accepted is called off again.

In some of the states a queue changes between answer and REFER: the test does that itself, so that it knows which
answers may be old. Whatever was not touched has to be as it was said, and all that an answer says is compared with the
REFER again which is given right before it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.mix import lines
from tests.e2e.scene import Scene, hang_up, scene
from tests.support.asterisk import SIP_PORT
from tests.support.company import settings
from tests.support.configuration import TOKEN
from tests.support.platform_client import asking
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.ami import Ami
    from tests.support.asterisk import Asterisk
    from tests.support.configuration import Configuration, Table
    from tests.support.peer_call import Call
    from tests.support.platform_client import PlatformClient

pytestmark = pytest.mark.pbx

STATES = int(os.environ.get("STATES", "40"))
SEED = 7
NUMBERS = 8
"""How many numbers are played side by side."""
BETWEEN_S = 1.0
"""How long after the answer the REFER comes."""
CHANGED = 0.3
"""In how many of the states a queue changes in between."""
AGENTS = 3
DEVICE_STATES = ("NOT_INUSE", "NOT_INUSE", "INUSE", "BUSY", "UNAVAILABLE", "RINGING", "ONHOLD")
WAITING = (0, 0, 0, 1, 2, 3)
SALES, SUPPORT = QUEUES = (0, 1)
DESTINATIONS: list[Table] = [
    {"id": "strict", "queue": SALES},
    {"id": "patient", "queue": SALES, "min_available": 0, "max_waiting": 2},
    {"id": "two-free", "queue": SUPPORT, "min_available": 2},
    {"id": "experts", "queue": SUPPORT, "max_penalty": 1},
    {"id": "overflowing", "queue": SUPPORT, "overflow": ["strict"]},
]
LOOKED_AT = [{SALES}, {SALES}, {SUPPORT}, {SUPPORT}, {SALES, SUPPORT}]
"""The queues that decide on each."""


def number_of(row: int) -> str:
    """The number of a row: of one of those that are played side by side."""
    return f"+3120123450{row}"


def configured(pbx: Asterisk) -> Configuration:
    """A gateway with all rows; queues and extensions are those of `queued`."""
    files = settings(pbx.net, pbx=pbx)
    files.main["numbers"].clear()
    for row in range(NUMBERS):
        company = [
            {**one, "number": f"+3161234{row}6{at:02}", "queue": f"queue-{row}{one['queue']}",
             "extension": f"66{row}{one['queue']}"}
            for at, one in enumerate(DESTINATIONS)
        ]  # fmt: skip
        files.number(f"row-{row}", number_of(row), "hms", "asterisk", company, answer="strict", fallback="patient")
    return files


@asynccontextmanager
async def queued(pbx: Asterisk) -> AsyncIterator[None]:
    """Two queues for each row, whose agents' phones ring and are never answered, and are in what state a test says.

    66RQ leads into queue Q of row R, 67RQ too, but answers before.
    """
    file = pbx.etc / "queues.conf"
    before = file.read_text()
    names = [f"{row}{queue}" for row in range(NUMBERS) for queue in QUEUES]
    file.write_text(before + "".join(
        f"\n[queue-{name}](queue)\ntimeout = 3600\njoinempty = yes\nleavewhenempty = no\n" for name in names
    ))  # fmt: skip
    await pbx.cli("queue reload all")
    for step in ("66XX,1,Queue(queue-${EXTEN:2})", "67XX,1,Answer()", "67XX,2,Queue(queue-${EXTEN:2})"):
        await pbx.cli(f"dialplan add extension _{step} into transfer-destinations")
    members = [
        (name, f"Local/7{name}{agent}@transfer-destinations/n", agent) for name in names for agent in range(AGENTS)
    ]
    try:
        async with lines(pbx, "Ringing"), pbx.ami() as ami:
            for name, interface, agent in members:
                await ami.action(
                    "QueueAdd", Queue=f"queue-{name}", Interface=interface, StateInterface=f"Custom:{name}-{agent}",
                    MemberName=f"{name} {agent}", Penalty=agent,
                )  # fmt: skip
            yield
            for name, interface, _ in members:
                await ami.action("QueueRemove", Queue=f"queue-{name}", Interface=interface)
    finally:
        file.write_text(before)
        await pbx.cli("queue reload all")
        for pattern in ("66XX", "67XX"):
            await pbx.cli(f"dialplan remove extension _{pattern}@transfer-destinations")


def promised(said: Table) -> tuple[int, str]:
    """What a REFER is to get by an answer: 202 and where it leads, or a code and the reason."""
    return (202, said["leads_to"]) if said["available"] else (said["sip_code"], said["reason"])


class Row:
    """A number whose caller talks to the assistant, its two queues, and what was compared in it."""

    def __init__(self, row: int, play: Scene, ami: Ami, platform: PlatformClient) -> None:
        self._row = row
        self._gateway = play.gateway
        self._platform = platform
        self._ami = ami
        self._chance = random.Random(f"{SEED} {row}")
        self._agents: dict[int, list[tuple[str, bool]]] = {}  # by queue and penalty: state, and whether paused
        self._waiting: dict[int, list[str]] = {queue: [] for queue in QUEUES}  # their channels
        self._channels = itertools.count()
        self.assistant: Call
        self.reasons: Counter[str] = Counter()
        self.altered = 0
        """So many REFERs got what an answer no longer said that was a second old, as the test had changed a queue."""
        self.differences: list[str] = []

    async def begin(self, play: Scene) -> Call:
        """Have a caller talk to the assistant; the caller."""
        number, pbx = number_of(self._row), (play.pbx.host, SIP_PORT)
        caller = play.line.invite(f"sip:{number}@{pbx[0]}", pbx, from_=f"<sip:+31201112222@{pbx[0]}>")
        self.assistant = await play.assistant.wait_call()
        await self.assistant.answer()
        await caller.answered()
        return caller

    async def played(self, states: int) -> None:
        """So many states, after which nobody waits any more."""
        for _ in range(states):
            await self._in_state()
        for queue in QUEUES:
            await self._have_wait(queue, 0)
        await self._settled()

    async def _in_state(self) -> None:
        """Have the queues be in some state, ask, and a second later have the assistant ask for each transfer."""
        for queue in QUEUES:
            await self._change(queue)
        said = await self._asked()
        due = asyncio.get_running_loop().time() + BETWEEN_S
        changed = {queue for queue in QUEUES if self._chance.random() < CHANGED / len(QUEUES)}
        for queue in changed:
            await self._change(queue)
        await asyncio.sleep(due - asyncio.get_running_loop().time())  # the second is what is tried
        for at, (old, new) in enumerate(zip(said, await self._asked(), strict=True)):
            told = await self._referred(old["number"])
            if told != promised(new):
                self.differences.append(f"said {new}, and a REFER got {told}")
            if told != promised(old):
                self.altered += 1
                if not changed & LOOKED_AT[at]:
                    self.differences.append(f"said {old} a second before, and a REFER got {told}")

    async def _change(self, queue: int) -> None:
        """Have the queue's agents, and those who wait for them, be in some state."""
        name = f"{self._row}{queue}"
        self._agents[queue] = [
            (self._chance.choice(DEVICE_STATES), self._chance.random() < 0.25) for _ in range(AGENTS)
        ]
        for agent, (state, paused) in enumerate(self._agents[queue]):
            await self._ami.action("Command", Command=f"devstate change Custom:{name}-{agent} {state}")
            interface = f"Local/7{name}{agent}@transfer-destinations/n"
            await self._ami.action("QueuePause", Queue=f"queue-{name}", Interface=interface, Paused=str(paused).lower())
        await self._have_wait(queue, self._chance.choice(WAITING))
        await self._settled()

    async def _have_wait(self, queue: int, callers: int) -> None:
        waiting = self._waiting[queue]
        while len(waiting) > callers:
            await self._ami.action("Hangup", Channel=waiting.pop())
        while len(waiting) < callers:
            waiting.append(f"waiting-{self._row}{queue}-{next(self._channels)}")
            await self._ami.action(
                "Originate", Channel=f"Local/67{self._row}{queue}@transfer-destinations/n", ChannelId=waiting[-1],
                Application="Wait", Data="3600", Async="true",
            )  # fmt: skip

    async def _asked(self) -> list[Table]:
        """What is said of each destination over HTTP; the assistant has to hear the same."""
        document = await self._gateway.get(f"/api/availability?number=row-{self._row}")
        listed: list[Table] = document["destinations"]
        asked = [("check_availability", {"destination": said["number"]}) for said in listed]
        for said, heard in zip(listed, await self._platform.call_tools(*asked), strict=True):
            if heard != {name: said[name] for name in heard}:
                self.differences.append(f"said {said}, and the assistant heard {heard}")
        return listed

    async def _referred(self, number: str) -> tuple[int, str]:
        """What a REFER gets, as `promised` has it."""
        told = await self.assistant.refer(f"<sip:{number}@{self._gateway.sip[0]}>")
        if told.code != 202:
            reason = told["Reason"].rpartition('text="')[2].rstrip('"')
            self.reasons[reason] += 1
            return told.code, reason
        self.reasons["accepted"] += 1
        [running] = await self._gateway.until(
            lambda one: one["outcome"] is None and one["call_ids"]["transferor"] == self.assistant.call_id
        )
        destination: str = running["destination"]
        [queue] = [one["queue"] for one in DESTINATIONS if one["id"] == destination]
        await self._settled(queue)
        transfer = running["transfer"]
        status, text = await self._gateway.http("POST", f"/api/transfers/{transfer}/cancel", token=TOKEN)
        assert status == 200, json.loads(text)
        assert (await self.assistant.notifies())[-1].sipfrag == 487
        await self._settled()
        return told.code, destination

    async def _settled(self, joined: int | None = None) -> None:
        """The gateway has heard of every agent's state and of all who wait, one more of them in the queue `joined`."""

        async def counts_agree() -> bool:
            # As they were set: Asterisk's own queues hear of a device's state a moment later, too.
            document = await self._gateway.get(f"/api/availability?number=row-{self._row}")
            return all(
                (said["agents_logged_in"], said["agents_available"], said["agents_paused"], said["callers_waiting"])
                == self._counted(destination, joined)
                for said, destination in zip(document["destinations"], DESTINATIONS, strict=True)
                if destination["queue"] in self._agents
            )

        await eventually(counts_agree, "the gateway counts as the PBX does")

    def _counted(self, destination: dict[str, Any], joined: int | None) -> tuple[int, int, int, int]:
        """How many agents a destination's callers would find logged in, available and paused, and how many waiting."""
        queue = destination["queue"]
        agents = self._agents[queue][: destination.get("max_penalty", AGENTS) + 1]
        there = [(state, paused) for state, paused in agents if state != "UNAVAILABLE"]
        idle = sum(state == "NOT_INUSE" and not paused for state, paused in there)
        paused = sum(paused for _, paused in there)
        return len(there), idle, paused, len(self._waiting[queue]) + (queue == joined)


@pytest.mark.timeout(120 + STATES)
@pytest.mark.keeps("19.10", "19.16")
async def test_it_says_what_a_refer_then_gets(pbx: Asterisk) -> None:
    files = configured(pbx)
    client = asking(files, "hms")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(queued(pbx))
        play = await stack.enter_async_context(scene(pbx, files=files))
        ami = await stack.enter_async_context(pbx.ami())
        rows = [
            Row(row, play, ami, await stack.enter_async_context(replace(client, number=number_of(row))))
            for row in range(NUMBERS)
        ]
        callers = [await row.begin(play) for row in rows]
        async with asyncio.TaskGroup() as side_by_side:
            for at, row in enumerate(rows):
                side_by_side.create_task(row.played(len(range(at, STATES, NUMBERS))))
        reasons = sum((row.reasons for row in rows), Counter[str]())
        altered = sum(row.altered for row in rows)
        print(f"\n{STATES} states, {reasons.total()} transfers: {dict(reasons)}; {altered} changed in between")
        assert not [difference for row in rows for difference in row.differences]
        assert reasons.total() == STATES * len(DESTINATIONS)
        assert {"accepted", "agents-busy", "queue-unstaffed", "queue-full"} <= reasons.keys()
        assert altered
        await hang_up(*callers)
        for row in rows:
            await row.assistant.wait_request("BYE")
