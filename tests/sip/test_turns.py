# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever else waits on the event loop has its turn, however many messages wait in the socket of SIP."""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import PORT, Bed, Pair
from tests.support.peer import Peer
from tests.support.processes import Net, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.sip

WAITING = 1500
"""Requests; PJSIP would read 1,600 datagrams before it let anything else have its turn, and fifty in one event."""
SERVED = 100
"""As many are read in a few turns of 2 ms: HTTP takes more than one."""
REFER = (
    "REFER sip:x@{gateway} SIP/2.0\r\nVia: SIP/2.0/{transport} {host}:5060;branch=z9hG4bK-{number}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:a@{host}>;tag=a\r\n"
    "To: <sip:x@{gateway}>\r\nCall-ID: turn-{number}\r\nCSeq: 1 REFER\r\n"
    "Contact: <sip:a@{host}>\r\nRefer-To: <sip:y@{gateway}>\r\nContent-Length: 0\r\n\r\n"
)


REFUSED = re.compile(rb'^transfer_gateway_requests_rejected_total\{reason="forbidden-target"\} (\S+)$', re.MULTILINE)


async def held(pid: int) -> bool:
    """Whether the process is stopped (proc(5))."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: ASYNC230, PTH123  # no file is waited for
        return file.read().rpartition(")")[2].split()[0] == "T"


@asynccontextmanager
async def sending(transport: str, host: str, gateway: str) -> AsyncIterator[Callable[[bytes], None]]:
    """What sends requests from there."""
    if transport == "UDP":
        async with Peer(host) as trunk:
            yield lambda data: trunk.send_raw(data, (gateway, PORT))
    else:
        _, writer = await asyncio.open_connection(gateway, PORT, local_addr=(host, 0))
        with closing(writer):
            yield writer.write


@pytest.mark.keeps("16.117")
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_http_is_answered_while_requests_wait(transport: str) -> None:
    with Net() as net:
        bed = Bed(net, {"a": Pair({"transport": transport.lower()})}, sip={"tcp_port": PORT})
        host = bed.trunk_host("a")
        async with bed.gateway as gateway, sending(transport, host, net.gateway) as send:
            http = gateway.files.main["http"]
            reader, writer = await asyncio.open_connection(http["bind_address"], http["port"])

            async def refused() -> int:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                return int(sum(map(float, REFUSED.findall(await reader.readexactly(length)))))

            ask = f"GET /metrics HTTP/1.1\r\nHost: {http['bind_address']}\r\n\r\n".encode()
            writer.write(ask)
            assert await refused() == 0
            gateway.child.signal(signal.SIGSTOP)
            try:
                await eventually(lambda: held(gateway.child.pid), "the gateway is stopped")
                for number in range(WAITING):
                    send(REFER.format(transport=transport, gateway=net.gateway, host=host, number=number).encode())
                writer.write(ask)
                await writer.drain()
            finally:
                gateway.child.signal(signal.SIGCONT)
            assert await refused() < SERVED

            async def all_served() -> bool:
                writer.write(ask)
                return await refused() == WAITING

            await eventually(all_served, "all requests are served")
            writer.close()
