# SPDX-License-Identifier: GPL-2.0-or-later
"""Who answers on a real Asterisk hears a whisper and takes the call by a key: people, queues, machines, two hundred."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.mix import SCENARIOS
from tests.e2e.scene import ANNA_HZ, ASSISTANT_HZ, CALLER_HZ, hang_up, scene
from tests.e2e.test_who_answered import company, known
from tests.support import tones
from tests.support.asterisk_server import MUSIC_HZ
from tests.support.company import NUMBER
from tests.support.gateway import Gateway
from tests.support.processes import eventually
from tests.support.sipp import Sipp
from tests.support.timeline import timeline

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk
    from tests.support.baresip import Agent
    from tests.support.configuration import Table

pytestmark = pytest.mark.pbx

WHISPER_HZ = 1800
WHISPER = "whisper.wav"
ASKED: dict[str, Any] = {"whisper": WHISPER, "accept": "1", "decline": "2", "accept_timeout_s": 20}
SOUNDS = {WHISPER: WHISPER_HZ}
HEARD_S = 0.12
"""Whoever hears a tone hears so much of it at least."""


def was_heard(phone: Agent, hz: float, until: int | None = None) -> bool:
    """Whether the phone has heard this tone in its newest call, up to so many samples."""
    heard = tones.read_wav(phone.recording)[:until]
    step = round(HEARD_S * tones.RATE)
    return any(hz in tones.detect(heard[at : at + step], [hz]) for at in range(0, len(heard) - step, step))


@pytest.mark.keeps("21.15")
@pytest.mark.parametrize(
    ("extension", "settings", "by"),
    [
        pytest.param("6001", {}, "extension", id="a phone"),
        pytest.param("6500", {"queue": "sales"}, "agent", id="an agent"),
        pytest.param("6598", {"queue": "sales"}, "agent", id="an agent of a queue that answers first"),
    ],
)
async def test_a_person_hears_the_whisper_alone_and_takes_the_call(
    pbx: Asterisk, phones: Phones, extension: str, settings: Table, by: str
) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    files = company(pbx, {"id": "anna", "number": "+31612345681", "extension": extension, **settings, **ASKED})
    async with scene(pbx, files=files, sounds=SOUNDS) as play:
        await known(play)
        if "queue" in settings:
            await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        asked = time.monotonic()
        assert await play.refer(assistant, "+31612345681") == 202
        await anna.event("CALL_INCOMING")
        await anna.pick_up()
        await anna.hears(WHISPER_HZ, timeout_s=15)
        before = len(tones.read_wav(anna.recording))
        await anna.press("1")
        await anna.hears(CALLER_HZ)
        await caller.media.hears(ANNA_HZ)
        spans = timeline(caller.media, [WHISPER_HZ, ANNA_HZ], since=asked)
        assert not [span for span in spans if WHISPER_HZ in span.tones]
        assert not was_heard(anna, CALLER_HZ, before)
        [told] = await play.gateway.ended(1)
        assert (told["outcome"], told["answered_by"]) == ("completed", by)
        assert told["human_at"] is not None
        assert told["whispered_at"] < told["accepted_at"]
        await hang_up(caller)
        await anna.event("CALL_CLOSED")


@pytest.mark.keeps("21.16")
async def test_a_machine_takes_no_call_and_a_person_on_any_line_does(pbx: Asterisk, phones: Phones) -> None:
    """Without AMI nothing tells the box at 6599 from a person, but for the key."""
    anna = await phones("6001", hz=ANNA_HZ)
    files = company(
        pbx,
        {"id": "box", "number": "+31612345690", "extension": "6599", "overflow": ["anna"], **ASKED,
         "accept_timeout_s": 1},
        {"id": "anna", "extension": "6001", **ASKED},
    )  # fmt: skip
    files.profiles["asterisk"].pop("queues")
    async with scene(pbx, files=files, sounds=SOUNDS) as play:
        caller, assistant = await play.talk()
        assert await play.refer(assistant, "+31612345690") == 202
        await anna.hears(WHISPER_HZ, timeout_s=15)
        await anna.press("1")
        await caller.media.hears(ANNA_HZ)
        [told] = await play.gateway.ended(1)
        tried = [(one["destination"], one["reason"]) for one in told["attempts"]]
        assert tried == [("box", "no-answer"), ("anna", "answered")]
        assert told["answered_by"] is None  # the PBX says nothing
        assert told["human_at"] == told["accepted_at"] is not None
        await hang_up(caller)
        await anna.event("CALL_CLOSED")


# Of twenty transfers so many go to this number, where who answers presses this key, or does something else; what
# becomes of them, and what the platform is told.
TRANSFERS, PER_SECOND = 200, 10
MIX = (
    (7, "+31612345601", "taken", "1", "completed", "answered", "told_200"),
    (4, "+31612345602", "declined", "2", "failed", "declined", "told_603"),
    (2, "+31612345603", "mistaken", "9", "failed", "declined", "told_603"),
    (2, "+31612345604", "unheard", "nothing", "failed", "no-answer", "told_480"),
    (2, "+31612345605", "gone", "hangs up", "failed", "declined", "told_603"),
    (3, "+31612345606", "unasked", "nothing", "completed", "answered", "told_200"),
)
FIRST_EXTENSION = 8100
PERSON = FIRST_EXTENSION + len(MIX)


async def add(pbx: Asterisk, extension: int, *steps: str) -> None:
    """Give the PBX an extension that does this."""
    for place, step in enumerate(steps, 1):
        await pbx.cli(f"dialplan add extension {extension},{place},{step} into transfer-destinations")


async def answer_as_the_mix_has_it(pbx: Asterisk) -> list[Table]:
    """Give the PBX an extension for each kind; the destinations that lead there."""
    await add(pbx, PERSON, "Answer()", "Wait(60)")
    made = []
    for number, (_, called, name, does, *_) in enumerate(MIX, FIRST_EXTENSION):
        match does:
            case "nothing":
                steps = ["Answer()", "Wait(60)"]
            case "hangs up":
                steps = ["Answer()", "Wait(0.6)", "Hangup()"]
            case key:  # D presses it for who has called, once who was called has answered
                steps = ["Answer()", f"Dial(Local/{PERSON}@transfer-destinations/n,,D(:{key}))"]
        await add(pbx, number, *steps)
        one = {"id": name, "number": called, "extension": str(number)}
        asked = {} if name == "unasked" else {**ASKED, "accept_timeout_s": 60}
        made.append({**one, **asked, **({"accept_timeout_s": 1} if name == "unheard" else {})})
    return made


@pytest.mark.keeps("21.17")
@pytest.mark.alone
@pytest.mark.timeout(120)
async def test_two_hundred_are_asked_and_each_has_its_outcome(pbx: Asterisk) -> None:
    files = company(pbx, *await answer_as_the_mix_has_it(pbx))
    files.profiles["hms"]["options_interval_s"] = 0  # SIPp would take it for a call
    files.profiles["asterisk"].pop("queues")
    gateway = Gateway(files)
    tones.write_wav(gateway.directory / WHISPER, tones.tone(WHISPER_HZ, 0.3))
    numbers = [number for share, number, *_ in MIX for _ in range(share)]
    rows = [[f"<sip:{numbers[place * 7 % len(numbers)]}@{pbx.net.gateway}>"] for place in range(len(numbers))]
    try:
        async with (
            gateway,
            Sipp(
                str(SCENARIOS / "platform"), pbx.net.trunk, calls=TRANSFERS, rows=rows, hold_ms=100, timeout_s=90
            ) as asking,
        ):
            await asking.child.ready(asking.listening)
            async with Sipp(
                str(SCENARIOS / "caller"), pbx.net.provider, remote=gateway.sip, service=NUMBER, calls=TRANSFERS,
                rate=PER_SECOND, timeout_s=90, values={"PATIENCE": "7000"},
            ) as calling:  # fmt: skip
                (await calling.finished()).check()
                told = (await asking.finished()).check().counters
            await gateway.idle()
            rounds = TRANSFERS // len(numbers)
            codes: Counter[str] = Counter()
            for share, _, to, _, outcome, reason, code in MIX:
                codes[code] += share * rounds
                labels = {"outcome": outcome, "reason": reason, "entry": "refer", "destination": to}
                assert await gateway.metric("transfer_gateway_transfers_total", **labels) == share * rounds, labels
            assert await gateway.metric("transfer_gateway_transfers_total") == TRANSFERS
            assert {name: count for name, count in told.items() if name[:4] in {"told", "refu"} and count} == codes
            taken = await gateway.metric("transfer_gateway_transfer_milestones_total", milestone="human")
            assert taken == MIX[0][0] * rounds  # and nobody else is called a person
    finally:
        for number in range(FIRST_EXTENSION, PERSON + 1):
            await pbx.cli(f"dialplan remove extension {number}@transfer-destinations")

    async def quiet() -> bool:
        return await pbx.channels() == 0

    await eventually(quiet, "every channel of the PBX is gone")


@pytest.mark.keeps("21.20")
async def test_a_caller_talks_on_while_a_queue_with_music_looks_for_an_agent(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    sales = {"id": "sales", "number": "+31612345678", "extension": "6598", "queue": "sales"}
    async with scene(pbx, files=company(pbx, {**sales, "while_waiting": "assistant"})) as play:
        await known(play)
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        asked = time.monotonic()
        assert await play.refer(assistant, "+31612345678") == 202
        await anna.event("CALL_INCOMING")

        async def answered() -> bool:
            return await play.gateway.metric("transfer_gateway_transfers_in_progress", stage="answered") == 1

        await eventually(answered, "the queue has answered")
        await caller.media.hears(ASSISTANT_HZ)
        await anna.pick_up()
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        spans = timeline(caller.media, [MUSIC_HZ, ASSISTANT_HZ, ANNA_HZ], since=asked)
        assert MUSIC_HZ not in {tone for span in spans for tone in span.tones}
        [told] = await play.gateway.ended(1)
        assert (told["outcome"], told["answered_by"]) == ("completed", "agent")
        await hang_up(caller)
        await anna.event("CALL_CLOSED")
