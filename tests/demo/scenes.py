# SPDX-License-Identifier: GPL-2.0-or-later
"""The four transfers of the demo, and the one that is not promised.

Each tells whether all went as it should, by what people heard and what was reported. Whoever is said to hear somebody
has that one's tone in what arrived, and a new tone each time it matters: an old one could still be in the ear.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.demo.company import (
    ASSISTANT_AGAIN_HZ,
    ASSISTANT_HZ,
    CALLER,
    CALLER_AGAIN_HZ,
    CALLER_HZ,
    INSTANCE,
    NUMBERS,
    PEOPLE_HZ,
    RINGBACK_HZ,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.demo.company import Company
    from tests.demo.ladder import Ladder
    from tests.support.baresip import Agent
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

PICK_UP_S = 1.0
"""How long a person takes to reach for the phone."""
CONVERSATION_S = 1.0


@dataclass
class Stage:
    """What a scene plays on: the company, the ladder, and the faults found so far."""

    company: Company
    ladder: Ladder
    faults: list[str] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    """The transfer.ended.v1 events of the scenes so far."""

    def check(self, what: str, holds: bool, found: object = "") -> None:
        """Say that something is as it should be, or note a fault."""
        self.ladder.tell(f"ok: {what}" if holds else f"WRONG: {what} {found}".rstrip())
        if not holds:
            self.faults.append(f"expected: {what}; found: {found or 'otherwise'}")

    async def outcome(self, known: int, **expected: object) -> dict[str, Any]:
        """Wait for the one outcome that comes after the `known` ones before it, and compare it."""
        kind = "transfer.ended.v1"
        await self.company.news.until(lambda _: len(self.company.news.events(kind)) > known)
        event = self.company.news.events(kind)[known]
        self.ended.append(event)
        data: dict[str, Any] = event["data"]
        different = {name: data[name] for name, value in expected.items() if data[name] != value}
        words = ", ".join(f"{name} {value}" for name, value in expected.items())
        self.check(f"the outcome says {words}", not different, different)
        for line in data["trail"]:
            self.ladder.tell(f"  trail: {line}")
        return data

    @property
    def outcomes(self) -> int:
        """How many outcomes were reported so far."""
        return len(self.company.news.events("transfer.ended.v1"))


@dataclass(frozen=True)
class Scene:
    """A scene: its title, what is going to happen, and how it is played."""

    title: str
    story: str
    play: Callable[[Stage], Awaitable[None]]


@asynccontextmanager
async def conversation(stage: Stage) -> AsyncIterator[tuple[Call, Call]]:
    """A caller who has reached the assistant: their two calls. Whatever is left of them at the end is hung up."""
    company = stage.company
    caller = company.caller.invite(
        company.line,
        (company.pbx.host, 5070),
        from_=f'"Mrs Jansen" <sip:{CALLER}@{company.net.provider}>',
        hz=CALLER_HZ,
    )
    assistant = await company.assistant.wait_call()
    try:
        await assistant.ring()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        await _hear_each_other(stage, "the assistant", caller, assistant, ASSISTANT_HZ, CALLER_HZ)
        yield caller, assistant
        if not _over(caller):
            await caller.hang_up()
        if not _over(assistant):
            await assistant.wait_request("BYE")
    finally:
        for call in (caller, assistant):
            if not _over(call):
                await call.hang_up()
        await company.gateway.idle()


async def completed(stage: Stage) -> None:
    """A transfer to a queue with people in it."""
    known = stage.outcomes
    async with conversation(stage) as (caller, assistant):
        accepted = await _refer(assistant, "sales")
        stage.check("the gateway accepts the REFER", accepted.code == 202, accepted.start)
        await _pick_up(stage, caller, stage.company.people["Anna"])
        notifies = await assistant.notifies()
        codes = [notify.sipfrag for notify in notifies]
        stage.check("the assistant is told of its success", codes[0] == 100 and codes[-1] == 200, codes)
        await assistant.hang_up()
        await _hear_anna(stage, caller)
        expected = {"outcome": "completed", "reason": "answered", "destination": "sales", "sip_code": 200}
        data = await stage.outcome(known, **expected)
        stage.check("the outcome knows when a human answered", data["human_at"] is not None)
        await asyncio.sleep(CONVERSATION_S)
        await caller.hang_up()
        await stage.company.news.event("call.ended.v1", transfer=data["transfer"])


async def refused(stage: Stage) -> None:
    """A queue with nobody in it: refused before anything is dialled."""
    company, known = stage.company, stage.outcomes
    async with _break(stage), conversation(stage) as (caller, assistant):
        refusal = await _refer(assistant, "support")
        stage.check("the gateway refuses the REFER itself", refusal.code == 480, refusal.start)
        stage.check("… and says why", "queue-unstaffed" in (refusal.get("Reason") or ""), refusal.get("Reason"))
        await _still_together(stage, caller, assistant)
        await stage.outcome(known, outcome="refused", reason="queue-unstaffed", destination="support", sip_code=480)
        carla = company.people["Carla"]
        stage.check("Carla's phone stayed silent", not any(event["type"] == "CALL_INCOMING" for event in carla.events))


async def overflowed(stage: Stage) -> None:
    """The queue asked for is empty, its overflow is not."""
    company, known = stage.company, stage.outcomes
    async with _break(stage), conversation(stage) as (caller, assistant):
        accepted = await _refer(assistant, "repairs")
        stage.check("the gateway accepts the REFER", accepted.code == 202, accepted.start)
        await _pick_up(stage, caller, company.people["Anna"])
        codes = [notify.sipfrag for notify in await assistant.notifies()]
        stage.check("the assistant is told that it rings, and of its success", codes[-2:] == [180, 200], codes)
        await assistant.hang_up()
        await _hear_anna(stage, caller)
        data = await stage.outcome(known, outcome="completed", reason="answered", destination="anna")
        tried = [(attempt["destination"], attempt["reason"]) for attempt in data["attempts"]]
        wanted = [("repairs", "queue-unstaffed"), ("anna", "answered")]
        stage.check("… and that repairs was passed over", tried == wanted, tried)
        await asyncio.sleep(CONVERSATION_S)
        await caller.hang_up()


async def failed(stage: Stage) -> None:
    """An extension that turns out to be busy: dialled, and the caller comes back."""
    known = stage.outcomes
    async with conversation(stage) as (caller, assistant):
        accepted = await _refer(assistant, "director")
        stage.check("the gateway accepts the REFER", accepted.code == 202, accepted.start)
        codes = [notify.sipfrag for notify in await assistant.notifies()]
        stage.check("the assistant is told that it is busy", codes[-1] == 486, codes)
        await _still_together(stage, caller, assistant)
        expected = {"outcome": "failed", "reason": "busy", "destination": "director", "returned_to_transferor": True}
        await stage.outcome(known, **expected)


async def not_promised(stage: Stage) -> None:
    """A destination that is closed: the assistant asks first, hears it, and asks for no transfer."""
    known = stage.outcomes
    async with conversation(stage) as (caller, assistant):
        said = await _ask(stage, "check_availability", {"destination": NUMBERS["workshop"]})
        stage.check("the assistant hears that nobody is there", said["available"] is False, said)
        stage.check(
            "… and what to say to the caller", said["sentence"].startswith("The workshop is closed until"), said
        )
        stage.ladder.tell(f'the assistant promises nothing: "{said["sentence"]}"')
        listed = await _ask(stage, "list_destinations", {})
        others = [one["name"] for one in listed["destinations"] if one["available"]]
        stage.check("… and who else is there", "anna" in others and "the workshop" not in others, listed)
        stage.ladder.tell(f"the assistant offers {', '.join(others)}")
        await _still_together(stage, caller, assistant)
    stage.check("no transfer was asked for, and so none was refused", stage.outcomes == known)


SCENES = (
    Scene(
        "Completed: a queue with people in it",
        "Mrs Jansen reaches the assistant and asks for a price. It transfers her to sales, where Anna picks up.",
        completed,
    ),
    Scene(
        "Refused: a queue with nobody in it",
        "Carla, alone in support, takes a break. The assistant asks for support and is told no, before anything is\n"
        "dialled: the caller notices nothing.",
        refused,
    ),
    Scene(
        "Overflow: the next one takes it",
        "Carla is away again. Repairs are done by support too, but overflow to Anna at her own extension.",
        overflowed,
    ),
    Scene(
        "Failed: the extension is busy",
        "The director's line looks fine until it is rung, and is busy. The caller is given back to the assistant.",
        failed,
    ),
    Scene(
        "Not promised: it is closed, and the assistant has asked first",
        "Mrs Jansen wants to bring her machine to the workshop. The assistant asks the gateway by its tool before it\n"
        "promises anything, over HTTP, and hears that the workshop is closed.",
        not_promised,
    ),
)


async def _refer(assistant: Call, destination: str) -> Message:
    gateway = assistant.remote[0]
    return await assistant.refer(f"<sip:{NUMBERS[destination]}@{gateway}>")


async def _ask(stage: Stage, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The assistant's platform calls one of its tools."""
    asked = time.monotonic()
    [result] = await stage.company.platform.call_tools((tool, arguments))
    stage.ladder.message(asked, "assistant", "gateway", "tool-calls", f"over HTTP: {tool} {json.dumps(arguments)}")
    stage.ladder.message(time.monotonic(), "gateway", "assistant", "200 OK")
    return result


async def _pick_up(stage: Stage, caller: Call, phone: Agent) -> None:
    happened = [event["type"] for event in phone.events]
    answered = happened.count("CALL_ESTABLISHED")
    await phone.event("CALL_INCOMING", count=answered + 1)
    await caller.media.hears(RINGBACK_HZ)
    stage.check(f"the caller hears that it rings ({RINGBACK_HZ} Hz)", True)
    await asyncio.sleep(PICK_UP_S)
    await phone.pick_up()
    await phone.event("CALL_ESTABLISHED", count=answered + 1)


async def _hear_anna(stage: Stage, caller: Call) -> None:
    anna = stage.company.people["Anna"]
    caller.media.hz = CALLER_AGAIN_HZ
    voice = PEOPLE_HZ[anna.extension]
    await caller.media.hears(voice)
    await anna.hears(CALLER_AGAIN_HZ)
    heard = caller.media.detect(voice, ASSISTANT_HZ)
    stage.check(
        f"the caller hears Anna ({voice} Hz) alone, Anna the caller ({CALLER_AGAIN_HZ} Hz)", heard == {voice}, heard
    )


async def _still_together(stage: Stage, caller: Call, assistant: Call) -> None:
    caller.media.hz, assistant.media.hz = CALLER_AGAIN_HZ, ASSISTANT_AGAIN_HZ
    await _hear_each_other(stage, "the assistant again", caller, assistant, ASSISTANT_AGAIN_HZ, CALLER_AGAIN_HZ)


async def _hear_each_other(
    stage: Stage, whom: str, caller: Call, assistant: Call, assistant_hz: int, caller_hz: int
) -> None:
    await caller.media.hears(assistant_hz)
    await assistant.media.hears(caller_hz)
    stage.check(f"the caller hears {whom} ({assistant_hz} Hz), the assistant the caller ({caller_hz} Hz)", True)


@asynccontextmanager
async def _break(stage: Stage) -> AsyncIterator[None]:
    """Carla is paused in her queue, and the gateway knows it."""
    company = stage.company
    carla = company.people["Carla"]
    before = len(company.news.messages)
    stage.ladder.tell("Carla pauses")
    await company.pbx.pause(carla.extension)
    topic = f"transfer-gateway/{INSTANCE}/queues/asterisk/support"
    await company.news.until(
        lambda messages: any(one.topic == topic and one.json["paused"] == 1 for one in messages[before:])
    )
    try:
        yield
    finally:
        await company.pbx.pause(carla.extension, paused=False)


def _over(call: Call) -> bool:
    return any(entry.message.method == "BYE" and entry.message["Call-ID"] == call.call_id for entry in call.peer.trace)
