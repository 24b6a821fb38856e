# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps a connection to the MQTT broker, and sends over it what waits in the journal.

Events: see delivery.py. The status is retained, with 'offline' as the will. Queue snapshots are retained too, only the
newest of each is kept. A broker that retains nothing gets both without. No message that the broker will not have, of
whatever kind, keeps the others.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Literal

import aiomqtt
import structlog

from gateway.core.json_form import timestamp
from gateway.ports import Clock, sleep, time_limit
from gateway.report.backlog import Backlog
from gateway.report.sinks.mqtt import discovery
from gateway.report.sinks.mqtt.broker import Broker, CommandHandler
from gateway.report.sinks.mqtt.connection import Client, connected
from gateway.report.sinks.mqtt.delivery import Delivery
from gateway.report.sinks.mqtt.listening import Listening, as_json
from gateway.report.sinks.mqtt.notices import Notices
from gateway.report.sinks.mqtt.refusals import SESSION_TAKEN_OVER, explain, reason_of

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0
HOPELESS_RETRY_S = 60.0  # when only a person can mend it
SNAPSHOT_EVERY_S = 0.2
GOODBYE_S = 2.0

log = structlog.get_logger(__name__)


class _LogInAnewError(Exception):
    """The user or the password has changed, or the will."""


class MqttSink:
    """A `sinks.sink.Sink`; see the module. `on_connected` is told each time the connection is made or lost."""

    def __init__(
        self,
        broker: Broker,
        backlog: Backlog,
        *,
        version: str,
        clock: Clock,
        on_command: CommandHandler | None = None,
        on_connected: Callable[[bool], None] = lambda _up: None,
    ) -> None:
        self.name = backlog.sink
        self._clock = clock
        self._broker = broker
        self._backlog = backlog
        self._delivery = Delivery(backlog, self._topic, clock)
        self._notices = Notices(broker.base, clock)
        self._listening = Listening(broker.base, self._notices, on_command)
        self._version = version
        self._on_connected = on_connected
        self._state: Literal["online", "draining"] = "online"
        self._state_changed = asyncio.Event()
        self._snapshots: dict[str, bytes] = {}  # by topic
        self._unsent_snapshots: dict[str, None] = {}  # topics, in the order they changed
        self._snapshot_changed = asyncio.Event()
        self._whole_topics: set[str] = set()  # of snapshots outside of the base
        self._discovered: set[str] = set()  # components that Home Assistant was told of
        self._stopping = asyncio.Event()
        self._interrupted = asyncio.Event()  # to stop, or to log in anew
        self._flush_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""
        self._complaint_stays = False
        self.connected = False
        self.since: datetime | None = None
        """Since when it is connected, or is not; None: neither is known yet."""

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

    @property
    def failure(self) -> str:
        """Why the broker is not there; empty: it is, or that is not known yet."""
        return "" if self.connected else self._complaint

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
        self._snapshots[topic] = as_json(document)
        self._unsent_snapshots[topic] = None
        self._snapshot_changed.set()

    def discoverable(self, queues: Mapping[str, Collection[str]]) -> None:
        """Tell Home Assistant of the gateway and of these queues, where the broker's configuration says so."""
        if not self._broker.home_assistant:
            return
        topic = discovery.topic(self._broker)
        found = discovery.message(self._broker, self._version, queues, self._discovered)
        self._discovered = set(found["components"])
        self._whole_topics.add(topic)
        self.snapshot(topic, found)

    async def resend(self) -> None:
        """Let every event go again that the broker has refused so far."""
        await self._delivery.resend(everything=True)

    async def _stay_connected(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            error: BaseException | None = None
            begun = self._clock.now().steady
            if not self._stopping.is_set():
                self._interrupted.clear()
            try:
                await self._connection()
            except* _LogInAnewError:
                attempt = 0
            except* (aiomqtt.MqttError, OSError, UnicodeError) as group:  # the last of a host that is no name
                error = _most_telling(group)
            except* Exception as group:
                # A fault of ours must not silence the gateway for ever.
                log.exception("broker-connection-failed")
                error = _most_telling(group)
            if self.connected:
                self._set_connected(False)
            has_learned = error is not None and self._notices.lost(error, events_in_flight=self._delivery.is_under_way)
            if self._delivery.lost(error) or has_learned:
                attempt = 0
            if not self._notices.retains_after(error):
                continue
            # A connection that is lost again and again, at once, is no better than none.
            attempt = 1 if self._clock.now().steady - begun > LAST_RETRY_S else attempt + 1
            if error is not None:
                await self._pause(error, attempt)

    async def _pause(self, error: BaseException, attempt: int) -> None:
        why, hopeless = explain(error, self._broker)
        if why != self._complaint:
            log.error("broker-unreachable", why=why, events_waiting=self._backlog.state.events)
            self._complaint = why
        # Two gateways that take the session from each other would fill the log between them.
        self._complaint_stays = reason_of(error) == SESSION_TAKEN_OVER
        longest = HOPELESS_RETRY_S if hopeless else min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(attempt - 1, 10))
        # Many gateways must not come back at the same moment.
        pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, not a key
        with contextlib.suppress(TimeoutError):
            async with time_limit(self._clock, pause):
                await self._interrupted.wait()

    async def _connection(self) -> None:
        last_words = self._status("offline", "connection lost")
        will = aiomqtt.Will(self._topic("status"), last_words, 1, self._notices.may_retain)
        async with connected(self._broker, self._notices.will(will)) as client:
            if not self._notices.connected():
                raise _LogInAnewError
            # Whoever reads 'online' may send commands at once.
            await self._listening.subscribe(client)
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
                        self._listening.take(client),
                        self._listening.keep_asking(client, self._clock),
                    )
                ]
                await self._interrupted.wait()
                if not self._stopping.is_set():
                    # The broker is to tell our will: this is no goodbye, and the new login may be refused.
                    raise _LogInAnewError
                with contextlib.suppress(TimeoutError):
                    async with time_limit(self._clock, self._flush_s):
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
                is_whole = topic in self._whole_topics
                body = self._snapshots[topic]
                # What a user may not write to is told at QoS 1 alone; outside of the base that is likely.
                await self._notices.send(client, topic, body, qos=int(is_whole), retain=True, is_whole=is_whole)
            await self._snapshot_changed.wait()
            # What changes meanwhile goes out as one.
            await sleep(self._clock, SNAPSHOT_EVERY_S)

    async def _send_changed_status(self, client: Client) -> None:
        while True:
            await self._state_changed.wait()
            # Whoever reads 'online' may send commands at once.
            await self._listening.subscribe(client)
            self._state_changed.clear()
            await self._send_status(client, self._state)

    async def _send_status(self, client: Client, state: str, reason: str | None = None) -> None:
        await self._notices.send(client, "status", self._status(state, reason), qos=1, retain=True)

    def _set_connected(self, up: bool) -> None:
        if up != self.connected or self.since is None:
            self.since = self._clock.now().wall
        self.connected = up
        if up:
            log.info(
                "broker-connected",
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
            document["at"] = timestamp(self._clock.now().wall)
        return as_json(document)


def _most_telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of all that ended when the connection did, the one that says why."""
    errors = _leaves(group)
    return next((error for error in errors if reason_of(error) is not None), errors[0])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
