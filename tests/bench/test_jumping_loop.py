# SPDX-License-Identifier: GPL-2.0-or-later
"""The loop in whose time no test waits."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.bench.jumping_loop import JumpingLoop, clock_of_loop

event_loop = JumpingLoop


async def test_a_day_takes_no_time() -> None:
    loop, clock = asyncio.get_running_loop(), clock_of_loop()
    began, began_there, at = time.monotonic(), loop.time(), clock.now()
    await asyncio.sleep(86_400)
    assert loop.time() - began_there == pytest.approx(86_400, abs=5)
    assert clock.now().steady - at.steady == pytest.approx(86_400, abs=5)
    assert (clock.now().wall - at.wall).total_seconds() == pytest.approx(86_400, abs=5)
    assert time.monotonic() - began < 5


async def test_bytes_that_have_come_are_read_before_time_passes() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(200):
            writer.write(b"a line\n")
            assert await asyncio.wait_for(reader.readline(), 0.5) == b"a line\n"
        writer.close()
        await writer.wait_closed()
