# SPDX-License-Identifier: GPL-2.0-or-later
"""What a consumer of the gateway's messages receives: everything under a topic, in order, across broker restarts."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import aiomqtt

from tests.support.processes import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.broker import Broker


@dataclass(frozen=True)
class Received:
    """A message; `at` is time.monotonic()."""

    at: float
    topic: str
    payload: bytes
    qos: int
    retained: bool

    @property
    def json(self) -> Any:
        """The payload as JSON."""
        return json.loads(self.payload)


class Subscriber:
    """A subscription with QoS 1: `async with Subscriber(broker, "transfer-gateway/#") as heard`."""

    def __init__(self, broker: Broker, *topics: str, client_id: str | None = None) -> None:
        self.messages: list[Received] = []
        """Everything that came, oldest first, repetitions included."""
        self._broker = broker
        self._topics = topics or ("#",)
        # A name makes it a session that the broker keeps while this subscriber is away.
        self._client_id = client_id
        self._connections = 0
        self._arrived = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        await self.connected()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def connected(self, count: int = 1, timeout_s: float = WAIT_S) -> None:
        """Wait until it has subscribed for the `count`th time: 2 after the broker's first restart."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: self._connections >= count)

    async def until(self, holds: Callable[[list[Received]], bool], timeout_s: float = WAIT_S) -> list[Received]:
        """Wait until the messages so far satisfy `holds`; returns them. Raises AssertionError, listing the topics."""
        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                await self._arrived.wait_for(lambda: holds(self.messages))
        except TimeoutError:
            topics = "\n".join(f"{one.topic} {one.payload[:200]!r}" for one in self.messages)
            raise AssertionError(f"not received within {timeout_s} s; there were:\n{topics}") from None
        return list(self.messages)

    async def event(self, kind: str, timeout_s: float = WAIT_S, **data: object) -> dict[str, Any]:
        """The first CloudEvent of a type, e.g. "transfer.ended.v1", whose data has these values; past ones included."""
        found: list[dict[str, Any]] = []

        def arrived(_: list[Received]) -> bool:
            found[:] = [one for one in self.events(kind) if data.items() <= one["data"].items()]
            return bool(found)

        await self.until(arrived, timeout_s)
        return found[0]

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The CloudEvents that came, in order, of one type or of all."""
        decoded = [one.json for one in self.messages if b'"specversion"' in one.payload]
        return [one for one in decoded if kind is None or one["type"] == kind]

    async def _run(self) -> None:
        while True:
            try:
                username, password = self._broker.login or (None, None)
                async with aiomqtt.Client(
                    self._broker.host,
                    self._broker.port,
                    username=username,
                    password=password,
                    identifier=self._client_id,
                    clean_session=self._client_id is None,
                ) as client:
                    for topic in self._topics:
                        await client.subscribe(topic, qos=1)
                    async with self._arrived:
                        self._connections += 1
                        self._arrived.notify_all()
                    async for message in client.messages:
                        payload = bytes(message.payload)
                        one = Received(time.monotonic(), str(message.topic), payload, message.qos, message.retain)
                        async with self._arrived:
                            self.messages.append(one)
                            self._arrived.notify_all()
            except aiomqtt.MqttError:
                # The broker is down, as some tests want it: it is there again sooner or later.
                await asyncio.sleep(0.05)
