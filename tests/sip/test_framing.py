# SPDX-License-Identifier: GPL-2.0-or-later
"""A message on a stream of which it is not clear where it ends, and what somebody may have put behind it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.sip.bed import ASSISTANT_HZ, CALLER_HZ, PORT, Bed, Pair, Stage
from tests.support.processes import WAIT_S
from tests.support.wire import Streams

pytestmark = pytest.mark.sip

PAIRS = {"tcp": Pair({"transport": "tcp"})}
SIP = {"tcp_port": PORT}


def options(host: str, branch: str, *lines: str, body: str = "") -> bytes:
    head = [
        "OPTIONS sip:gateway SIP/2.0", f"Via: SIP/2.0/TCP {host}:{PORT};branch=z9hG4bK-{branch}", "Max-Forwards: 70",
        "From: <sip:a@b>;tag=7", "To: <sip:c@d>", f"Call-ID: {branch}", "CSeq: 1 OPTIONS", *lines, "", "",
    ]  # fmt: skip
    return ("\r\n".join(head) + body).encode()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    read = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(WAIT_S):
            while data := await reader.read(4096):
                read += data
    return read


@pytest.mark.keeps("16.33")
@pytest.mark.parametrize(
    "lengths",
    [("Content-Length: 0", "Content-Length: {0}"), ("Content-Length: {0}", "l: 0"), ("l: 0", "content-length : {0}")],
)
async def test_two_lengths_that_differ_end_the_connection(bed: Bed, lengths: tuple[str, str]) -> None:
    host = bed.trunk_host("tcp")
    hidden = options(host, "hidden", "Content-Length: 0")
    lines = [line.format(len(hidden)) for line in lengths]
    rejected = await bed.gateway.metric("transfer_gateway_requests_rejected_total", reason="bad-request")
    reader, writer = await asyncio.open_connection(bed.net.gateway, PORT, local_addr=(host, 0))
    try:
        writer.write(options(host, "seen", *lines, body=hidden.decode()) + options(host, "later", "Content-Length: 0"))
        read = await until_closed(reader)
    finally:
        writer.close()
    assert read.startswith(b"SIP/2.0 400 Contradictory Content-Length\r\n")
    assert read.count(b"SIP/2.0") - read.count(b"Via: SIP/2.0") == 1
    assert (await bed.gateway.metric("transfer_gateway_requests_rejected_total", reason="bad-request")) == rejected + 1


@pytest.mark.keeps("16.33")
async def test_calls_outlive_such_a_connection(bed: Bed) -> None:
    async with Stage(bed, "tcp", trunk=Streams()) as at:
        caller, assistant = await at.conversation()
        at.trunk.send_raw(options(at.trunk.host, "bad", "Content-Length: 0", "l: 5"), assistant.remote)
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        await caller.hang_up()
        await assistant.wait_request("BYE")
