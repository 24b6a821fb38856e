# SPDX-License-Identifier: GPL-2.0-or-later
"""How a scripted peer's messages travel: as datagrams, or over connections that can be dropped and made anew."""

from __future__ import annotations

import asyncio
import ctypes
import re
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tests.support.certificates import Identity
    from tests.support.sip_message import Address

    Deliver = Callable[[bytes, Address], None]

FAREWELL_S = 0.05
SO_ATTACH_FILTER, BPF_RET = 26, 0x06
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)


class Wire(Protocol):
    """A peer's transport."""

    name: str
    """As it stands in Via."""

    async def open(self, host: str, port: int, deliver: Deliver) -> None:
        """Listen, and hand on what arrives, a message at a time."""

    def send(self, data: bytes, remote: Address) -> None:
        """Put it on its way."""

    async def close(self) -> None:
        """End."""


class Datagrams(asyncio.DatagramProtocol):
    """UDP."""

    name = "UDP"

    async def open(self, host: str, port: int, deliver: Deliver) -> None:
        """See Wire."""
        self._deliver = deliver
        self._closed = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))

    def connection_lost(self, exc: Exception | None) -> None:
        """The port is free again."""
        self._closed.set()

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """A datagram is a message."""
        self._deliver(data, (str(addr[0]), int(addr[1])))

    def send(self, data: bytes, remote: Address) -> None:
        """See Wire."""
        self._transport.sendto(data, remote)

    async def close(self) -> None:
        """See Wire. Whoever comes next may take the port."""
        self._transport.close()
        await self._closed.wait()


class Streams:
    """TCP, or TLS with an identity. A message goes over the connection with its remote address, else over a new one."""

    def __init__(self, identity: Identity | None = None, *, clients: bool = False, shown: bool = True) -> None:
        self.name = "TLS" if identity else "TCP"
        self._server_context = identity.server(clients=clients) if identity else None
        self._client_context = identity.client(shown=shown) if identity else None
        self._connections: dict[Address, asyncio.StreamWriter] = {}
        """The newest to each remote end: messages that follow one another at once may make one each."""
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        """How many connections were made to us."""
        self.failures: list[Exception] = []
        """Why connections of ours were not made."""
        self.versions: list[str | None] = []
        """The version of TLS of each connection."""

    async def open(self, host: str, port: int, deliver: Deliver) -> None:
        """See Wire."""
        self._host, self._port, self._deliver = host, port, deliver
        self._server = await asyncio.start_server(self._accept, host, port, ssl=self._server_context)

    def send(self, data: bytes, remote: Address) -> None:
        """See Wire."""
        writer = self._connections.get(remote)
        if writer is not None and not writer.is_closing():
            writer.write(data)
        else:
            self._background(self._connect(data, remote))

    async def dropped(self, *, reset: bool = False) -> None:
        """drop(), and wait until the other sides have noticed: what is sent before that is lost with its connection."""
        ends: list[Address] = [writer.get_extra_info("peername")[:2] for writer in self._open]
        self.drop(reset=reset)
        await eventually(lambda: _noticed(self._host, ends), "the other end of a dropped connection closes it")

    def drop(self, *, reset: bool = False) -> None:
        """Close every connection, as a restart of the peer does (`reset`: as its crash does); it listens on."""
        for writer in list(self._open):
            if reset:
                break_off(writer)
                continue
            writer.close()
            if self._client_context:  # TLS would wait for the other side's farewell
                asyncio.get_running_loop().call_later(FAREWELL_S, writer.transport.abort)
        self._connections.clear()
        self._open.clear()

    def vanish(self) -> None:
        """Have every connection lose all that comes in from now on, unseen by the other side, as a dead line does."""
        # A filter on a socket is asked before TCP itself: nothing is acknowledged (socket(7), SO_ATTACH_FILTER).
        refuse_all = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RET, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(refuse_all))
        for writer in self._open:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    async def close(self) -> None:
        """See Wire."""
        self._server.close()
        if self._server_context and ":" not in self._host:
            await eventually(self._knows_all, "those who have connected end their handshakes")
        self.drop(reset=True)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _knows_all(self) -> bool:
        """Whether nobody is in the middle of a handshake, whom asyncio would leave behind."""
        known = {_in_proc(*writer.get_extra_info("peername")[:2]) for writer in self._open}
        own = _in_proc(self._host, self._port)
        return not any(local == own and state == "01" and remote not in known for local, remote, state in _sockets())

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, data: bytes, remote: Address) -> None:
        try:
            reader, writer = await asyncio.open_connection(
                *remote, ssl=self._client_context, local_addr=(self._host, 0),
                server_hostname=remote[0] if self._client_context else None,
            )  # fmt: skip
        except OSError as error:
            self.failures.append(error)
            return
        self._connections[remote] = writer
        writer.write(data)
        await self._read(reader, writer, remote)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        host, port = writer.get_extra_info("peername")[:2]
        self._connections[host, port] = writer
        await self._read(reader, writer, (host, port))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, remote: Address) -> None:
        self._open.add(writer)
        session = writer.get_extra_info("ssl_object")
        self.versions.append(session.version() if session else None)
        try:
            with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    if not head.strip():  # a keep-alive (RFC 5626 §3.5.1)
                        continue
                    head = head.lstrip()
                    found = _LENGTH.search(head)
                    body = await reader.readexactly(int(found.group(1)) if found else 0)
                    self._deliver(head + body, remote)
        finally:
            self._open.discard(writer)
            if self._connections.get(remote) is writer:
                del self._connections[remote]
            writer.close()


def break_off(writer: asyncio.StreamWriter) -> None:
    """End a connection without a farewell, as a crash does: the other side gets a RST."""
    if own := writer.get_extra_info("socket"):  # it may have ended by itself
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _noticed(host: str, ends: list[Address]) -> bool:
    """Whether no socket of the far ends is open any more towards us."""
    open_states = {"01", "08"}  # ESTABLISHED, CLOSE_WAIT
    far = {_in_proc(*end) for end in ends}
    own = _in_proc(host, 0)[:8]
    return not any(
        local in far and remote.startswith(own) and state in open_states for local, remote, state in _sockets()
    )


def _sockets() -> Iterator[tuple[str, str, str]]:
    """Local and remote end and state of each TCP socket on IPv4 (proc(5))."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        yield local, remote, state


def _in_proc(host: str, port: int) -> str:
    return f"{socket.inet_aton(host)[::-1].hex().upper()}:{port:04X}"
