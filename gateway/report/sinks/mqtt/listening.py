# SPDX-License-Identifier: GPL-2.0-or-later
"""Listens for commands at the broker, and answers them."""

import asyncio
import json
from collections.abc import Mapping

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.ports import Clock, sleep
from gateway.report.sinks.mqtt.broker import CommandHandler
from gateway.report.sinks.mqtt.connection import Client
from gateway.report.sinks.mqtt.hang_ups import LEFT_OUT_S
from gateway.report.sinks.mqtt.notices import Notices

MAX_TOPIC = 256  # characters of a response topic
KIND = "commands"
MOST_UNANSWERED = 100
"""So many commands may be carried out and not answered yet; the next waits then: a broker may take no answer."""

COMMANDS = ("transfer", "callback", "cancel", "hangup")
"""What is listened for under `commands/`."""


class Listening:
    """See the module. `handler` None: no commands are listened for."""

    def __init__(self, base: str, notices: Notices, handler: CommandHandler | None) -> None:
        self._base = base
        self._notices = notices
        self._handler = handler
        self._granted = False

    async def subscribe(self, client: Client) -> None:
        """Have the broker send commands, if it lets us. Raises aiomqtt.MqttError."""
        self._granted = self._handler is None
        if self._granted or not self._notices.may_ask_for(KIND):
            return
        # A command that was kept for later would move a caller who no longer wants it.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        answers = [await client.listen(f"{self._base}/commands/{name}", options) for name in COMMANDS]
        self._notices.answered()
        refused = [answer for answer in answers if answer.is_failure]
        self._granted = not refused
        if refused:
            self._notices.tell_refused(KIND, f"no commands can come: {refused[0]}; may this user read them?")

    async def keep_asking(self, client: Client, clock: Clock) -> None:
        """Ask again from time to time for what was not granted: the user may have been given the right to it."""
        while not self._granted:
            await sleep(clock, LEFT_OUT_S)
            await self.subscribe(client)

    async def take(self, client: Client) -> None:
        """Carry out what comes, in its order, until the connection is lost: also what notices that.

        An answer may take its time, which no other command waits for.
        """
        room, answering = asyncio.Semaphore(MOST_UNANSWERED), asyncio.Lock()
        async with asyncio.TaskGroup() as commands:
            async for message in client.messages:
                if self._handler is None or message.retain:
                    continue
                await room.acquire()
                task = commands.create_task(self._take(client, message, self._handler, answering))
                task.add_done_callback(lambda _: room.release())

    async def _take(
        self, client: Client, message: aiomqtt.Message, handler: CommandHandler, answering: asyncio.Lock
    ) -> None:
        response_topic: str | None = getattr(message.properties, "ResponseTopic", None)
        correlation: bytes | None = getattr(message.properties, "CorrelationData", None)
        reply = await handler(message.payload, response_topic, correlation)
        if reply is None:
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = "application/json"
        if correlation is not None:
            properties.CorrelationData = correlation
        topic = f"responses/{message.topic.value.rpartition('/')[2]}"
        if response_topic and self._may_reply_to(response_topic):
            topic = response_topic.removeprefix(f"{self._base}/")
        async with answering:
            await self._notices.send(client, topic, as_json(reply), qos=1, about=properties)

    def _may_reply_to(self, topic: str) -> bool:
        """Whether a reply may go to the topic that the sender names: below our own `responses` alone.

        With the gateway's rights a sender could otherwise write wherever the gateway may and they may not.
        """
        if len(topic) > MAX_TOPIC or set(topic) & set("+#\0"):
            return False
        return topic.startswith(f"{self._base}/responses/")


def as_json(document: Mapping[str, object]) -> bytes:
    """Compact JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
