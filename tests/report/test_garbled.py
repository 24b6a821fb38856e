# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection to the broker that says what none would, or ends in the middle of something."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import aiomqtt
import pytest

from gateway.report.sinks.mqtt.broker import Broker
from gateway.report.sinks.mqtt.connection import Client, connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNACK = b"\x20\x03\x00\x00\x00"
NO_PACKET = b"\x00\x00"
"""The type 0 is reserved (MQTT 5 §2.1.2)."""
NO_TOPIC = b"\x30\x05\x00\x01\xff\x00\x00"
"""A PUBLISH whose topic is no UTF-8 (MQTT 5 §1.5.4)."""


STRAY_ANSWERS = b"\x90\x04\x12\x34\x00\x00" + b"\xb0\x04\x12\x34\x00\x00" + b"\x40\x02\x12\x34"
"""A SUBACK, an UNSUBACK and a PUBACK to what was never sent."""


class Far:
    """The broker's end of a connection."""

    def __init__(self) -> None:
        self.writer: asyncio.StreamWriter | None = None
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        await reader.read(1000)
        writer.write(CONNACK)
        while await reader.read(1000):
            pass
        self.ended.set()
        writer.close()

    def send(self, data: bytes) -> None:
        assert self.writer
        self.writer.write(data)


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[Client, Far]]:
    """A connection of ours with its far end; what it is lost with is not raised."""
    far = Far()
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    broker = Broker("test", "127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        async with connected(broker, aiomqtt.Will("status", b"offline")) as client:
            yield client, far
    except aiomqtt.MqttError:
        pass
    finally:
        server.close()


@pytest.mark.keeps("16.115")
async def test_a_socket_that_takes_the_number_of_a_lost_one_is_left_alone() -> None:
    faults: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    others = socket.socketpair()
    async with connection() as (client, far):
        own = client._client.socket()
        assert isinstance(own, socket.socket)
        number = own.fileno()
        # In one turn of the loop: something is to be written, the connection is lost, its number is given anew.
        far.send(NO_PACKET)
        client._client.publish("events", b"x", 1)
        client._client.loop_read()
        assert own.fileno() == -1
        os.dup2(others[0].fileno(), number)
        try:
            with pytest.raises(aiomqtt.MqttError):
                await client.watch()
            for _ in range(3):
                await asyncio.sleep(0)
            assert (loop.remove_writer(number), loop.remove_reader(number)) == (False, False)
        finally:
            os.close(number)
    for each in others:
        each.close()
    assert not faults


class GaveUp:
    """The loop, which no longer watches any socket: uvloop after an error of the system's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_writer(self, *_: object) -> None:
        raise RuntimeError("unable to perform operation; the handler is closed")


@pytest.mark.keeps("16.115")
async def test_a_socket_that_the_loop_watches_no_more_is_a_lost_connection() -> None:
    faults: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    async with connection() as (client, far):
        client._loop = cast("asyncio.AbstractEventLoop", GaveUp(loop))
        client._client.publish("events", b"x", 1)
        with pytest.raises(aiomqtt.MqttError):
            await client.watch()
        await client.watch()
    async with asyncio.timeout(5):
        await far.ended.wait()
    assert not faults


@pytest.mark.keeps("16.115")
async def test_a_connection_that_ends_over_what_cannot_be_read_is_closed() -> None:
    async with connection() as (client, far):
        far.send(NO_TOPIC)
        with pytest.raises(aiomqtt.MqttError, match="utf-8"):
            await client.watch()
        await client.watch()
    async with asyncio.timeout(5):
        await far.ended.wait()


@pytest.mark.keeps("16.115")
async def test_answers_to_nothing_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    async with connection() as (client, far):
        far.send(STRAY_ANSWERS + b"\x30\x04\x00\x01x\x00")
        assert str((await anext(client.messages)).topic) == "x"
        far.send(NO_PACKET)
        with pytest.raises(aiomqtt.MqttError):
            await client.watch()
    assert not [one for one in caplog.records if one.exc_info or one.levelno > logging.ERROR]


@pytest.mark.keeps("16.115")
async def test_a_broker_that_never_answers_is_left_without_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = Broker(instance="pbx-1", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    told: list[Client] = []

    async def connect() -> None:
        async with connected(address, None) as client:
            told.append(client)

    async with server:
        connecting = asyncio.create_task(connect())
        await asked.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        ends = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.wait(ends, timeout=5)
    assert not told
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
