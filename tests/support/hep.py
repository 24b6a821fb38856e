# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture server of ours: reads HEP version 3 by UDP and TCP, and holds it against the protocol's table of chunks."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

# Chunk -> name, length of its content; None: any.
CHUNKS: dict[int, tuple[str, int | None]] = {
    0x0001: ("family", 1), 0x0002: ("protocol", 1), 0x0003: ("source4", 4), 0x0004: ("destination4", 4),
    0x0005: ("source6", 16), 0x0006: ("destination6", 16), 0x0007: ("source_port", 2), 0x0008: ("destination_port", 2),
    0x0009: ("seconds", 4), 0x000A: ("microseconds", 4), 0x000B: ("type", 1), 0x000C: ("capture_id", 4),
    0x000E: ("key", None), 0x000F: ("payload", None), 0x0011: ("correlation", None), 0x0013: ("node", None),
}  # fmt: skip
_NUMBERS = {
    "family", "protocol", "source_port", "destination_port", "seconds", "microseconds", "type", "capture_id"
}  # fmt: skip
_FAMILIES = {2: (socket.AF_INET, "4"), 10: (socket.AF_INET6, "6")}


@dataclass(frozen=True)
class Packet:
    """What one packet says."""

    protocol: int
    source: tuple[str, int]
    destination: tuple[str, int]
    at: float
    kind: int
    capture_id: int
    payload: bytes
    correlation: str | None = None
    node: str | None = None
    key: str | None = None


def parse(data: bytes) -> Packet:
    """A packet, whole. Raises ValueError."""
    if data[:4] != b"HEP3" or int.from_bytes(data[4:6]) != len(data):
        raise ValueError(f"no packet of {len(data)} bytes: {data[:6]!r}")
    found: dict[str, Any] = {}
    at = 6
    while at < len(data):
        vendor, kind, length = (int.from_bytes(data[at + 2 * part : at + 2 * part + 2]) for part in range(3))
        content = data[at + 6 : at + length]
        if vendor or kind not in CHUNKS or length < 6 or at + length > len(data):
            raise ValueError(f"chunk {kind:#06x} of {length} bytes at {at}")
        name, size = CHUNKS[kind]
        if name in found or size not in (None, len(content)):
            raise ValueError(f"{name} twice, or of {len(content)} bytes")
        found[name] = int.from_bytes(content) if name in _NUMBERS else content
        at += length
    family, version = _FAMILIES[found["family"]]

    def place(which: str) -> tuple[str, int]:
        return socket.inet_ntop(family, found[f"{which}{version}"]), found[f"{which}_port"]

    def text(name: str) -> str | None:
        return found[name].decode() if name in found else None

    return Packet(
        found["protocol"], place("source"), place("destination"), found["seconds"] + found["microseconds"] / 1e6,
        found["type"], found["capture_id"], found["payload"], text("correlation"), text("node"), text("key"),
    )  # fmt: skip


class CaptureServer(asyncio.DatagramProtocol):
    """`async with CaptureServer(host, port) as server`: whatever comes by either way is in `packets`."""

    def __init__(self, host: str, port: int = 0) -> None:
        self.host, self.port = host, port
        self.packets: list[Packet] = []
        self.connections: list[asyncio.StreamWriter] = []
        self._datagrams: asyncio.DatagramTransport | None = None
        self._streams: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._streams = await asyncio.start_server(self._connected, self.host, self.port)
        self.port = self._streams.sockets[0].getsockname()[1]
        self._datagrams, _ = await loop.create_datagram_endpoint(lambda: self, (self.host, self.port))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._streams is not None
        assert self._datagrams is not None
        self._datagrams.close()
        self._streams.close()
        for writer in self.connections:
            writer.close()
        await asyncio.sleep(0)

    def datagram_received(self, data: bytes, _: object) -> None:
        """See asyncio.DatagramProtocol."""
        self.packets.append(parse(data))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while True:
                head = await reader.readexactly(6)
                rest = await reader.readexactly(int.from_bytes(head[4:6]) - 6)
                self.packets.append(parse(head + rest))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def until(self, holds: Callable[[list[Packet]], bool], what: str) -> None:
        """Wait until what has come is so."""

        async def asked() -> bool:
            return holds(self.packets)

        await eventually(asked, what, timeout_s=30)
