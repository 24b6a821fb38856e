# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands between two real servers and passes TCP on, until a test drops the connections they have."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.support.wire import break_off

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tests.support.sip_message import Address


@dataclass(frozen=True)
class Route:
    """Who connects to `listen` is connected to `to`, which sees them come from `source`."""

    listen: Address
    to: Address
    source: str


class Relay:
    """`async with Relay(routes) as relay`; the bytes are not looked at, so TLS passes as it is."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = tuple(routes)
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        """How many connections were made through it."""

    async def __aenter__(self) -> Self:
        for route in self._routes:
            self._servers.append(await asyncio.start_server(self._taker(route), *route.listen))
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for writer in self._open:
            break_off(writer)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def drop(self, *, reset: bool = False) -> None:
        """Close every connection, or (`reset`) break it off as a crash does; new ones are taken as before."""
        assert self._open, "there is no connection to be dropped"
        for writer in self._open:
            if reset:
                break_off(writer)
            else:
                writer.close()
        self._open.clear()

    def _taker(self, route: Route) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.accepted += 1
            self._open.add(writer)
            with suppress(OSError):
                onward_reader, onward = await asyncio.open_connection(*route.to, local_addr=(route.source, 0))
                self._open.add(onward)
                await asyncio.gather(self._pass(reader, onward), self._pass(onward_reader, writer))
            writer.close()

        return take

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        self._open.discard(writer)
        writer.close()
