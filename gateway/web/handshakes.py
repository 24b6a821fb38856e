# SPDX-License-Identifier: GPL-2.0-or-later
"""A server over TLS whose connections count from their first packet on, and not only once their handshake is over."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine

import structlog

NO_DESCRIPTORS_S = 1.0
"""How long nobody is let in when there is no descriptor for one more."""
SHUTDOWN_S = 2.0
"""How long a peer may take to say goodbye; a connection counts as long as that takes."""

log = structlog.get_logger(__name__)


class TlsServer:
    """Accepts connections by itself: asyncio's server tells of one when its handshake is over.

    `has_room` is asked, with how many of an address are at their handshake, whether one more of it is let in.
    """

    def __init__(
        self,
        made: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext,
        has_room: Callable[[str, Counter[str]], bool],
        handshake_s: float,
    ) -> None:
        self._made = made
        self._tls = tls
        self._has_room = has_room
        self._handshake_s = handshake_s
        self._waiting: Counter[str] = Counter()  # handshakes that are under way, by address
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, listening: socket.socket) -> None:
        """Let in who comes to this socket, which is the server's from now on."""
        # Closed earlier, its number could be another socket's by the time that the loop gives it up.
        self._begin(self._accept(listening)).add_done_callback(lambda _: listening.close())

    def close(self) -> None:
        """Let nobody in any more; connections that are there stay."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(NO_DESCRIPTORS_S)
                continue
            source = str(address[0])
            if self._has_room(source, self._waiting):
                self._begin(self._shake_hands(connection, source))
            else:
                connection.close()

    async def _shake_hands(self, connection: socket.socket, source: str) -> None:
        self._waiting[source] += 1
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._made,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except OSError as error:  # as every error of TLS is
            log.debug("http-handshake-failed", remote=source, why=str(error))
        finally:
            self._waiting[source] -= 1
            if not self._waiting[source]:
                del self._waiting[source]
