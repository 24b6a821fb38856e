# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection to an MQTT 5 broker: aiomqtt's client, made to tell what the broker's answers say.

aiomqtt takes every PUBACK for a success and keeps the broker's limits to itself. An event may be forgotten only when
the broker really took it (MQTT 5 §3.4.2.1). No more may be in flight than the broker allows (§3.2.2.3.3), no message
larger (§3.2.2.3.6), and none retained where it retains none (§3.2.2.3.5).
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, MQTTMessageInfo
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.config.authorities import trusting
from gateway.core.system_error import in_words
from gateway.report.sinks.mqtt.broker import Broker
from gateway.report.sinks.mqtt.refusals import PACKET_TOO_LARGE, NoAnswerError, PublishRefusedError

IN_FLIGHT = 16  # paho holds back more than 20, and replies and the status need room too
ANSWER_S = 10.0  # a broker that takes longer is given up
MAX_INCOMING = 64 * 1024  # bytes; the broker keeps larger packets to itself (MQTT 5 §3.1.2.11.4)
DISCONNECT_WITH_WILL = 0x04


class TlsSocket(ssl.SSLSocket):
    """A socket that is closed when its handshake fails: paho drops it, open until something collects it."""

    def do_handshake(self, block: bool = False) -> None:
        """See ssl.SSLSocket."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class Client(aiomqtt.Client):
    """A connection; use a new one each time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answers: dict[int, asyncio.Future[ReasonCode]] = {}  # by packet identifier
        self._posted: dict[int, tuple[float, Callable[[ReasonCode], None]]] = {}  # … since when, the oldest first
        self._overdue: asyncio.TimerHandle | None = None
        self._is_writing = False  # the loop watches for room to write
        self.in_flight_limit = IN_FLIGHT
        self.room = asyncio.Semaphore(IN_FLIGHT)  # for messages that the broker has to answer
        self.largest: int | None = None  # bytes of a packet; None: no limit
        self.retains = True
        self._thread = threading.get_ident()

    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        receive_maximum = getattr(properties, "ReceiveMaximum", 65535)
        self.in_flight_limit = max(1, min(IN_FLIGHT, receive_maximum - 2))
        # The status and replies want an answer too, and count with the events.
        self.room = asyncio.Semaphore(max(1, min(IN_FLIGHT + 2, receive_maximum)))
        self.largest = getattr(properties, "MaximumPacketSize", None)
        self.retains = bool(getattr(properties, "RetainAvailable", 1))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, _client: PahoClient, _userdata: Any, mid: int, reason_code: ReasonCode, _properties: Properties
    ) -> None:
        if (posted := self._posted.pop(mid, None)) is not None:
            self.room.release()
            posted[1](reason_code)
            return
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)

    def _on_disconnect(self, client: PahoClient, userdata: Any, *facts: Any) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        if not self._connected.cancelled():  # else nobody waits for the connection any more
            super()._on_disconnect(client, userdata, *facts)

    # An answer to nothing of ours: aiomqtt would log a traceback over it.

    def _on_subscribe(self, client: PahoClient, userdata: Any, mid: int, *answer: Any) -> None:
        if mid in self._pending_subscribes:
            super()._on_subscribe(client, userdata, mid, *answer)

    def _on_unsubscribe(self, client: PahoClient, userdata: Any, mid: int, *answer: Any) -> None:
        if mid in self._pending_unsubscribes:
            super()._on_unsubscribe(client, userdata, mid, *answer)

    def _on_socket_open(self, client: PahoClient, userdata: Any, sock: socket.socket) -> None:
        self._loop.call_soon_threadsafe(self._begin, client, sock)

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: socket.socket) -> None:
        if threading.get_ident() == self._thread:
            # What is published in the same turn of the loop goes with it.
            self._loop.call_soon(self._write, client, sock)
        else:  # paho connects in another
            self._loop.call_soon_threadsafe(self._write, client, sock)

    def _on_socket_unregister_write(self, client: PahoClient, userdata: Any, sock: socket.socket) -> None:
        if self._is_writing:
            self._is_writing = False
            super()._on_socket_unregister_write(client, userdata, sock)

    # aiomqtt has the loop watch the number that a socket had some time ago. When the connection has been lost by then,
    # the number may be somebody else's, such as a SIP connection's, whose readiness would keep the loop busy for good.

    def _begin(self, client: PahoClient, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._attempt(lambda: self._loop.add_reader(sock.fileno(), self._attempt, lambda: _read(client)))
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _write(self, client: PahoClient, sock: socket.socket) -> None:
        """Write what waits; where the socket takes no more, watch for when it does."""
        if sock.fileno() < 0:
            return
        if not self._is_writing:
            self._attempt(lambda: self._write_watched(client, sock))
        if client.want_write() and sock.fileno() >= 0:
            self._is_writing = True
            self._attempt(lambda: self._loop.add_writer(sock.fileno(), self._attempt, client.loop_write))

    def _write_watched(self, client: PahoClient, sock: socket.socket) -> None:
        # A socket that uvloop has given up for an error of the system's raises here, or no answer would ever be read.
        self._loop.add_writer(sock.fileno(), self._attempt, client.loop_write)
        self._loop.remove_writer(sock.fileno())
        client.loop_write()

    def _attempt(self, work: Callable[[], object]) -> None:
        """Read or write, or have the loop watch for it; what is raised over that ends the connection.

        uvloop watches a socket no longer once the system has told it of an error there, and raises when it is asked to.
        """
        try:
            work()
        except Exception as error:  # noqa: BLE001 -- whatever the broker has sent
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:
            # aiomqtt leaves a connection open that the broker has not answered; it would come to life later, under
            # our name.
            self._client.disconnect()
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc is not None:
            # Also where paho could not read what came and left the connection open. A plain DISCONNECT would have the
            # broker throw our will away (MQTT 5 §3.14.4).
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=DISCONNECT_WITH_WILL))
            self._attempt(self._client.loop_write)  # the loop may watch the socket no more
        await super().__aexit__(exc_type, exc, tb)
        if self._disconnected.done() and not self._disconnected.cancelled():
            # Else asyncio logs it, traceback and all, where nobody was waiting for it.
            self._disconnected.exception()

    def post(
        self, topic: str, payload: bytes | str, properties: Properties, on_answer: Callable[[ReasonCode], None]
    ) -> None:
        """Publish at QoS 1, and have `on_answer` told what the broker says; a broker that says nothing is given up.

        `room` is to be acquired before; it is given back. Raises PublishRefusedError, ValueError or aiomqtt.MqttError
        where nothing is sent.
        """
        try:
            self._check_size(topic, payload, properties)
            mid = self._handed_over(topic, payload, 1, properties=properties).mid
        except BaseException:
            self.room.release()
            raise
        self._posted[mid] = self._loop.time(), on_answer
        if self._overdue is None:
            self._overdue = self._loop.call_later(ANSWER_S, self._check_overdue)

    def _handed_over(
        self, topic: str, payload: bytes | str, qos: int, *, properties: Properties | None, retain: bool = False
    ) -> MQTTMessageInfo:
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        return info

    def _check_overdue(self) -> None:
        self._overdue = None
        if not self._posted:
            return
        since, _ = next(iter(self._posted.values()))
        left = since + ANSWER_S - self._loop.time()
        if left > 0:
            self._overdue = self._loop.call_later(left, self._check_overdue)
        elif not self._disconnected.done():
            self._disconnected.set_exception(NoAnswerError(f"no answer to a publish within {ANSWER_S:g} s"))

    def _check_size(self, topic: str, payload: bytes | str, properties: Properties | None) -> None:
        if self.largest is not None and (size := _packet_size(topic, payload, properties)) > self.largest:
            raise PublishRefusedError(f"{size} bytes, the broker takes {self.largest}", PACKET_TOO_LARGE)

    async def publish(  # type: ignore[override]
        self, topic: str, payload: bytes | str, *, qos: int, retain: bool = False, properties: Properties | None = None
    ) -> None:
        """Publish, and wait until the broker has taken it (QoS 1), or until it is written (QoS 0).

        Raises PublishRefusedError when this message is not taken, aiomqtt.MqttError when the connection is lost.
        """
        self._check_size(topic, payload, properties)
        async with self.room if qos else contextlib.nullcontext():
            await self._publish(topic, payload, qos, retain, properties)

    async def _publish(
        self, topic: str, payload: bytes | str, qos: int, retain: bool, properties: Properties | None
    ) -> None:
        info = self._handed_over(topic, payload, qos, retain=retain and self.retains, properties=properties)
        if info.is_published():
            return
        answer = self._answers[info.mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_S):
                await asyncio.wait({answer, self._disconnected}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise NoAnswerError(f"no answer to a publish within {ANSWER_S:g} s") from None
        finally:
            del self._answers[info.mid]
        if not answer.done():
            raise self._lost()
        if answer.result().is_failure:
            raise PublishRefusedError(str(answer.result()), answer.result().value)

    async def listen(self, topic: str, options: SubscribeOptions) -> ReasonCode:
        """Subscribe to a topic; what the broker grants or refuses. Raises aiomqtt.MqttError."""
        answer = (await self._asked(super().subscribe(topic, options=options)))[0]
        if not isinstance(answer, ReasonCode):
            raise aiomqtt.MqttError("an answer to a subscription that is none of MQTT 5")
        return answer

    async def unlisten(self, topic: str) -> None:
        """Subscribe to a topic no longer. Raises aiomqtt.MqttError."""
        await self._asked(super().unsubscribe(topic))

    async def _asked(self, question: Coroutine[Any, Any, Any]) -> Any:
        """What the broker answers; aiomqtt would wait for the answer of one that has hung up on the question."""
        asked: asyncio.Future[Any] = asyncio.ensure_future(question)
        try:
            await asyncio.wait([asked, self._disconnected], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise self._lost()
            return asked.result()
        finally:
            asked.cancel()

    async def watch(self) -> None:
        """Wait until the connection is lost; raises aiomqtt.MqttError then, with what the broker said last."""
        await asyncio.wait({self._disconnected})
        raise self._lost()

    def _lost(self) -> aiomqtt.MqttError:
        error = self._disconnected.exception()
        return error if isinstance(error, aiomqtt.MqttError) else aiomqtt.MqttError(str(error or "disconnected"))


def _read(client: PahoClient) -> None:
    client.loop_read()
    # What TLS has decrypted already makes the socket no more readable.
    while (sock := client.socket()) is not None and getattr(sock, "pending", int)() > 0:
        client.loop_read()


def _packet_size(topic: str, payload: bytes | str, properties: Properties | None) -> int:
    """Bytes of a PUBLISH (MQTT 5 §3.3)."""
    body = payload.encode() if isinstance(payload, str) else payload
    extra = len(properties.pack()) if properties is not None else 1  # type: ignore[no-untyped-call]
    rest = 2 + len(topic.encode()) + 2 + extra + len(body)
    length_digits = max(1, -(-rest.bit_length() // 7))
    return 1 + length_digits + rest


@contextlib.asynccontextmanager
async def connected(
    broker: Broker, will: aiomqtt.Will | None, *, suffix: str = "", most_waiting: int = 100
) -> AsyncIterator[Client]:
    """A fresh connection, by our name and `suffix`. Raises aiomqtt.MqttError.

    `most_waiting`: messages that have come and are not read yet; beyond them some are lost.
    """
    tls = await _tls_context(broker.ca_file) if broker.tls else None
    options = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    options.MaximumPacketSize = MAX_INCOMING
    client = Client(
        broker.host,
        broker.port,
        username=broker.username or None,
        password=broker.password,
        # The same name each time: the broker then ends a connection it still holds for dead, and sends its will
        # before it takes ours (MQTT 5 §3.1.4), so that a late 'offline' never follows our 'online'.
        identifier=broker.base.replace("/", "-") + suffix,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        will=will,
        timeout=ANSWER_S,
        keepalive=broker.keepalive_s,
        max_queued_incoming_messages=most_waiting,
        properties=options,
        tls_context=tls,
    )
    client.pending_calls_threshold = 2 * IN_FLIGHT
    async with client:
        yield client


async def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        # It reads files.
        context = await asyncio.to_thread(trusting, ca_file)
    except OSError as error:
        raise aiomqtt.MqttError(f"ca_file {ca_file} cannot be used: {in_words(error)}") from error
    context.sslsocket_class = TlsSocket
    return context
