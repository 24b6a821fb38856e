# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages of a transfer over HTTP: JSON, text, and a capture that a reader of its own reads."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.web.messages import lines
from gateway.web.pcap import capture
from tests.report import samples
from tests.web.serving import MESSAGES, Client, Gateway

CALL = samples.call().call


def ones_sum(data: bytes) -> int:
    """The sum that a right checksum makes 0xFFFF (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packets(data: bytes) -> Iterator[tuple[float, str, str, bytes]]:
    """Time, source, destination and payload of each datagram in a capture file, all sums checked."""
    magic, major, minor, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 101)
    at = 24
    while at < len(data):
        seconds, micros, held, length = struct.unpack_from("<IIII", data, at)
        assert held == length
        packet = data[at + 16 : at + 16 + held]
        at += 16 + held
        if packet[0] >> 4 == 4:
            assert packet[0] == 0x45
            assert int.from_bytes(packet[2:4], "big") == held
            assert ones_sum(packet[:20]) == 0xFFFF
            ends, udp = packet[12:20], packet[20:]
            assert packet[9] == 17
        else:
            assert packet[0] >> 4 == 6
            assert int.from_bytes(packet[4:6], "big") == held - 40
            ends, udp = packet[8:40], packet[40:]
            assert packet[6] == 17
        size = len(ends) // 2
        one, other = (ipaddress.ip_address(ends[part : part + size]) for part in (0, size))
        from_port, to_port, told, _ = struct.unpack_from("!HHHH", udp)
        assert told == len(udp)
        assert ones_sum(ends + struct.pack("!II", len(udp), 17) + udp) == 0xFFFF
        yield seconds + micros / 1e6, f"{one}:{from_port}", f"{other}:{to_port}", udp[8:]
    assert at == len(data)


@pytest.mark.parametrize("path", ["/api/transfers/01A", f"/api/calls/{CALL}"])
async def test_messages_are_told_as_json_as_text_and_as_a_capture(ask: Client, path: str) -> None:
    status, told = await ask(f"{path}/messages")
    assert (status, told["messages"], told["marks"]) == (200, MESSAGES["messages"], MESSAGES["marks"])
    async with ask._session.get(f"{ask._base}{path}/messages.txt") as response:
        text = await response.text()
        assert (response.status, response.content_type) == (200, "text/plain")
        assert 'attachment; filename="' in response.headers["Content-Disposition"]
    assert text.splitlines()[:2] == [
        "2026-03-02T09:30:00.000123Z UDP 192.0.2.1:5060 -> 192.0.2.7:5060", "BYE sip:x SIP/2.0",
    ]  # fmt: skip
    async with ask._session.get(f"{ask._base}{path}/messages.pcap") as response:
        assert (response.status, response.content_type) == (200, "application/vnd.tcpdump.pcap")
        data = await response.read()
    [(at, one, other, payload)] = packets(data)
    assert (one, other, payload) == ("192.0.2.1:5060", "192.0.2.7:5060", b"BYE sip:x SIP/2.0\r\n\r\n")
    assert at == pytest.approx(1772443800.000123, abs=1e-6)


async def test_what_is_unknown_is_404_and_a_disk_that_fails_is_told(ask: Client, gateway: Gateway) -> None:
    for ending in ("", ".txt", ".pcap"):
        assert (await ask(f"/api/transfers/01X/messages{ending}"))[0] == 404
        assert (await ask(f"/api/calls/01X/messages{ending}"))[0] == 404
    gateway.disk_fails = True
    status, told = await ask("/api/transfers/01X/messages")
    assert (status, told["error"]["code"]) == (503, "unreadable")


def message(source: str, destination: str, text: str = "x", **more: Any) -> dict[str, Any]:
    return {**MESSAGES["messages"][0], "source": source, "destination": destination, "text": text, **more}


def test_a_capture_has_ipv6_odd_lengths_and_what_has_no_address() -> None:
    made = capture([
        message("[2001:db8::1]:5060", "[2001:db8::2%eth0]:5061", "odd", at="2026-03-02T09:30:00.000001Z"),
        message("192.0.2.1:5060", "[2001:db8::2]:5061", "é"),
        message("gw.example:5060", "nonsense"),
    ])  # fmt: skip
    found = list(packets(made))
    assert [each[1:3] for each in found] == [
        ("2001:db8::1:5060", "2001:db8::2:5061"),
        (f"{ipaddress.ip_address('::ffff:192.0.2.1')}:5060", "2001:db8::2:5061"),
        ("0.0.0.0:0", "0.0.0.0:0"),
    ]
    assert found[1][3] == "é".encode()
    assert list(packets(capture([]))) == []


def test_the_text_says_what_was_cut_or_sent_again_and_why_there_is_none() -> None:
    told = {"kept": True, "because": None, "messages": [message("a:1", "b:2", again=True, cut=True, size=7000)]}
    assert next(lines(told)).endswith(" a:1 -> b:2, again, cut: 7000 bytes on the wire")
    assert list(lines({"kept": False, "because": "gone", "messages": []})) == ["no messages: gone"]
