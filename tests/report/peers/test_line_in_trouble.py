# SPDX-License-Identifier: GPL-2.0-or-later
"""The line between gateways, with a broker that refuses, hangs up, or is away: nothing waits for ever or piles up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from gateway.clock import LoopClock
from gateway.report.peers import line as line_module
from gateway.report.peers.line import AwayError, PeerLine
from gateway.report.sinks.mqtt.broker import Broker as Address
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.report.peers.back import Back
from tests.support.mqtt_broker import SILENCE, HangUp, Published, ScriptedBroker, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.ports import Clock

TAKEN = 0
NOT_AUTHORIZED, QUOTA_EXCEEDED = 0x87, 0x97
NO_RETAINING = bytes([0x25, 0])
OPEN = "transfer-gateway/gw-1/open/one"


def scripted(judge: Callable[[Published], Verdict]) -> ScriptedBroker:
    return ScriptedBroker(judge, sends_back="/echo")


def line_to(broker: ScriptedBroker, clock: Clock | None = None) -> PeerLine:
    return PeerLine(Address("gw-1", broker.host, broker.port), clock or LoopClock(), ["status"], lambda _message: None)


@contextlib.asynccontextmanager
async def running(line: PeerLine) -> AsyncIterator[None]:
    task = asyncio.ensure_future(line.run())
    try:
        yield
    finally:
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=30)
        assert done, "it goes on though it was ended"


@contextlib.asynccontextmanager
async def ending(answers: list[Verdict]) -> AsyncIterator[tuple[ScriptedBroker, PeerLine]]:
    """A transfer is told of as under way, then as over, which the broker answers so: the last of `answers` first."""
    async with scripted(lambda one: answers.pop() if one.topic == OPEN and not one.payload else TAKEN) as broker:
        line = line_to(broker)
        async with running(line):
            line.say(OPEN, b"under way")
            await broker.until(lambda: bodies(broker) == [b"under way"])
            line.say(OPEN, b"")
            yield broker, line


def bodies(broker: ScriptedBroker, topic: str = OPEN) -> list[bytes]:
    return [message.payload for message in broker.taken if message.topic == topic]


@pytest.mark.keeps("22.61")
async def test_of_what_has_come_and_gone_while_the_broker_was_away_nothing_is_left() -> None:
    """A broker may be away for days, and a gateway has some transfers a second."""
    async with scripted(lambda _message: TAKEN) as broker:
        line = line_to(broker)
        for number in range(100):
            line.say(line.topic("open", str(number)), b"under way")
            line.say(line.topic("open", str(number)), b"")
        line.say(OPEN, b"under way")
        # What an earlier run has left is taken away all the same.
        line.say(line.topic("open", "old"), b"")
        async with running(line):
            await broker.until(lambda: bool(bodies(broker)))
            await line.flush(30)
        said = [message for message in broker.taken if "/open/" in message.topic]
        assert [(message.topic.rpartition("/")[2], message.payload) for message in said] == [
            ("one", b"under way"),
            ("old", b""),
        ]


@pytest.mark.keeps("22.61")
async def test_what_the_broker_may_have_is_taken_away_also_where_its_answer_was_lost() -> None:
    answers: list[Verdict] = [HangUp()]
    async with scripted(lambda message: answers.pop() if answers and message.topic == OPEN else TAKEN) as broker:
        line = line_to(broker)
        line.say(OPEN, b"under way")
        async with running(line):
            await broker.until(lambda: not answers)
            line.say(OPEN, b"")
            await broker.until(lambda: bodies(broker) == [b""])


@pytest.mark.keeps("22.61")
async def test_an_end_that_the_broker_may_take_later_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "REFUSED_S", 0.05)
    async with ending([TAKEN, QUOTA_EXCEEDED, QUOTA_EXCEEDED]) as (broker, _):
        await broker.until(lambda: bodies(broker) == [b"under way", b""])


@pytest.mark.keeps("22.61")
async def test_an_end_that_the_broker_refuses_is_said_with_the_next_connection() -> None:
    ends: list[Verdict] = [TAKEN, NOT_AUTHORIZED]
    async with ending(ends) as (broker, line):
        await broker.until(lambda: len(ends) == 1)
        await line.flush(30)
        broker.drop()
        await broker.until(lambda: bodies(broker) == [b"under way", b""])


@pytest.mark.keeps("22.61")
@pytest.mark.parametrize("reason", [None, 0x8E], ids=["hung-up", "taken-over"])
async def test_who_asks_what_is_retained_does_not_wait_for_a_connection_that_is_lost(reason: int | None) -> None:
    """By a clock that stands still: no time runs out."""
    asked = 0

    def judge(message: Published) -> Verdict:
        nonlocal asked
        asked += message.topic.endswith("/echo")
        return HangUp(reason) if asked > 1 else TAKEN

    async with scripted(judge) as broker:
        line = line_to(broker, VirtualClock(BEGIN))
        async with running(line):
            await line.up.wait()
            with pytest.raises(AwayError):
                async with asyncio.timeout(30), line.listening("open", "gw-2"):
                    pytest.fail("nothing was retained as far as anybody knows")


def echoes(broker: ScriptedBroker) -> int:
    return len(bodies(broker, "transfer-gateway/gw-1/echo"))


@pytest.mark.keeps("22.61")
async def test_an_echo_that_does_not_come_is_not_waited_for_when_the_connection_is_lost() -> None:
    async with scripted(lambda _message: TAKEN) as broker:
        line = line_to(broker, VirtualClock(BEGIN))
        async with running(line):
            await line.up.wait()
            broker.sends_back = None
            asking = asyncio.ensure_future(line.caught_up())
            await broker.until(lambda: echoes(broker) == 2)
            broker.drop()
            with pytest.raises(AwayError):
                async with asyncio.timeout(30):
                    await asking


@pytest.mark.keeps("22.61")
async def test_nothing_is_claimed_before_all_that_is_retained_was_heard() -> None:
    """Whose claim holds is not known before."""
    async with ScriptedBroker(lambda _message: TAKEN) as broker:
        line = line_to(broker)
        async with running(line):
            await broker.until(lambda: echoes(broker) == 1)
            with pytest.raises(AwayError, match="away"):
                await line.tell(line.topic("orphans", "one", "gw-2"), b"mine")
        assert [message for message in broker.taken if "orphans" in message.topic] == []


@pytest.mark.keeps("22.61")
async def test_what_waits_to_be_said_once_does_not_come_after_what_is_told_then() -> None:
    """A claim is taken away and made anew in the same turn."""
    topic = "transfer-gateway/gw-2/orphans/one"
    async with scripted(lambda _message: TAKEN) as broker:
        line = line_to(broker)
        async with running(line):
            await line.up.wait()
            line.say(topic, b"")
            await line.tell(topic, b"mine")
            line.say(OPEN, b"under way")
            await broker.until(lambda: bodies(broker) == [b"under way"])
        assert bodies(broker, topic) == [b"mine"]


@pytest.mark.keeps("22.61")
async def test_one_that_is_ended_as_its_connection_is_lost_ends() -> None:
    """What waits for it to end, the gateway's stop, would do so for ever."""
    async with scripted(lambda message: HangUp() if message.topic == OPEN else TAKEN) as broker:
        line = line_to(broker, VirtualClock(BEGIN))
        async with running(line):
            await line.up.wait()
            with pytest.raises(AwayError):
                await line.tell(OPEN, b"under way")


@pytest.mark.keeps("22.61")
async def test_a_new_login_while_a_claim_is_on_its_way_leaves_nobody_waiting() -> None:
    """Whoever claims hears at once that it is not known what became of it; what is said is said once more."""
    async with scripted(lambda message: SILENCE if message.topic == OPEN else TAKEN) as broker:
        line = line_to(broker)
        line.say(line.topic("load"), b"some")
        async with running(line):
            await broker.until(lambda: len(bodies(broker, line.topic("load"))) == 1)
            telling = asyncio.ensure_future(line.tell(OPEN, b"mine"))
            await asyncio.sleep(0)
            line.log_in(Address("gw-1", broker.host, broker.port, username="another", password="for a test"))
            with pytest.raises(AwayError, match="disconnected"):
                async with asyncio.timeout(30):
                    await telling
            await broker.until(lambda: broker.connections == 2 and len(bodies(broker, line.topic("load"))) == 2)


@pytest.mark.keeps("22.60")
async def test_where_the_broker_retains_nothing_who_is_back_tells_by_itself() -> None:
    """Nobody else can know of it, and it would wait for ever."""
    transfers = [f"01HZX2Q7J8E9RT5VWXYZ00000{number}" for number in range(3)]
    async with ScriptedBroker(lambda _message: TAKEN, connack=NO_RETAINING) as broker:
        gateway = Back("gw-1", broker.host, broker.port, transfers)
        async with gateway.running(), asyncio.timeout(30):
            await gateway.settled.wait()
    assert gateway.told == transfers
