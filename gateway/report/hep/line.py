# SPDX-License-Identifier: GPL-2.0-or-later
"""The way to a capture server, by UDP or TCP: what it does not take at once is dropped, and nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from typing import Protocol

MOST_WAITING = 1_000_000
"""Bytes that may wait for a TCP connection to take them."""
SILENT_S = 30
"""After so long a host that confirms nothing of what it was sent is gone."""


@dataclass(frozen=True, slots=True)
class CaptureServer:
    """Where packets go."""

    host: str
    port: int
    transport: str  # "udp" | "tcp"


class Line(Protocol):
    """A way that is open."""

    @property
    def gone(self) -> asyncio.Future[str]:
        """Done with why, once the server is not there any more."""

    def put(self, packet: bytes) -> bool:
        """Send it, or drop it: False."""

    def is_proven(self) -> bool:
        """Whether it is known that somebody is there; may find that nobody is."""

    def close(self) -> None:
        """Send nothing more."""


async def opened(server: CaptureServer) -> Line:
    """The way to a server. Raises OSError."""
    loop = asyncio.get_running_loop()
    kind = socket.SOCK_DGRAM if server.transport == "udp" else socket.SOCK_STREAM
    found = await loop.getaddrinfo(server.host, server.port, type=kind)
    if not found:
        raise OSError(f"{server.host} has no address")
    family, _, _, _, address = found[0]
    if server.transport == "udp":
        return Datagrams(family, address)
    _, line = await loop.create_connection(Stream, str(address[0]), server.port, family=family)
    return line


class Datagrams:
    """Implements Line by UDP. That nobody listens is heard of once something was sent, where the host says so."""

    def __init__(self, family: int, address: tuple[object, ...]) -> None:
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._sent = False
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(address)
        except BaseException:
            self._socket.close()
            raise

    def put(self, packet: bytes) -> bool:
        """See Line."""
        try:
            self._socket.send(packet)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.ENOBUFS, errno.EMSGSIZE}:
                self._fail(error)
            return False
        self._sent = True
        return True

    def is_proven(self) -> bool:
        """See Line: as far as UDP can prove it, by what was sent and not complained of."""
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._fail(OSError(code, os.strerror(code)))
        return self._sent and not self.gone.done()

    def _fail(self, error: OSError) -> None:
        if not self.gone.done():
            self.gone.set_result(_why(error))

    def close(self) -> None:
        """See Line."""
        self._socket.close()


class Stream(asyncio.Protocol):
    """Implements Line by TCP; packets follow one another, each with its length."""

    def __init__(self) -> None:
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]  # create_connection makes no other
        connection = transport.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_S * 1000)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if not self.gone.done():
            self.gone.set_result(_why(exc) if exc is not None else "it has closed the connection")

    def put(self, packet: bytes) -> bool:
        """See Line."""
        if self._transport.is_closing() or self._transport.get_write_buffer_size() + len(packet) > MOST_WAITING:
            return False
        self._transport.write(packet)
        return True

    def is_proven(self) -> bool:
        """See Line."""
        return not self.gone.done()

    def close(self) -> None:
        """See Line."""
        self._transport.abort()


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
