# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP messages as a capture file that Wireshark, sngrep and their like open.

Each message is a datagram of UDP between the addresses that it went between, also where TCP or TLS carried it: who
reads it wants the message, and the segments that it came in are not known.
"""

import ipaddress
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAGIC = 0xA1B2C3D4  # times in microseconds
_RAW_IP = 101  # LINKTYPE_RAW: each packet begins with its IP header
_LONGEST = 65535
_UDP = 17
_HEADER = 8  # bytes of UDP's header
_UNKNOWN = "0.0.0.0"


def capture(messages: Iterable[Mapping[str, Any]]) -> bytes:
    """A file in the format of libpcap (pcap-savefile(5)) with these messages, as the API tells them."""
    made = [struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _LONGEST, _RAW_IP)]
    for message in messages:
        packet = _packet(message["source"], message["destination"], message["text"].encode())
        since = datetime.fromisoformat(message["at"]) - _EPOCH
        seconds, rest = divmod(since, timedelta(seconds=1))
        made.append(struct.pack("<IIII", seconds, rest // timedelta(microseconds=1), len(packet), len(packet)))
        made.append(packet)
    return b"".join(made)


def _packet(source: str, destination: str, payload: bytes) -> bytes:
    """An IP packet; IPv6 where either end is."""
    (one, from_port), (other, to_port) = _place(source), _place(destination)
    length = _HEADER + len(payload)
    if one.version == other.version == 4:
        ends = one.packed + other.packed
        pseudo = ends + struct.pack("!BBH", 0, _UDP, length)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, _UDP, 0) + ends
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    else:
        ends = b"".join(_as_six(each) for each in (one, other))
        pseudo = ends + struct.pack("!II", length, _UDP)
        head = struct.pack("!IHBB", 6 << 28, length, _UDP, 64) + ends
    udp = struct.pack("!HHHH", from_port, to_port, length, 0)
    sum_ = _checksum(pseudo + udp + payload) or 0xFFFF  # 0 would say that there is none (RFC 768)
    return head + udp[:6] + struct.pack("!H", sum_) + payload


def _place(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    host, _, port = text.rpartition(":")
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]), int(port)
    except ValueError:
        return ipaddress.ip_address(_UNKNOWN), 0


def _as_six(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def _checksum(data: bytes) -> int:
    """RFC 1071 §1."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
