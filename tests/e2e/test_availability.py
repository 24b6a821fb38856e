# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said before a transfer is promised, and what a REFER then gets, over random states of a real PBX's queues.

It is asked over HTTP, and by the tool that an assistant calls.
`STATES=500` in the environment plays so many; a caller and an assistant talk all the while, and each transfer that is
accepted is called off again.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.mix import lines
from tests.e2e.scene import Scene, hang_up, scene
from tests.support.company import settings
from tests.support.configuration import TOKEN
from tests.support.platform_client import asking
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.ami import Ami
    from tests.support.asterisk import Asterisk
    from tests.support.peer_call import Call
    from tests.support.platform_client import PlatformClient

pytestmark = pytest.mark.pbx

STATES = int(os.environ.get("STATES", "25"))
SEED = 7
AGENTS = 3
DEVICE_STATES = ("NOT_INUSE", "INUSE", "BUSY", "UNAVAILABLE", "RINGING", "ONHOLD")
QUEUES = ("sales", "support")
DESTINATIONS: list[dict[str, Any]] = [
    {"id": "strict", "number": "+31612345601", "extension": "6500", "queue": "sales"},
    {"id": "patient", "number": "+31612345602", "extension": "6500", "queue": "sales", "min_available": 0},
    {"id": "two-free", "number": "+31612345603", "extension": "6501", "queue": "support", "min_available": 2},
    {"id": "experts", "number": "+31612345604", "extension": "6501", "queue": "support", "max_penalty": 1},
    {"id": "overflowing", "number": "+31612345605", "extension": "6501", "queue": "support", "overflow": ["strict"]},
]


@asynccontextmanager
async def staffed(pbx: Asterisk) -> AsyncIterator[None]:
    """Agents of both queues whose phones ring and are never answered, and whose states are what a test says."""
    async with lines(pbx, "Ringing"):
        for at, queue in enumerate(QUEUES):
            for agent in range(AGENTS):
                await pbx.action(
                    "QueueAdd",
                    Queue=queue,
                    Interface=f"Local/7{at}0{agent}@transfer-destinations/n",
                    StateInterface=f"Custom:{queue}-{agent}",
                    MemberName=f"{queue} {agent}",
                    Penalty=agent,
                )
        yield


class Compared:
    """A scene in which a caller talks to the assistant, and what was compared in it."""

    def __init__(self, play: Scene, ami: Ami, assistant: Call, platform: PlatformClient) -> None:
        self._play = play
        self._platform = platform
        self._ami = ami
        self._assistant = assistant
        self._agents: dict[str, list[tuple[str, bool]]] = {}  # by queue and penalty: state, and whether paused
        self.reasons: Counter[str] = Counter()
        self.differences: list[str] = []

    async def in_state(self, chance: random.Random) -> None:
        """Have the agents be in some state, ask, and then have the assistant ask for each transfer."""
        for at, queue in enumerate(QUEUES):
            self._agents[queue] = [(chance.choice(DEVICE_STATES), chance.random() < 0.25) for _ in range(AGENTS)]
            for agent, (state, paused) in enumerate(self._agents[queue]):
                await self._ami.action("Command", Command=f"devstate change Custom:{queue}-{agent} {state}")
                interface = f"Local/7{at}0{agent}@transfer-destinations/n"
                await self._ami.action("QueuePause", Queue=queue, Interface=interface, Paused=str(paused).lower())
        await self._settled()
        document = await self._play.gateway.get("/api/availability?number=main-line")
        asked = [("check_availability", {"destination": said["number"]}) for said in document["destinations"]]
        for said, heard in zip(document["destinations"], await self._platform.call_tools(*asked), strict=True):
            if heard != {name: said[name] for name in heard}:
                self.differences.append(f"said {said}, and the assistant heard {heard}")
            await self._compare(heard | {"sip_code": said["sip_code"]})

    async def _compare(self, said: dict[str, Any]) -> None:
        told = await self._assistant.refer(f"<sip:{said['number']}@{self._play.gateway.sip[0]}>")
        code, reason = told.code, "accepted"
        if code == 202:
            [running] = await self._play.gateway.until(lambda one: one["outcome"] is None)
            right = said["available"] and said["leads_to"] == running["destination"]
            await self._call_off(running["transfer"])
        else:
            reason = told["Reason"].rpartition('text="')[2].rstrip('"')
            right = (said["available"], said["sip_code"], said["reason"]) == (False, code, reason)
        self.reasons[reason] += 1
        if not right:
            self.differences.append(f"said {said}, and a REFER got {code} {reason}")

    async def _call_off(self, transfer: str) -> None:
        status, text = await self._play.gateway.http("POST", f"/api/transfers/{transfer}/cancel", token=TOKEN)
        assert status == 200, json.loads(text)
        assert (await self._assistant.notifies())[-1].sipfrag == 487
        await self._settled()

    async def _settled(self) -> None:
        """The gateway has heard of every agent's state, and nobody waits any more."""
        await eventually(self._counts_agree, "the gateway counts as the PBX does")

    async def _counts_agree(self) -> bool:
        # As they were set: Asterisk's own queues hear of a device's state a moment later, too.
        document = await self._play.gateway.get("/api/availability?number=main-line")
        return all(
            (said["agents_logged_in"], said["agents_available"], said["agents_paused"], said["callers_waiting"])
            == (*self._counted(destination), 0)
            for said, destination in zip(document["destinations"], DESTINATIONS, strict=True)
        )

    def _counted(self, destination: dict[str, Any]) -> tuple[int, int, int]:
        """How many agents a destination's callers would find logged in, available and paused."""
        agents = self._agents[destination["queue"]][: destination.get("max_penalty", AGENTS) + 1]
        there = [(state, paused) for state, paused in agents if state != "UNAVAILABLE"]
        idle = sum(state == "NOT_INUSE" and not paused for state, paused in there)
        return len(there), idle, sum(paused for _, paused in there)


@pytest.mark.keeps("19.10", "19.16")
async def test_it_says_what_a_refer_then_gets(pbx: Asterisk) -> None:
    files = settings(pbx.net, pbx=pbx)
    files.line.update({"destinations": DESTINATIONS, "answer": "strict", "fallback": "patient"})
    client = asking(files, "hms")
    chance = random.Random(SEED)
    async with staffed(pbx), scene(pbx, files=files) as play, pbx.ami() as ami, client as platform:
        caller, assistant = await play.talk()
        compared = Compared(play, ami, assistant, platform)
        for _ in range(STATES):
            await compared.in_state(chance)
        print(f"\n{STATES} states, {compared.reasons.total()} transfers: {dict(compared.reasons)}")
        assert not compared.differences
        assert compared.reasons.total() == STATES * len(DESTINATIONS)
        assert {"accepted", "agents-busy", "queue-unstaffed"} <= compared.reasons.keys()
        await hang_up(caller)
        await assistant.wait_request("BYE")
