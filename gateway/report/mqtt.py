# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps a connection to the MQTT broker, and sends over it what waits in the journal.

Events: see delivery.py. The status is retained, with 'offline' as the will. Queue snapshots are retained too, only the
newest of each is kept. A broker that retains nothing gets both without. No message that the broker will not have, of
whatever kind, keeps the others.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.core.document import timestamp
from gateway.report.backlog import Backlog
from gateway.report.client import (
    RETAIN_NOT_SUPPORTED,
    SESSION_TAKEN_OVER,
    Broker,
    Client,
    PublishRefusedError,
    connected,
    explain,
    reason_of,
)
from gateway.report.delivery import Delivery
from gateway.report.hang_ups import HangUps

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0
HOPELESS_RETRY_S = 60.0  # when only a person can mend it
SNAPSHOT_EVERY_S = 0.2
GOODBYE_S = 2.0
MAX_TOPIC = 256  # characters of a response topic
COMMANDS = ("transfer", "cancel")
"""What is listened for under `commands/`."""

CommandHandler = Callable[[bytes, str | None, bytes | None], Awaitable[Mapping[str, object] | None]]
"""Carries out a command: payload, response topic, correlation data -> the reply, None for none."""

log = structlog.get_logger(__name__)


class _LogInAnewError(Exception):
    """The user or the password has changed."""


class MqttPublisher:
    """See the module. `on_connected` is told each time the connection is made or lost."""

    def __init__(
        self,
        broker: Broker,
        backlog: Backlog,
        *,
        version: str,
        on_command: CommandHandler | None = None,
        on_connected: Callable[[bool], None] = lambda _up: None,
    ) -> None:
        self._broker = broker
        self._backlog = backlog
        self._delivery = Delivery(backlog, self._topic)
        self._hang_ups = HangUps()
        self._may_retain = True
        self._refused_kinds: set[str] = set()
        self._version = version
        self._on_command = on_command
        self._on_connected = on_connected
        self._state: Literal["online", "draining"] = "online"
        self._state_changed = asyncio.Event()
        self._snapshots: dict[str, bytes] = {}  # by topic
        self._unsent_snapshots: dict[str, None] = {}  # topics, in the order they changed
        self._snapshot_changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._interrupted = asyncio.Event()  # to stop, or to log in anew
        self._flush_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""
        self._complaint_stays = False
        self.connected = False

    def start(self) -> None:
        """Connect, and stay connected, in the background."""
        self._task = asyncio.create_task(self._stay_connected(), name="mqtt")

    async def stop(self, flush_s: float = 5.0) -> None:
        """Send what waits, if the broker takes it within `flush_s`, say goodbye and disconnect."""
        if self._task is None:
            return
        self._flush_s = flush_s
        self._stopping.set()
        self._interrupted.set()
        await asyncio.wait({self._task}, timeout=flush_s + GOODBYE_S if self.connected else GOODBYE_S)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def log_in(self, broker: Broker) -> None:
        """Connect anew, at once, where `broker` is not the one that we are connected to."""
        if broker != self._broker:
            self._broker = broker
            self._interrupted.set()

    def draining(self) -> None:
        """Tell that no new calls are taken."""
        self._state = "draining"
        self._state_changed.set()

    def snapshot(self, topic: str, document: Mapping[str, object]) -> None:
        """Publish `document` as the newest state of `topic` (relative to the base), now or when the broker is back."""
        self._snapshots[topic] = _json(document)
        self._unsent_snapshots[topic] = None
        self._snapshot_changed.set()

    async def resend(self) -> None:
        """Let every event go again that the broker has refused so far."""
        await self._delivery.resend(everything=True)

    async def _stay_connected(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            error: BaseException | None = None
            begun = time.monotonic()
            if not self._stopping.is_set():
                self._interrupted.clear()
            try:
                await self._connection()
            except* _LogInAnewError:
                attempt = 0
            except* (aiomqtt.MqttError, OSError) as group:
                error = _most_telling(group)
            except* Exception as group:
                # A fault of ours must not silence the gateway for ever.
                log.exception("the connection to the broker was ended by a fault of the gateway")
                error = _most_telling(group)
            if self.connected:
                self._set_connected(False)
            if self._has_learned(error):
                attempt = 0
            if not self._retains_after(error):
                continue
            # A connection that is lost again and again, at once, is no better than none.
            attempt = 1 if time.monotonic() - begun > LAST_RETRY_S else attempt + 1
            if error is not None:
                await self._pause(error, attempt)

    def _has_learned(self, error: BaseException | None) -> bool:
        """Whether the end of the connection told which message was its cause: the next one goes without."""
        left_out = self._hang_ups.lost(events_in_flight=self._delivery.is_under_way) if error is not None else None
        if left_out is not None:
            self._tell_refused(left_out, f"the broker ends the connection when it is sent: {error}")
        return self._delivery.lost(error) or left_out is not None

    def _retains_after(self, error: BaseException | None) -> bool:
        """Whether the next connection may ask the broker to retain; not, and at once, where this one ended on that."""
        could, self._may_retain = self._may_retain, error is None or reason_of(error) != RETAIN_NOT_SUPPORTED
        if could and not self._may_retain:
            self._tell_refused("retained", "the broker retains nothing: the status and queues are sent without")
        # Twice in a row it was not the retaining: time for a pause.
        return self._may_retain or not could

    async def _pause(self, error: BaseException, attempt: int) -> None:
        why, hopeless = explain(error, self._broker)
        if why != self._complaint:
            log.error(why, events_waiting=self._backlog.state.events)
            self._complaint = why
        # Two gateways that take the session from each other would fill the log between them.
        self._complaint_stays = reason_of(error) == SESSION_TAKEN_OVER
        longest = HOPELESS_RETRY_S if hopeless else min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(attempt - 1, 10))
        # Many gateways must not come back at the same moment.
        pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, not a key
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._interrupted.wait()

    async def _connection(self) -> None:
        will = aiomqtt.Will(self._topic("status"), self._status("offline", "connection lost"), 1, self._may_retain)
        async with connected(self._broker, will) as client:
            # Whoever reads 'online' may send commands at once.
            await self._subscribe(client)
            self._state_changed.clear()
            await self._send_status(client, self._state)
            self._set_connected(True)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work)
                    for work in (
                        client.watch(),
                        self._delivery.send(client),
                        self._delivery.keep_resending(),
                        self._send_snapshots(client),
                        self._send_changed_status(client),
                        self._take_commands(client),
                    )
                ]
                await self._interrupted.wait()
                if not self._stopping.is_set():
                    # The broker is to tell our will: this is no goodbye, and the new login may be refused.
                    raise _LogInAnewError
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._flush_s):
                        await self._backlog.flush()
                        await self._backlog.empty.wait()
                for task in tasks:
                    task.cancel()
            await self._send_status(client, "offline", "stopped")

    async def _send_snapshots(self, client: Client) -> None:
        self._unsent_snapshots = dict.fromkeys(self._snapshots)
        while True:
            # While an event may be what ends each connection, nothing else may.
            await self._delivery.calm.wait()
            self._snapshot_changed.clear()
            for topic in list(self._unsent_snapshots):
                del self._unsent_snapshots[topic]
                await self._say(client, self._topic(topic), self._snapshots[topic], qos=0, retain=True)
            await self._snapshot_changed.wait()
            # What changes meanwhile goes out as one.
            await asyncio.sleep(SNAPSHOT_EVERY_S)

    async def _send_changed_status(self, client: Client) -> None:
        while True:
            await self._state_changed.wait()
            # Whoever reads 'online' may send commands at once.
            await self._subscribe(client)
            self._state_changed.clear()
            await self._send_status(client, self._state)

    async def _send_status(self, client: Client, state: str, reason: str | None = None) -> None:
        await self._say(client, self._topic("status"), self._status(state, reason), qos=1, retain=True)

    async def _say(
        self,
        client: Client,
        topic: str,
        body: bytes,
        *,
        qos: int,
        retain: bool = False,
        about: Properties | None = None,
    ) -> None:
        """Publish what is not worth keeping: where the broker will not have it, the log says so once."""
        kind = topic.removeprefix(f"{self._broker.base}/").partition("/")[0]
        if not self._hang_ups.may_send(kind):
            return
        try:
            await client.publish(topic, body, qos=qos, retain=retain and self._may_retain, properties=about)
            if qos:
                self._hang_ups.taken()
        except PublishRefusedError as error:
            self._hang_ups.taken()
            self._tell_refused(kind, f"{error}; may this user write to {topic}?")

    def _tell_refused(self, kind: str, why: str) -> None:
        if kind not in self._refused_kinds:
            self._refused_kinds.add(kind)
            log.warning("message-refused", kind=kind, why=why)

    async def _subscribe(self, client: Client) -> None:
        if self._on_command is not None:
            # A command that was kept for later would move a caller who no longer wants it.
            options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            for name in COMMANDS:
                granted = await client.subscribe(self._topic(f"commands/{name}"), options=options)
                if any(isinstance(code, ReasonCode) and code.is_failure for code in granted):
                    self._tell_refused("commands", f"no commands can come: {granted[0]}; may this user read them?")

    async def _take_commands(self, client: Client) -> None:
        # Also what notices that the connection was lost.
        async for message in client.messages:
            if self._on_command is not None and not message.retain:
                await self._take_command(client, message, self._on_command)

    async def _take_command(self, client: Client, message: aiomqtt.Message, handler: CommandHandler) -> None:
        response_topic: str | None = getattr(message.properties, "ResponseTopic", None)
        correlation: bytes | None = getattr(message.properties, "CorrelationData", None)
        reply = await handler(message.payload, response_topic, correlation)
        if reply is None:
            return
        properties = _content_type("application/json")
        if correlation is not None:
            properties.CorrelationData = correlation
        topic = self._topic(f"responses/{message.topic.value.rpartition('/')[2]}")
        if response_topic and self._may_reply_to(response_topic):
            topic = response_topic
        await self._say(client, topic, _json(reply), qos=1, about=properties)

    def _may_reply_to(self, topic: str) -> bool:
        """Whether a reply may go to the topic that the sender names: below our own `responses` alone.

        With the gateway's rights a sender could otherwise write wherever the gateway may and they may not.
        """
        if len(topic) > MAX_TOPIC or set(topic) & set("+#\0"):
            return False
        return topic.startswith(f"{self._broker.base}/responses/")

    def _set_connected(self, up: bool) -> None:
        self.connected = up
        if up:
            log.info(
                "connected to the broker",
                broker=f"{self._broker.host}:{self._broker.port}",
                events_waiting=self._backlog.state.events,
            )
            if not self._complaint_stays:
                self._complaint = ""
        self._on_connected(up)

    def _topic(self, name: str) -> str:
        return f"{self._broker.base}/{name}"

    def _status(self, state: str, reason: str | None = None) -> bytes:
        document: dict[str, object] = {"state": state, "instance": self._broker.instance, "version": self._version}
        if reason is not None:
            document["reason"] = reason
        if reason != "connection lost":
            # The will is written long before it is sent: it can't know when.
            document["at"] = timestamp(datetime.now(UTC))
        return _json(document)


def _most_telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of all that ended when the connection did, the one that says why."""
    errors = _leaves(group)
    return next((error for error in errors if reason_of(error) is not None), errors[0])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def _content_type(name: str) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = name
    return properties


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
