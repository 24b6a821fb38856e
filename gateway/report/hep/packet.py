# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of HEP version 3: a header, and a chunk for each fact.

"HEP3 Network Protocol Specification", sipcapture.org, revision 32 and later; it is called EEP there too.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

SIP, RTCP_JSON = 1, 5
"""Protocol types (chunk 0x000b)."""
_INET, _INET6 = 2, 10
_PROTOCOLS = {"UDP": 17, "TCP": 6, "TLS": 6}
_MOST = 0xFFFF
_HEADER = struct.Struct("!4sH")
_CHUNK = struct.Struct("!HHH")  # vendor, type, length with this


class _Type(IntEnum):
    FAMILY = 1
    PROTOCOL = 2
    SOURCE4 = 3
    DESTINATION4 = 4
    SOURCE6 = 5
    DESTINATION6 = 6
    SOURCE_PORT = 7
    DESTINATION_PORT = 8
    SECONDS = 9
    MICROSECONDS = 10
    TYPE = 11
    CAPTURE_ID = 12
    KEY = 14
    PAYLOAD = 15
    CORRELATION = 17
    NODE = 19


@dataclass(frozen=True, slots=True)
class Node:
    """Who captures."""

    capture_id: int  # 32 bits
    name: str
    password: str | None


@dataclass(frozen=True, slots=True)
class Flow:
    """From where to where something went, and how."""

    source: str  # "192.0.2.1:5060", "[2001:db8::1]:5060"
    destination: str
    transport: str  # "UDP" | "TCP" | "TLS"


def packet(node: Node, flow: Flow, at: datetime, kind: int, payload: bytes, correlation: str | None) -> bytes:
    """One packet. A payload beyond what a packet holds is cut."""
    ends = _ends(node, flow, kind)
    seconds, microseconds = int(at.timestamp()), at.microsecond
    time = _chunk(_Type.SECONDS, seconds.to_bytes(4)) + _chunk(_Type.MICROSECONDS, microseconds.to_bytes(4))
    about = _chunk(_Type.CORRELATION, correlation.encode()) if correlation else b""
    room = _MOST - _HEADER.size - len(ends) - len(time) - len(about) - _CHUNK.size
    body = ends + time + about + _chunk(_Type.PAYLOAD, payload[:room])
    return _HEADER.pack(b"HEP3", _HEADER.size + len(body)) + body


@lru_cache(maxsize=4096)
def _ends(node: Node, flow: Flow, kind: int) -> bytes:
    """All that is the same for each packet between two places."""
    (source, source_port), (destination, destination_port) = _place(flow.source), _place(flow.destination)
    if source.version != destination.version:
        source, destination = _as_six(source), _as_six(destination)
    four = source.version == 4
    chunks = [
        (_Type.FAMILY, bytes([_INET if four else _INET6])),
        (_Type.PROTOCOL, bytes([_PROTOCOLS[flow.transport]])),
        (_Type.SOURCE4 if four else _Type.SOURCE6, source.packed),
        (_Type.DESTINATION4 if four else _Type.DESTINATION6, destination.packed),
        (_Type.SOURCE_PORT, source_port.to_bytes(2)),
        (_Type.DESTINATION_PORT, destination_port.to_bytes(2)),
        (_Type.TYPE, bytes([kind])),
        (_Type.CAPTURE_ID, node.capture_id.to_bytes(4)),
        (_Type.NODE, node.name.encode()),
    ]
    if node.password is not None:
        chunks.append((_Type.KEY, node.password.encode()))
    return b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: _Type, content: bytes) -> bytes:
    return _CHUNK.pack(0, kind, _CHUNK.size + len(content)) + content


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _place(text: str) -> tuple[_Address, int]:
    """Address and port; a name that is no address, which PJSIP may have for our own end, becomes 0.0.0.0."""
    host, _, port = text.rpartition(":")
    try:
        address: _Address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        address = ipaddress.IPv4Address(0)
    return address, int(port)


def _as_six(address: _Address) -> ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv6Address):
        return address
    return ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
