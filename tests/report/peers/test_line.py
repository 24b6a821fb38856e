# SPDX-License-Identifier: GPL-2.0-or-later
"""The line on which gateways tell one another of themselves, with a real broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.clock import LoopClock
from gateway.report.peers.line import PeerLine
from gateway.report.sinks.mqtt.broker import Broker as Address
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.support.broker import Broker

pytestmark = pytest.mark.broker


async def test_what_holds_no_longer_may_be_said_twice(broker: Broker) -> None:
    """As whoever ends a transfer and whoever tidies up do, at the same moment."""
    line = PeerLine(Address("gw-1", broker.host, broker.port), LoopClock(), ["status"], lambda _message: None)
    running = asyncio.ensure_future(line.run())
    topics = [line.topic("open", str(number)) for number in range(40)]
    async with Subscriber(broker, "transfer-gateway/gw-1/open/+") as heard:
        try:
            await line.up.wait()
            with capture_logs() as logs:
                for topic in topics:
                    line.say(topic, b"under way")
                await heard.until(lambda messages: {one.topic for one in messages} == set(topics))
                for topic in topics:
                    line.say(topic, b"")
                await asyncio.sleep(0)  # the first of them are on their way
                for topic in topics:
                    line.say(topic, b"")
                await line.flush(10.0)
            assert [each["event"] for each in logs] == []
            await heard.until(
                lambda messages: {one.topic: one.payload for one in messages} == dict.fromkeys(topics, b"")
            )
        finally:
            running.cancel()
