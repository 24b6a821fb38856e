# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections to the HTTP server: how many, and how long they may be silent (107)."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import patch

import pytest

from gateway.web import connections
from gateway.web.server import WebServer
from tests.bench.jumping_loop import JumpingLoop, clock_of_loop
from tests.support.processes import free_port
from tests.web.serving import Gateway

event_loop = JumpingLoop

ASKED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    """A server: its port."""
    server, port = (
        WebServer(Gateway(), metrics=lambda _accept: (b"", "text/plain"), token=None, clock=clock_of_loop()),
        free_port(),
    )
    await server.start("127.0.0.1", port)
    try:
        yield port
    finally:
        await server.stop()


async def answered(stream: Streams) -> bool:
    """Whether a question over this connection is answered."""
    reader, writer = stream
    writer.write(ASKED)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
    return b" 200 " in head


@pytest.mark.keeps("16.27")
@pytest.mark.parametrize("said", [b"", b"GET /healthz HT", ASKED[:-2]], ids=["nothing", "a-word", "half-a-head"])
async def test_who_asks_nothing_is_shown_out(said: bytes) -> None:
    with patch.object(connections, "FIRST_WORD_S", 0.3):
        async with listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = asyncio.get_running_loop().time()
            writer.write(said)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            assert asyncio.get_running_loop().time() - began > 0.2
            writer.close()


@pytest.mark.keeps("16.27")
async def test_a_silence_of_the_server_s_own_is_nobody_s_fault() -> None:
    """It was held up for longer than a head may take: what was asked meanwhile is answered."""
    with patch.object(connections, "FIRST_WORD_S", 0.3):
        async with listening() as port:
            stream = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.1)  # until the server has let it in
            stream[1].write(ASKED)
            time.sleep(0.6)  # noqa: ASYNC251 -- this is what holds it up
            assert await answered(stream)
            stream[1].close()


@pytest.mark.keeps("16.27")
async def test_who_has_asked_may_ask_again_and_not_wait_for_ever() -> None:
    with patch.object(connections, "FIRST_WORD_S", 0.2), patch.object(connections, "IDLE_S", 1.0):
        async with listening() as port:
            stream = await asyncio.open_connection("127.0.0.1", port)
            assert await answered(stream)
            await asyncio.sleep(0.5)
            assert await answered(stream)
            assert await asyncio.wait_for(stream[0].read(), 5) == b""
            stream[1].close()


@pytest.mark.keeps("16.27")
async def test_one_address_has_so_many_connections_and_no_more() -> None:
    async with listening() as port:
        made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections.MOST_OF_ONE)]
        further = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(further[0].read(), 5) == b""
        other = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        assert await answered(other)
        assert await answered(made[0])
        made.pop()[1].close()
        await asyncio.sleep(0.05)
        again = await asyncio.open_connection("127.0.0.1", port)
        assert await answered(again)
        for _, writer in (*made, further, other, again):
            writer.close()


@pytest.mark.keeps("16.169")
async def test_who_reads_no_answer_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_ONE", 1)
    monkeypatch.setattr(Gateway, "status", lambda _: {"long": "x" * 8_000_000})
    async with listening() as port:
        with socket.create_connection(("127.0.0.1", port)) as stuck:
            stuck.sendall(ASKED.replace(b"/healthz", b"/api/status"))
            began = asyncio.get_running_loop().time()
            while True:
                stream = await asyncio.open_connection("127.0.0.1", port)
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    assert await answered(stream)
                    break
                stream[1].close()
                assert asyncio.get_running_loop().time() - began < 60
                await asyncio.sleep(1)
            assert asyncio.get_running_loop().time() - began > 10
            stream[1].close()
