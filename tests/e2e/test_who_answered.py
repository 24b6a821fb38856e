# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever can answer on a real Asterisk, and what the outcome says of it: the sister of test_gate_truth.py.

A transfer goes to each of them, as a fresh INVITE of the trunk, and the table of what came of it is printed. A person
is one whom the PBX itself names; all else is said as what it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.scene import ANNA_HZ, ASSISTANT_HZ, BERT_HZ, CALLER_HZ, CARLA_HZ, Scene, hang_up, hears_nobody, scene
from tests.support.asterisk import VOICEMAIL_HZ
from tests.support.company import NUMBER, settings
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk
    from tests.support.configuration import Configuration, Table

pytestmark = pytest.mark.pbx


@dataclass(frozen=True)
class Answerer:
    """What is called, by its extension on the PBX, and what the outcome says then."""

    what: str
    extension: str
    answered_by: str | None
    person: str | None = None
    """The interface of the person who is named; None: nobody is."""
    outcome: tuple[str, str] = ("completed", "answered")
    final: int = 200
    settings: dict[str, Any] = field(default_factory=dict)
    outside: bool = False
    """Somebody beyond the PBX's own line picks up."""

    @property
    def id(self) -> str:
        """The destination's id."""
        return self.what.replace(" ", "-").replace(",", "").lower()

    @property
    def destination(self) -> Table:
        """… as the number has it."""
        return {"id": self.id, "extension": self.extension, **self.settings}


REFUSED: dict[str, Any] = {"answered_by": "voicemail", "outcome": ("failed", "voicemail"), "final": 480}
IN_SALES = {"queue": "sales"}
ANNA = "PJSIP/6001"
ANSWERERS = (
    Answerer("a phone", "6001", "extension", ANNA),
    Answerer("a ring group", "6530", "extension", ANNA),
    Answerer("a ring group of Local channels", "6559", "extension", ANNA),
    Answerer("an agent of a queue", "6500", "agent", ANNA, settings=IN_SALES),
    Answerer("a queue with Answer first", "6598", "agent", ANNA, settings=IN_SALES),
    Answerer("a queue behind an extension", "6598", "agent", ANNA),
    Answerer("follow-me", "6556", "extension", ANNA),
    Answerer("voicemail", "6550", **REFUSED),
    Answerer("voicemail of an absent phone", "6551", **REFUSED),
    Answerer("voicemail behind a Local channel", "6560", **REFUSED),
    Answerer("voicemail of an unstaffed queue", "6561", **REFUSED),
    Answerer("voicemail that may keep them", "6550", "voicemail", settings={"voicemail": "keep"}),
    Answerer("a menu", "6552", "application"),
    Answerer("an announcement", "6553", "application"),
    Answerer("a conference", "6554", "application"),
    Answerer("a parking lot", "6555", "application"),
    Answerer("a line out", "6557", "outside", outside=True),
    Answerer("a phone forwarded to a mobile", "6558", "outside", outside=True),
)
"""With a phone at 6001 that answers, and nobody else there."""


def company(pbx: Asterisk, *destinations: Table, **more: Any) -> Configuration:
    """A gateway whose number has these destinations; the first one answers."""
    files = settings(pbx.net, pbx=pbx, **more)
    files.line.update({"destinations": list(destinations), "answer": destinations[0]["id"]})
    files.line.pop("fallback", None)
    return files


async def known(play: Scene) -> None:
    """Wait until the gateway knows its PBX, and so believes what that says of who answers."""

    async def told() -> bool:
        return "pbx-known" in play.gateway.log

    await eventually(told, "the PBX is known")


async def call(play: Scene, one: Answerer) -> Table:
    """Call a destination from the trunk until the transfer has ended; its record."""
    before = len(await play.gateway.transfers())
    leg = play.assistant.invite(
        f"sip:{one.id}@{play.pbx.net.gateway}",
        play.gateway.sip,
        from_=f"<sip:{NUMBER}@{play.pbx.net.trunk}>",
        hz=ASSISTANT_HZ,
    )
    far = asyncio.create_task(_pick_up(play)) if one.outside else None
    final = await leg.final(timeout_s=15)
    ended = await play.gateway.ended(before + 1, timeout_s=15)
    assert final.code == one.final, f"{one.what}: {final.code}"
    if far is not None:
        await far
    if final.code < 300:
        await leg.hang_up()
    await play.quiet()
    return ended[0]


async def _pick_up(play: Scene) -> None:
    """The mobile at the other end of the PBX's line answers."""
    incoming = await play.line.wait_call()
    await incoming.answer(hz=BERT_HZ)


@pytest.mark.keeps("21.1")
async def test_what_the_outcome_says_of_each_that_can_answer(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=ANNA_HZ)
    files = company(pbx, *(each.destination for each in ANSWERERS), gateway={"report_agents": True})
    rows, wrong = [], []
    async with scene(pbx, files=files) as play:
        await play.gateway.queue("sales", available=1)
        for one in ANSWERERS:
            await eventually(lambda: _is_idle(play), "Anna's phone is idle")
            record = await call(play, one)
            found = (record["answered_by"], record["human_at"] is not None, record["agent"], record["outcome"],
                     record["reason"])  # fmt: skip
            rows.append((one.what, one.extension, *found))
            if found != (one.answered_by, one.person is not None, one.person, *one.outcome):
                wrong.append(one.what)
        answered = await play.gateway.metric("transfer_gateway_time_to_human_seconds_count")
    head = ("what", "dialled", "answered by", "person", "agent", "outcome", "reason")
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    print(f"\n{table}")
    assert not wrong, f"{wrong}\n{table}"
    assert answered == sum(one.person is not None for one in ANSWERERS)


async def _is_idle(play: Scene) -> bool:
    queues = (await play.gateway.get("/api/queues"))["queues"]
    return any(one["queue"] == "sales" and one["available"] == 1 for one in queues)


@pytest.mark.keeps("21.2")
async def test_without_a_source_nobody_is_called_a_person(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=ANNA_HZ)
    phone = Answerer("a phone", "6001", None)
    files = company(pbx, phone.destination)
    del files.profiles["asterisk"]["queues"]
    async with scene(pbx, files=files) as play:
        record = await call(play, phone)
        assert (record["outcome"], record["human_at"], record["answered_by"]) == ("completed", None, None)
        assert await play.gateway.metric("transfer_gateway_time_to_human_seconds_count") == 0


@pytest.mark.keeps("21.3")
async def test_a_caller_whom_voicemail_answers_is_back_with_the_assistant(pbx: Asterisk) -> None:
    files = company(pbx, {"id": "box", "extension": "6550"})
    async with scene(pbx, files=files) as play:
        await known(play)
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, "box") == 202
        assert (await assistant.notifies())[-1].sipfrag == 480
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        await hears_nobody(caller, VOICEMAIL_HZ)
        [record] = await play.gateway.ended()
        assert (record["outcome"], record["reason"], record["returned_to_transferor"]) == ("failed", "voicemail", True)
        assert (record["human_at"], record["agent"]) == (None, None)
        await hang_up(caller)


@pytest.mark.keeps("21.4")
async def test_after_voicemail_the_next_is_dialled(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=ANNA_HZ)
    box = {"id": "box", "extension": "6550", "overflow": ["anna"]}
    async with scene(pbx, files=company(pbx, box, {"id": "anna", "extension": "6001"})) as play:
        await known(play)
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, "box") == 202
        assert (await assistant.notifies())[-1].sipfrag == 200
        await caller.media.hears(ANNA_HZ)
        [record] = await play.gateway.ended()
        attempts = [(one["destination"], one["reason"]) for one in record["attempts"]]
        assert attempts == [("box", "voicemail"), ("anna", "answered")]
        assert (record["answered_by"], record["human_at"] is not None) == ("extension", True)
        assert record["agent"] is None  # nobody has asked for it to be reported
        await hang_up(caller)


@pytest.mark.keeps("21.46")
async def test_after_a_queue_that_nobody_answers_voicemail_is_noticed(pbx: Asterisk, phones: Phones) -> None:
    """The queue answers first, so that the caller is joined with it, and then has nobody for them."""
    await phones("6001", hz=ANNA_HZ, manner="ring")
    await phones("6003", hz=CARLA_HZ)
    steps = ("Answer()", "Queue(sales,,,,2)", f"Playback({pbx.directory}/music/tone)", "VoiceMail(6001@default,us)")
    for place, step in enumerate(steps, 1):
        await pbx.cli(f"dialplan add extension 8300,{place},{step} into transfer-destinations")
    sales = {"id": "sales", "extension": "8300", "overflow": ["carla"], **IN_SALES}
    try:
        async with scene(pbx, files=company(pbx, sales, {"id": "carla", "extension": "6003"})) as play:
            await known(play)
            await play.gateway.queue("sales", available=1)
            caller, assistant = await play.talk(past_pbx=True)
            assert await play.refer(assistant, "sales") == 202
            await caller.media.hears(CARLA_HZ, timeout_s=30)
            [record] = await play.gateway.ended()
            attempts = [(one["destination"], one["reason"]) for one in record["attempts"]]
            assert attempts == [("sales", "voicemail"), ("carla", "answered")]
            await hang_up(caller)
    finally:
        await pbx.cli("dialplan remove extension 8300@transfer-destinations")


@pytest.mark.keeps("21.5")
async def test_a_caller_whom_nobody_takes_back_may_leave_a_message(pbx: Asterisk) -> None:
    # Voicemail answers once the assistant has gone, however late it is on a busy machine.
    for place, step in enumerate(("Wait(3)", "Goto(6551,1)"), 1):
        await pbx.cli(f"dialplan add extension 8301,{place},{step} into transfer-destinations")
    try:
        async with scene(pbx, files=company(pbx, {"id": "box", "extension": "8301"})) as play:
            await known(play)
            caller, assistant = await play.talk(past_pbx=True)
            assert await play.refer(assistant, "box") == 202
            await hang_up(assistant)
            await caller.media.hears(VOICEMAIL_HZ)
            [record] = await play.gateway.ended()
            assert (record["outcome"], record["human_at"], record["answered_by"]) == ("completed", None, "voicemail")
            await hang_up(caller)
    finally:
        await pbx.cli("dialplan remove extension 8301@transfer-destinations")


@pytest.mark.keeps("21.6")
async def test_a_manager_user_who_may_not_see_who_answers(pbx: Asterisk, phones: Phones) -> None:
    """As it was shipped before: callers wait for that once, and the log says what is missing."""
    await phones("6001", hz=ANNA_HZ)
    manager = pbx.etc / "manager.d" / "transfer-gateway.conf"
    shipped = manager.read_text()
    manager.write_text(shipped.replace("DialBegin|DialEnd|Newchannel|", ""))
    phone = Answerer("a phone", "6001", None)
    try:
        await pbx.cli("manager reload")
        async with scene(pbx, files=company(pbx, phone.destination)) as play:
            await known(play)
            for _ in range(2):
                record = await call(play, phone)
                assert (record["outcome"], record["human_at"], record["answered_by"]) == ("completed", None, None)
            assert play.gateway.log.count("ami-tells-no-events") == 1
            assert "eventfilter: DialEnd" in play.gateway.log
    finally:
        manager.write_text(shipped)
        await pbx.cli("manager reload")
