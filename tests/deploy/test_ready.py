# SPDX-License-Identifier: GPL-2.0-or-later
"""The check of a container's health, against a server that answers as it is told to."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.slow

READY = Path(__file__).parents[2] / "deploy" / "container" / "ready"


async def checked(url: str) -> tuple[int | None, str]:
    """How the check ends at this address, and what it prints."""
    child = await asyncio.create_subprocess_exec(
        READY, env={**os.environ, "HEALTH_URL": url}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(10):
        said, _ = await child.communicate()
    return child.returncode, said.decode().rstrip("\n")


@asynccontextmanager
async def answering(host: str, answer: str) -> AsyncIterator[tuple[int, list[str]]]:
    """A server's port, and what it was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    port = free_port(host)
    async with await asyncio.start_server(serve, host, port):
        yield port, asked


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (0, "200 OK")),
        ("HTTP/1.0 503 Service Unavailable\r\n\r\n{}", (1, "503 Service Unavailable")),
        ("HTTP/1.1 2000\r\n\r\n", (1, "2000")),
    ],
)
async def test_only_200_is_ready(answer: str, expected: tuple[int, str]) -> None:
    async with answering("127.0.0.1", answer) as (port, asked):
        assert await checked(f"http://127.0.0.1:{port}/readyz") == expected
        assert asked == [f"GET /readyz HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n"]


async def test_it_asks_at_an_address_of_ipv6_too() -> None:
    async with answering("::1", "HTTP/1.1 200 OK\r\n\r\n") as (port, asked):
        assert await checked(f"http://[::1]:{port}/readyz") == (0, "200 OK")
        assert f"Host: [::1]:{port}\r\n" in asked[0]


async def test_nobody_there_and_no_answer_are_not_ready() -> None:
    code, said = await checked(f"http://127.0.0.1:{free_port()}/readyz")
    assert code == 1
    assert "Connection refused" in said
    async with answering("127.0.0.1", "") as (port, _):
        assert (await checked(f"http://127.0.0.1:{port}/readyz"))[0] == 1


@pytest.mark.parametrize("url", ["", "127.0.0.1:9470", "https://127.0.0.1:9470/readyz", "http://a b:1/", "http://x/"])
async def test_an_address_that_is_none_is_named(url: str) -> None:
    code, said = await checked(url)
    assert (code, said) == (1, f"HEALTH_URL is no address as http://127.0.0.1:9470/readyz: {url}")
