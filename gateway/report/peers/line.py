# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection to the broker by which the gateways of a cluster tell one another of themselves.

It is one of its own, beside that of the events (sinks/mqtt): what the broker makes of it keeps no event. What is said
is retained, so that who comes later knows it too, and is said anew whenever the connection was lost. Of what the broker
never had, nothing is left once it holds no longer: it may be away for days.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NoReturn

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from ulid import ULID

from gateway.ports import Clock, time_limit
from gateway.report.sinks.mqtt.broker import Broker
from gateway.report.sinks.mqtt.connection import Client, connected
from gateway.report.sinks.mqtt.refusals import PublishRefusedError, explain

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 10.0
AT_ONCE = 16
MOST_WAITING = 2000  # messages that have come and are not read yet
ECHO_S = 10.0
REFUSED_S = 10.0  # until a message is sent again that the broker may take later
_ECHO = "echo"  # the last part of the topic by which is known that what was retained is read

log = structlog.get_logger(__name__)


class AwayError(Exception):
    """The broker is not there, does not answer, or will not have it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message about a gateway: its `node`, what `kind` of, and which of them; `body` empty: it holds no longer."""

    node: str
    kind: str
    name: str
    body: bytes
    lasts_s: float | None = None  # for how long it holds; None: until it is said otherwise
    is_old: bool = False  # it was retained before we asked


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said of a topic; `stays`: it is said anew with each connection."""

    body: bytes
    lasts_s: int | None
    stays: bool


class PeerLine:
    """See the module. `kinds` are read of every gateway: `status`, or with a name of each: `orphans/+`.

    `on_anew` is called before all that is retained is heard once more.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        kinds: Collection[str],
        on_heard: Callable[[Heard], None],
        on_anew: Callable[[], None] = lambda: None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._filters = [f"{broker.base_topic}/+/{kind}" for kind in kinds]
        self._on_heard = on_heard
        self._on_anew = on_anew
        self._said: dict[str, _Said] = {}  # by topic
        self._retained: set[str] = set()  # topics of which the broker may have something of ours
        self._unsent: dict[str, None] = {}  # topics, in the order in which they changed
        self._changed = asyncio.Event()
        self._sent = asyncio.Event()  # set while the broker has answered all that was said
        self._log_in = asyncio.Event()
        self._client: Client | None = None
        self._echoes: dict[bytes, asyncio.Future[bool]] = {}  # by what comes back; False: the connection was lost
        self._complaint = ""
        self._refused = False
        self.up = asyncio.Event()
        """Set while the broker is there and has said what it has retained."""
        self.down = asyncio.Event()
        """Set while it is not."""
        self.down.set()
        self.times_up = 0
        self.known = asyncio.Event()
        """Set while it is up, and where it never will be: see `retains_nothing`."""
        self.retains_nothing = False
        """Whether the broker is one by which no gateway can know of another."""

    def log_in(self, broker: Broker) -> None:
        """Connect anew where `broker` is not the one that we are connected to."""
        if broker != self._broker:
            self._broker = broker
            self._log_in.set()

    def topic(self, kind: str, name: str = "", node: str | None = None) -> str:
        """Where this is said of a gateway, by default ourselves."""
        return "/".join(part for part in (self._broker.base_topic, node or self._broker.instance, kind, name) if part)

    def say(self, topic: str, body: bytes, lasts_s: int | None = None, *, once: bool = False) -> None:
        """Have the broker retain this from now on, for `lasts_s` once it has it; empty: nothing any more.

        With `once` it is not said anew once the broker has it.
        """
        before = self._said.get(topic)
        if not body and before is not None and before.stays and topic not in self._retained:
            del self._said[topic]
            self._unsent.pop(topic, None)
            return
        self._said[topic] = _Said(body, lasts_s, stays=bool(body) and not once)
        self._send_soon(topic)

    def _send_soon(self, topic: str) -> None:
        self._unsent[topic] = None
        self._sent.clear()
        self._changed.set()

    async def tell(self, topic: str, body: bytes) -> None:
        """Have the broker retain this, and wait until it has it. Raises AwayError; it is not said again then.

        Before all that it retains is heard it counts as away: who tells goes by that.
        """
        if self._client is None or not self.up.is_set():
            raise AwayError("the broker is away")
        said = self._said.get(topic)
        if said is not None and not said.stays:  # it must not come after this
            del self._said[topic]
            self._unsent.pop(topic, None)
        try:
            await self._client.publish(topic, body, qos=1, retain=True)
        except PublishRefusedError as error:
            raise AwayError(f"{error}; may this user write to {topic}?") from error
        except (aiomqtt.MqttError, ValueError) as error:
            raise AwayError(str(error)) from error

    async def flush(self, within_s: float) -> None:
        """Wait until the broker has all that was said; no longer than so, and not where it is away."""
        with contextlib.suppress(TimeoutError):
            async with time_limit(self._clock, within_s):
                if self.up.is_set():
                    await self._sent.wait()

    @contextlib.asynccontextmanager
    async def listening(self, kind: str, node: str) -> AsyncIterator[None]:
        """Hear of one gateway what is of this kind; what is retained of it has been heard at once. Raises AwayError."""
        client, topic = self._client, self.topic(kind, "+", node)
        if client is None:
            raise AwayError("the broker is away")
        try:
            await self._subscribe(client, topic)
            await self.caught_up()
            yield
        except aiomqtt.MqttError as error:
            raise AwayError(str(error)) from error
        finally:
            with contextlib.suppress(aiomqtt.MqttError):
                await client.unlisten(topic)

    async def caught_up(self) -> None:
        """Wait until all that was on its way to us when we asked is read. Raises AwayError."""
        client, nonce = self._client, str(ULID()).encode()
        if client is None:
            raise AwayError("the broker is away")
        done = self._echoes[nonce] = asyncio.get_running_loop().create_future()
        try:
            async with time_limit(self._clock, ECHO_S):
                await client.publish(self.topic(_ECHO), nonce, qos=1)
                has_come = await done
        except (TimeoutError, PublishRefusedError) as error:
            why = str(error) or "the broker does not send back what it was told"
            raise AwayError(f"{why}; may this user read and write {self.topic(_ECHO)}?") from error
        except aiomqtt.MqttError as error:
            raise AwayError(str(error)) from error
        finally:
            del self._echoes[nonce]
        if not has_come:
            raise AwayError("the connection was lost")

    async def run(self) -> NoReturn:
        """Connect, and stay connected, until cancelled."""
        attempt = 0
        while True:
            begun, error = self._clock.now().steady, None
            self._log_in.clear()
            try:
                await self._connection()
            except* (aiomqtt.MqttError, AwayError, OSError, UnicodeError) as group:
                error = _first(group)
            except* Exception as group:
                log.exception("peers-connection-failed")
                error = _first(group)
            finally:
                self.up.clear()
                self.down.set()
                if not self.retains_nothing:
                    self.known.clear()
                self._client = None
                self._answer_echoes(self._echoes, has_come=False)
            _end_if_cancelled()
            attempt = 1 if self._clock.now().steady - begun > LAST_RETRY_S else attempt + 1
            if error is not None:
                await self._pause(error, attempt)

    async def _pause(self, error: BaseException, attempt: int) -> None:
        why, _ = explain(error, self._broker)
        if why != self._complaint:
            log.error("peers-unreachable", why=why)
            self._complaint = why
        longest = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(attempt - 1, 10))
        with contextlib.suppress(TimeoutError):
            async with time_limit(self._clock, longest * random.uniform(0.5, 1.0)):  # noqa: S311 -- jitter, not a key
                await self._log_in.wait()

    async def _connection(self) -> None:
        async with connected(self._broker, None, suffix="-peers", most_waiting=MOST_WAITING) as client:
            _end_if_cancelled()
            self.retains_nothing = not client.retains
            self.known.clear()
            if self.retains_nothing:
                self.known.set()
                raise AwayError("the broker retains nothing, so that gateways cannot tell one another of themselves")
            self._client = client
            self._on_anew()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in (client.watch(), self._read(client))]
                for each in (*self._filters, self.topic(_ECHO)):
                    await self._subscribe(client, each)
                await self.caught_up()
                self.times_up += 1
                self.down.clear()
                self.up.set()
                self.known.set()
                self._complaint = ""
                log.info("peers-connected", broker=f"{self._broker.host}:{self._broker.port}")
                tasks.append(group.create_task(self._send(client)))
                await self._log_in.wait()
                for task in tasks:
                    task.cancel()

    async def _subscribe(self, client: Client, topic: str) -> None:
        answer = await client.listen(topic, SubscribeOptions(qos=1))
        if answer.is_failure:
            raise AwayError(f"{answer}; may this user read {topic}?")

    async def _read(self, client: Client) -> None:
        async for message in client.messages:
            try:
                self._take(message)
            except Exception:  # what others say must not keep us from hearing more
                log.exception("peer-message-failed", topic=message.topic.value[:200])

    def _take(self, message: aiomqtt.Message) -> None:
        base = f"{self._broker.base_topic}/"
        node, _, rest = message.topic.value.removeprefix(base).partition("/")
        kind, _, name = rest.partition("/")
        body = bytes(message.payload)
        if kind == _ECHO:
            self._answer_echoes({body} & self._echoes.keys(), has_come=True)
            return
        lasts_s = getattr(message.properties, "MessageExpiryInterval", None)
        self._on_heard(Heard(node, kind, name, body, lasts_s, is_old=bool(message.retain)))

    def _answer_echoes(self, nonces: Iterable[bytes], *, has_come: bool) -> None:
        for nonce in nonces:
            if not self._echoes[nonce].done():
                self._echoes[nonce].set_result(has_come)

    async def _send(self, client: Client) -> None:
        self._unsent = dict.fromkeys(self._said)
        self._sent.clear()
        while True:
            self._changed.clear()
            while self._unsent:
                some = list(self._unsent)[:AT_ONCE]
                for topic in some:
                    del self._unsent[topic]
                # In this order: a task that begins first is the first to write.
                async with asyncio.TaskGroup() as group:
                    for topic in some:
                        group.create_task(self._send_one(client, topic))
            self._sent.set()
            await self._changed.wait()

    async def _send_one(self, client: Client, topic: str) -> None:
        said = self._said.get(topic)
        if said is None:  # to say nothing any more was asked for twice, and the broker has answered the first
            return
        properties = None
        if said.lasts_s is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = said.lasts_s
        had = topic in self._retained
        if said.stays:
            self._retained.add(topic)  # from now on, whatever becomes of the connection
        try:
            await client.publish(topic, said.body, qos=1, retain=True, properties=properties)
        except (PublishRefusedError, ValueError) as error:
            self._was_refused(topic, error, had=had)
            return
        if not said.body:
            self._retained.discard(topic)
        if not said.stays and self._said.get(topic) is said:
            del self._said[topic]

    def _was_refused(self, topic: str, error: Exception, *, had: bool) -> None:
        """It is said again with the next connection, or soon where the broker may take it then.

        But where nothing of ours is there, there is nothing to take away.
        """
        if not had:
            self._retained.discard(topic)
        if isinstance(error, PublishRefusedError) and error.is_temporary:
            self._clock.after(REFUSED_S, lambda: self._send_soon(topic))
            return
        if not self._refused:
            self._refused = True
            log.warning("message-refused", kind="peers", why=f"{error}; may this user write to {topic}?")
        now = self._said.get(topic)
        if not had and now is not None and not now.body:
            del self._said[topic]


def _end_if_cancelled() -> None:
    """End a task whose cancellation was passed over, as Python 3.11 does.

    A TaskGroup in which something fails at that moment raises the failure alone, and asyncio.wait_for, with which
    aiomqtt waits, returns what has come at that moment.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
