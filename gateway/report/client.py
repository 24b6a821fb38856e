# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection to an MQTT 5 broker: aiomqtt's client, made to tell what the broker's answers say.

aiomqtt takes every PUBACK for a success and keeps the broker's limits to itself. An event may be forgotten only when
the broker really took it (MQTT 5 §3.4.2.1), and no more may be in flight than it allows (§3.2.2.3.3).
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

IN_FLIGHT = 16  # paho holds back more than 20, and replies and the status need room too
ANSWER_S = 10.0  # a broker that takes longer is given up
MAX_INCOMING = 64 * 1024  # bytes; the broker keeps larger packets to itself (MQTT 5 §3.1.2.11.4)
DISCONNECT_WITH_WILL = 0x04


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and who we are to it."""

    instance: str  # slug
    host: str
    port: int = 1883
    base_topic: str = "transfer-gateway"
    tls: bool = False
    ca_file: Path | None = None  # None: the system's authorities
    username: str | None = None
    password: str | None = None
    keepalive_s: int = 15

    @property
    def base(self) -> str:
        """What every topic begins with, without a slash at its end."""
        return f"{self.base_topic}/{self.instance}"


class Client(aiomqtt.Client):
    """A connection; use a new one each time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.in_flight_limit = IN_FLIGHT

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
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: PahoClient, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        if reason_code.is_failure:
            # The publish stays unconfirmed; whoever watches `refused` ends the connection.
            if not self.refused.done():
                self.refused.set_result(str(reason_code))
            return
        super()._on_publish(client, userdata, mid, reason_code, properties)

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
        if exc is not None and not self._disconnected.done():
            # A plain DISCONNECT would have the broker throw our will away (MQTT 5 §3.14.4).
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=DISCONNECT_WITH_WILL))
        await super().__aexit__(exc_type, exc, tb)

    async def publish(self, *args: Any, **options: Any) -> None:
        """As aiomqtt's, but a cancellation always ends it."""
        await super().publish(*args, **options)
        # Until Python 3.12, asyncio.wait_for, which aiomqtt waits with, swallows a cancellation that comes at the
        # same moment as what it waited for. Who is cancelled once only would then go on for ever.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    async def watch(self) -> None:
        """Wait until the broker refuses a publish; raises PublishRefusedError then."""
        raise PublishRefusedError(await self.refused)


class PublishRefusedError(aiomqtt.MqttError):
    """The broker answered a publish with a failure code."""


@contextlib.asynccontextmanager
async def connected(broker: Broker, will: aiomqtt.Will) -> AsyncIterator[Client]:
    """A fresh connection. Raises aiomqtt.MqttError."""
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
        identifier=broker.base.replace("/", "-"),
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        will=will,
        timeout=ANSWER_S,
        keepalive=broker.keepalive_s,
        max_queued_incoming_messages=100,
        properties=options,
        tls_context=tls,
    )
    client.pending_calls_threshold = 2 * IN_FLIGHT
    async with client:
        yield client


async def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        # It reads files.
        return await asyncio.to_thread(ssl.create_default_context, cafile=ca_file)
    except OSError as error:
        raise aiomqtt.MqttError(f"ca_file {ca_file} cannot be used: {error}") from error


def explain(error: BaseException, broker: Broker) -> tuple[str, bool]:
    """What went wrong, in words for the log, and whether only a person can mend it (so that retrying is for later)."""
    where = f"{broker.host}:{broker.port}"
    if isinstance(error, PublishRefusedError):
        return f"the broker at {where} refuses our events: {error}; may this user write to {broker.base}/#?", True
    # aiomqtt turns every OSError into text; what it was is still there, as the context.
    if isinstance(error.__context__, ssl.SSLCertVerificationError):
        return f"the certificate of the broker at {where} is not trusted: {error.__context__.verify_message}", True
    if isinstance(error, aiomqtt.MqttCodeError) and isinstance(error.rc, ReasonCode):
        match error.rc.value:
            case 134 | 135:
                return f"the broker at {where} refuses the user name or password ({error.rc})", True
            case 142:
                other = f"does a second gateway run as instance {broker.instance}?"
                return f"the broker at {where} gave our session to another client: {other}", False
    if str(error) == "Disconnected during message iteration":
        return f"the broker at {where} closed the connection", False
    return f"no connection to the broker at {where}: {error}", False
