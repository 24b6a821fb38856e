# SPDX-License-Identifier: GPL-2.0-or-later
"""A consumer of the gateway's events: stays subscribed to everything on a broker, over its restarts."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import aiomqtt

from tests.support.broker import Broker
from tests.support.processes import WAIT_S

Connected: TypeAlias = AbstractAsyncContextManager[aiomqtt.Client]


@dataclass(frozen=True)
class Received:
    """A message; `body` is its JSON, None when it is empty."""

    topic: str
    body: Any
    retained: bool
    properties: Any


class Listener:
    """`async with Listener(broker) as listener`. It subscribes at QoS 0, for which the broker keeps nothing back."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._arrived = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._client: aiomqtt.Client | None = None
        self.received: list[Received] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen())
        await self._subscribed.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self) -> None:
        user, password = self._broker.login or (None, None)
        while True:
            try:
                async with aiomqtt.Client(
                    self._broker.host,
                    self._broker.port,
                    username=user,
                    password=password,
                    protocol=aiomqtt.ProtocolVersion.V5,
                    timeout=1.0,
                ) as self._client:
                    await self._client.subscribe("#", qos=0)
                    self._subscribed.set()
                    async for message in self._client.messages:
                        body = json.loads(message.payload) if message.payload else None
                        self.received.append(Received(str(message.topic), body, message.retain, message.properties))
                        self._arrived.set()
            except aiomqtt.MqttError:
                self._subscribed.clear()
                await asyncio.sleep(0.02)

    def first(self, connected: Callable[..., Connected]) -> Callable[..., Connected]:
        """What connects the gateway, but only while we are subscribed: we would miss what it sends before that."""

        @contextlib.asynccontextmanager
        async def later(*arguments: Any) -> AsyncIterator[aiomqtt.Client]:
            await self._subscribed.wait()
            async with connected(*arguments) as client:
                yield client

        return later

    async def publish(self, topic: str, payload: bytes, **options: Any) -> None:
        """Send a message of one's own."""
        assert self._client is not None
        await self._client.publish(topic, payload, qos=1, **options)

    async def until(self, condition: Callable[[list[Received]], bool], timeout_s: float = WAIT_S) -> list[Received]:
        """Wait until what was received fulfils a condition; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not condition(self.received):
                self._arrived.clear()
                await self._arrived.wait()
        return self.received

    def on(self, topic: str) -> list[Any]:
        """The bodies of what came on topics that end in `topic`."""
        return [message.body for message in self.received if message.topic.endswith(topic)]

    async def says(self, topic: str, **fields: object) -> Any:
        """Wait until the newest message on a topic has these fields; returns its body."""

        def said(_received: list[Received]) -> bool:
            bodies = self.on(topic)
            return bool(bodies) and bodies[-1].items() >= fields.items()

        await self.until(said)
        return self.on(topic)[-1]
