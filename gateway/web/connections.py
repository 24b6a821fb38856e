# SPDX-License-Identifier: GPL-2.0-or-later
"""The connections of the HTTP server: so many at a time, so many of one address, and none that only waits."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections import Counter
from typing import Protocol, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.web.handshakes import TlsServer

MOST, MOST_OF_ONE = 200, 50
BACKLOG = 100
FIRST_WORD_S = 5.0
"""How long the head of a connection's first request may take; aiohttp waits for it without end."""
LATE_S = 0.1
"""A loop that comes to this later than it was due was held up, and may not have read yet what has come meanwhile."""
IDLE_S = 15.0
"""How long a connection may take for its next request."""
LINGER_S = 2.0
STOP_S = 2.0
"""How long what was asked may take to be answered at the end."""
STUCK_S, LOOK_S = 20.0, 5.0
"""How long answers may wait for a client that does not read them, and how often that is looked at."""


class _Connection(web.RequestHandler):
    """aiohttp's, which is closed at once when there are too many, and soon when nothing is asked."""

    __slots__ = ("_looking", "_present", "_silence", "_source", "_wire", "_written_at")

    def __init__(
        self, server: web.Server, present: Counter[str], logger: logging.Logger, *, decompress: bool = True
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # none is kept
            logger=logger,
            keepalive_timeout=IDLE_S,
            lingering_time=LINGER_S,
            auto_decompress=decompress,
        )
        self._present = present
        self._source = ""
        self._silence: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._wire: asyncio.Transport | None = None
        self._written_at = 0.0  # when all that was answered had gone out

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: somebody has connected."""
        self._source = str((transport.get_extra_info("peername") or ("",))[0])
        self._present[self._source] += 1
        super().connection_made(transport)
        if self._present[self._source] > MOST_OF_ONE or self._present.total() > MOST:
            self.force_close()
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(FIRST_WORD_S, self._is_silent, loop.time() + FIRST_WORD_S)
        self._wire, self._written_at = cast("asyncio.Transport", transport), loop.time()
        self._look()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Asyncio: the connection is over."""
        self._present[self._source] -= 1
        if not self._present[self._source]:
            del self._present[self._source]
        self.has_asked()
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def _is_silent(self, due: float) -> None:
        """Close it, but for a silence that is the loop's own: what was asked in time may be the next that it reads."""
        loop = asyncio.get_running_loop()
        if loop.time() - due > LATE_S:
            self._silence = loop.call_later(LATE_S, self.force_close)
        else:
            self.force_close()

    def _look(self) -> None:
        """End a connection whose client reads nothing: closing it would wait for that client, and hold its place."""
        loop = asyncio.get_running_loop()
        if self._wire is None:
            return
        if not self._wire.get_write_buffer_size():
            self._written_at = loop.time()
        elif loop.time() - self._written_at >= STUCK_S:
            self._wire.abort()
            return
        self._looking = loop.call_later(LOOK_S, self._look)

    def has_asked(self) -> None:
        """The head of a request has come."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


@web.middleware
async def noting(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets a connection stay over which something is asked."""
    if isinstance(request.protocol, _Connection):
        request.protocol.has_asked()
    return await handler(request)


class _Listening(Protocol):
    def close(self) -> None:
        """Let nobody in any more."""


class Served:
    """An application that is served, within the limits, from `start` to `stop`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._runner: web.AppRunner | None = None
        self._listening: _Listening | None = None
        self._taken: socket.socket | None = None
        self._name = ""

    def take(self, host: str, port: int, *, tls: bool) -> None:
        """Have the port, where nobody is let in before `start`. Raises OSError when it or the address can't be had."""
        self._name = f"{'https' if tls else 'http'} {host}:{port}"
        taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            taken.setblocking(False)
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if taken.family == socket.AF_INET6:
                taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken.bind((host, port))
        except OSError as error:
            taken.close()
            raise self._not_had(error) from error
        self._taken = taken

    def _not_had(self, error: OSError) -> OSError:
        why = os.strerror(error.errno) if error.errno else str(error)
        return OSError(error.errno, f"cannot listen on {self._name}: {why}")

    @property
    def has_port(self) -> bool:
        """Whether `take` was called."""
        return self._taken is not None

    async def start(self, app: web.Application, *, tls: ssl.SSLContext | None = None, decompress: bool = True) -> None:
        """Serve it at the port that was taken. Raises OSError where another program listens there by now.

        Without `decompress` bodies are given as they came.
        """
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=STOP_S)
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        try:
            self._listening = await self._listen(server, tls, decompress=decompress)
        except OSError as error:
            await self.stop()
            raise self._not_had(error) from error

    async def stop(self) -> None:
        """Answer what was asked, and close. Safe to call twice."""
        if self._taken is not None:
            self._taken.close()
            self._taken = None
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _listen(self, server: web.Server, tls: ssl.SSLContext | None, *, decompress: bool) -> _Listening:
        if self._taken is None:
            raise RuntimeError("no port was taken")
        present: Counter[str] = Counter()

        def connection() -> _Connection:
            return _Connection(server, present, self._logger, decompress=decompress)

        def has_room(source: str, waiting: Counter[str]) -> bool:
            return present[source] + waiting[source] < MOST_OF_ONE and present.total() + waiting.total() < MOST

        if tls is None:
            listening: _Listening = await asyncio.get_running_loop().create_server(
                connection, sock=self._taken, backlog=BACKLOG
            )
            self._taken = None
            return listening
        over_tls = TlsServer(connection, tls, has_room, FIRST_WORD_S)
        self._taken.listen(BACKLOG)
        over_tls.serve(self._taken)
        self._taken = None
        return over_tls
