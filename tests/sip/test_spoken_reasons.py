# SPDX-License-Identifier: GPL-2.0-or-later
"""Why not, in the status line: the sentence for the caller as the reason phrase that platforms hand to their agent.

Each is played in all places where it can be read: the response to a REFER, the response to a fresh INVITE, and the
fragment in the final NOTIFY (RFC 3420).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
import pytest_asyncio

from tests.pbx.fake_ami import Block, FakeAmi, listing, member
from tests.sip.sipp_steps import OVER, bye, notify, played, refer, response
from tests.sip.spoken import Talk, fragment, handed_on
from tests.support.configuration import TOKEN, Configuration, Table
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, eventually
from tests.support.sipp import Sipp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session")]  # the loop that plays the AMI

PBX_PORT = 5070
IN_3_DAYS = datetime.now(UTC) + timedelta(days=3)
WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "nl": ("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"),
}
DAY = {locale: names[IN_3_DAYS.weekday()] for locale, names in WEEKDAYS.items()}
NAME = "café “Zuid”"
"""What the destinations are called: a letter and marks beyond ASCII."""


class Told(NamedTuple):
    """A reason, the destination that has it, and the sentences, in which NAME stands where it is named."""

    reason: str
    code: int
    english: str
    dutch: str
    destination: Table
    rejected: int | None = None  # by the PBX, so that the transfer fails; 0: nobody answers; None: the gate refuses


TOLD = (
    Told("outside-hours", 480, f"{{}} is closed until {DAY['en']} at 09:00",
         f"{{}} is gesloten tot {DAY['nl']} 09:00 uur", {"extension": "6001", "hours": "seldom"}),
    Told("holiday", 480, "{} is closed today", "{} is vandaag gesloten", {"extension": "6001", "hours": "closed"}),
    Told("queue-unstaffed", 480, "Nobody is available at {} right now", "Bij {} is op dit moment niemand aanwezig",
         {"extension": "6500", "queue": "empty"}),
    Told("queue-unknown", 480, "{} can't be reached right now", "{} is op dit moment niet bereikbaar",
         {"extension": "6501", "queue": "nowhere", "when_unknown": "refuse"}),
    Told("agents-busy", 486, "Everybody at {} is busy right now", "Bij {} is op dit moment iedereen in gesprek",
         {"extension": "6502", "queue": "busy"}),
    Told("queue-full", 486, "Too many callers are waiting for {} right now",
         "Er wachten op dit moment te veel bellers op {}", {"extension": "6503", "queue": "full", "min_available": 0}),
    Told("wait-too-long", 480, "The wait for {} is about 20 minutes, which is too long",
         "De wachttijd voor {} is ongeveer 20 minuten, dat is te lang",
         {"extension": "6504", "queue": "long", "min_available": 0, "max_wait_s": 60}),
    Told("unknown-destination", 404, "This call can't be transferred there", "Daarheen kan niet worden doorverbonden",
         {}),
    Told("busy", 486, "{} is busy right now", "{} is op dit moment in gesprek", {"extension": "6010"}, 486),
    Told("no-answer", 480, "Nobody answers at {}", "Bij {} neemt niemand op",
         {"extension": "6011", "ring_timeout_s": 1}, 0),
    Told("declined", 603, "{} can't take the call right now", "{} kan het gesprek op dit moment niet aannemen",
         {"extension": "6012"}, 603),
    Told("unreachable", 480, "{} can't be reached right now", "{} is op dit moment niet bereikbaar",
         {"extension": "6013"}, 480),
    Told("address-incomplete", 484, "{} can't be reached right now", "{} is op dit moment niet bereikbaar",
         {"extension": "60"}, 484),
    Told("not-acceptable", 606, "{} can't be reached right now", "{} is op dit moment niet bereikbaar",
         {"extension": "6015"}, 606),
    Told("pbx-error", 500, "{} can't be reached right now", "{} is op dit moment niet bereikbaar",
         {"extension": "6014"}, 500),
)  # fmt: skip
"""All that a REFER or an INVITE alone can bring about."""
NUMBER_OF = {told.reason: f"+3161234{10 + index:04}" for index, told in enumerate(TOLD)}
ELSEWHERE = "+31699999999"
CAPACITY, CALLED_OFF = "+31612349001", "+31612349002"


@dataclass(frozen=True)
class Reader:
    """A platform, and how it has sentences told."""

    host: int
    number: str
    locale: str
    ascii: bool = False

    @property
    def number_in_notify(self) -> str:
        """The number of the platform that has refusals told in the NOTIFY."""
        return f"{self.number[:-2]}{int(self.number[-2:]) + IN_NOTIFY}"

    def reads(self, told: Told) -> str:
        """The phrase that it is to read."""
        name = ("cafe 'Zuid'" if self.ascii else NAME) if "{}" in told.english else ""
        text = (told.english if self.locale == "en" else told.dutch).format(name)
        return text[0].upper() + text[1:]


READERS = {
    "english": Reader(31, "+31201234501", "en"),
    "dutch": Reader(32, "+31201234502", "nl"),
    "ascii": Reader(33, "+31201234503", "nl", ascii=True),
}
IN_NOTIFY = 10
"""So much higher is the host of the same platform that has refusals told in the NOTIFY."""


class Queues(FakeAmi):
    """Has a queue for each state."""

    def __init__(self) -> None:
        super().__init__()
        self.queues = {
            "empty": [],
            "busy": [member("PJSIP/6001", 2)],
            "full": [member("PJSIP/6002", 2)],
            "long": [member("PJSIP/6003", 2)],
        }

    def _answer(self, action: Block) -> list[Block]:
        name = action.get("Queue", "")
        if action["Action"] == "QueueStatus" and name in self.queues:
            waiting = {"full": 1, "long": 1}.get(name, 0)
            callers = [{"Event": "QueueEntry", "Queue": name, "Uniqueid": "1.1", "Wait": "5"}] * waiting
            params = {"Max": "1" if name == "full" else "0", "TalkTime": "600", "Completed": "7", "Calls": str(waiting)}
            members = [{**each, "Queue": name} for each in self.queues[name]]
            return listing([{"Event": "QueueParams", "Queue": name, **params}, *members, *callers])
        if action["Action"] == "QueueSummary":
            told = super()._answer(action)
            return [{**each, "Callers": "1"} if each.get("Queue") in ("full", "long") else each for each in told]
        return super()._answer(action)


def settings(net: Net, ami: Queues) -> Configuration:
    """Two platforms for each reader: one is refused in the REFER's response, one in the final NOTIFY."""
    files = Configuration(net.gateway, drain_timeout_s=1)
    today = datetime.now(UTC).date()
    closed = [str(today + timedelta(days=days)) for days in range(-1, 70)]
    daily = {day: ["00:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    files.main["hours"] = {
        "seldom": {"time_zone": "UTC", "weekly": {IN_3_DAYS.strftime("%a").lower(): ["09:00-17:00"]}},
        "closed": {"time_zone": "UTC", "weekly": daily, "closed": closed},
    }
    files.pbx("pbx", f"sip:{net.pbx}:{PBX_PORT}")
    files.follow("pbx", ami.port, ami.secret)
    company = [
        {"id": f"for-{told.reason}", "number": NUMBER_OF[told.reason], "name": NAME, **told.destination}
        for told in TOLD
        if told.destination
    ]
    company += [
        {"id": "one-at-a-time", "number": CAPACITY, "extension": "6020", "max_concurrent": 1, "name": NAME},
        {"id": "patient", "number": CALLED_OFF, "extension": "6021", "name": NAME},
    ]
    for name, reader in READERS.items():
        profile = {"reason_phrase": "sentence", "options_interval_s": 0, "reason_phrase_ascii": reader.ascii}
        files.trunk(name, net.host(reader.host), **profile)
        files.trunk(f"{name}-notify", net.host(reader.host + IN_NOTIFY), refusal="notify", **profile)
        for trunk, number in ((name, reader.number), (f"{name}-notify", reader.number_in_notify)):
            files.number(trunk, number, trunk, "pbx", company, locale=reader.locale)
    return files


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(own_net: Net) -> AsyncIterator[Gateway]:
    """A gateway that knows the queues."""
    async with Queues() as ami, Gateway(settings(own_net, ami)) as started:

        async def known() -> bool:
            queues = (await started.get("/api/queues"))["queues"]
            return len([one for one in queues if one["known"]]) >= len(ami.queues)

        await eventually(known, "the gateway knows the queues")
        yield started
        await started.idle()


async def read_from_refer(talk: Talk, told: Told) -> str:
    """The status line that says why: of the REFER's response, or else of the final NOTIFY. The caller stays."""
    caller, agent = await talk.transferor()
    answer = await agent.refer(f"<sip:{NUMBER_OF[told.reason] if told.destination else ELSEWHERE}@gw.example>")
    if answer.code == 202:
        if told.rejected is not None:
            await talk.rejects(told.rejected)
        line = fragment((await agent.notifies())[-1])
    else:
        assert answer["Reason"] == f'SIP;cause={told.code};text="{told.reason}"'
        line = answer.start
    await caller.hang_up()
    await agent.wait_request("BYE")
    return line


@pytest.mark.keeps("19.1", "19.2", "19.3", "19.4")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.reason)
async def test_each_sentence_is_read_in_every_place(own_net: Net, gateway: Gateway, told: Told, reader: str) -> None:
    reading = READERS[reader]
    expected = f"SIP/2.0 {told.code} {reading.reads(told)}"
    async with (
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.host(reading.host)) as told_at_once,
        Peer(own_net.host(reading.host + IN_NOTIFY)) as told_in_notify,
    ):
        talk = Talk(own_net, gateway, pbx, told_at_once, reading.number)
        seen = [await read_from_refer(talk, told)]
        if told.destination:  # else a fresh INVITE belongs to no number, and nobody knows in which language to say so
            caller = talk.fresh(NUMBER_OF[told.reason])
            if told.rejected is not None:
                await talk.rejects(told.rejected)
            refused = await caller.final()
            assert refused["Reason"] == f'SIP;cause={told.code};text="{told.reason}"'
            seen.append(refused.start)
        seen.append(await read_from_refer(Talk(own_net, gateway, pbx, told_in_notify, reading.number_in_notify), told))
    assert seen == [expected] * len(seen)
    newest = (await gateway.ended())[0]
    assert newest["reason"] == told.reason
    if not reading.ascii:
        assert newest["sentence"] == f"{reading.reads(told)}."


@pytest.mark.keeps("19.1", "19.2")
async def test_what_another_call_brings_about(own_net: Net, gateway: Gateway) -> None:
    dutch = READERS["dutch"]
    async with Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx, Peer(own_net.host(dutch.host)) as platform:
        talk = Talk(own_net, gateway, pbx, platform, dutch.number)
        caller, agent = await talk.transferor()
        assert (await agent.refer(f"<sip:{CAPACITY}@gw.example>")).code == 202
        target = await pbx.wait_call()
        pending = await agent.refer(f"<sip:{CAPACITY}@gw.example>")
        assert pending.start == "SIP/2.0 491 Er wordt al doorverbonden"
        full = await talk.fresh(CAPACITY).final()
        assert full.start == f"SIP/2.0 503 Café {NAME[5:]} kan op dit moment geen gesprekken meer aannemen"
        target.reject(486)
        assert fragment((await agent.notifies())[-1]) == f"SIP/2.0 486 Café {NAME[5:]} is op dit moment in gesprek"
        await caller.hang_up()
        await agent.wait_request("BYE")


@pytest.mark.keeps("19.3")
async def test_a_transfer_that_is_called_off(own_net: Net, gateway: Gateway) -> None:
    dutch = READERS["dutch"]
    async with Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx, Peer(own_net.host(dutch.host)) as platform:
        talk = Talk(own_net, gateway, pbx, platform, dutch.number)
        caller, agent = await talk.transferor()
        assert (await agent.refer(f"<sip:{CALLED_OFF}@gw.example>")).code == 202
        await (await pbx.wait_call()).ring()
        running = (await gateway.transfers())[0]["transfer"]
        status, _ = await gateway.http("POST", f"/api/transfers/{running}/cancel", token=TOKEN)
        assert status == 200
        assert fragment((await agent.notifies())[-1]) == "SIP/2.0 487 Het doorverbinden is afgebroken"
        await caller.hang_up()
        await agent.wait_request("BYE")


REFUSED = tuple(told for told in TOLD if told.rejected is None and told.destination)


@pytest.mark.keeps("19.1", "19.3", "19.5")
@pytest.mark.parametrize("place", ["response", "fragment"])
@pytest.mark.parametrize("reader", READERS)
async def test_sipp_reads_what_livekit_hands_on(own_net: Net, gateway: Gateway, reader: str, place: str) -> None:
    reading = READERS[reader]
    steps = []
    for number, told in enumerate(REFUSED, 1):
        steps.append(refer(f"<sip:{NUMBER_OF[told.reason]}@gw.example>", number=number))
        if place == "response":
            steps.append(response(told.code, reason=f'SIP;cause={told.code};text="{told.reason}"'))
        else:
            event = f"refer;id={number}" if number > 1 else "refer"
            steps += [response(202), notify(told.code, OVER, event=event, phrase=".+")]
    in_notify = place == "fragment"
    messages = await played(
        [*steps, bye()],
        own_net.host(reading.host + (IN_NOTIFY if in_notify else 0)),
        (own_net.pbx, PBX_PORT),
        gateway.sip,
        reading.number_in_notify if in_notify else reading.number,
        transferred=False,
    )
    assert handed_on(messages) == {
        f"call transfer failed: sip status: {told.code}: {reading.reads(told)}" for told in REFUSED
    }


@pytest.mark.keeps("19.2", "19.5")
async def test_sipp_reads_the_refusal_of_an_invite(own_net: Net, gateway: Gateway) -> None:
    reading = READERS["dutch"]
    seen = set()
    for told in REFUSED:
        number = NUMBER_OF[told.reason]
        async with Sipp("call", own_net.host(reading.host), remote=gateway.sip, service=number, calls=1) as platform:
            assert (await platform.finished()).counters == {"called": 1, "answered": 0, "refused": 1}
            seen |= handed_on(platform.messages())
    assert seen == {f"call transfer failed: sip status: {told.code}: {reading.reads(told)}" for told in REFUSED}


@pytest.mark.keeps("19.7")
@pytest.mark.parametrize("told", REFUSED, ids=lambda told: told.reason)
async def test_who_asks_first_is_told_what_a_refer_gets(own_net: Net, gateway: Gateway, told: Told) -> None:
    reading = READERS["dutch"]
    document = await gateway.get(f"/api/availability?number=dutch&destination=for-{told.reason}")
    [said] = document["destinations"]
    async with Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx, Peer(own_net.host(reading.host)) as platform:
        line = await read_from_refer(Talk(own_net, gateway, pbx, platform, reading.number), told)
    assert (said["available"], said["leads_to"], said["reason"]) == (False, None, told.reason)
    assert line == f"SIP/2.0 {said['sip_code']} {said['sentence'].removesuffix('.')}"
    assert said["name"] == NAME
    assert document["pbx"]["age_s"] < 10


@pytest.mark.keeps("19.7")
async def test_what_is_available_is_put_through(own_net: Net, gateway: Gateway) -> None:
    document = await gateway.get("/api/availability?number=dutch&destination=patient")
    [said] = document["destinations"]
    assert (said["available"], said["leads_to"], said["sentence"]) == (True, "patient", None)
    dutch = READERS["dutch"]
    async with Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx, Peer(own_net.host(dutch.host)) as platform:
        talk = Talk(own_net, gateway, pbx, platform, dutch.number)
        caller, agent = await talk.transferor()
        assert (await agent.refer(f"<sip:{CALLED_OFF}@gw.example>")).code == 202
        target = await pbx.wait_call()
        await target.answer()
        assert fragment((await agent.notifies())[-1]) == "SIP/2.0 200 OK"
        await agent.wait_request("BYE")
        await caller.hang_up()
        await target.wait_request("BYE")
