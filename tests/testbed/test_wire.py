# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted peer's connections are all ended when it drops them, however many it has to one far end."""

from __future__ import annotations

import asyncio

from tests.support.peer import Peer
from tests.support.processes import Net
from tests.support.wire import Streams

PORT = 5060


async def test_messages_that_follow_at_once_make_connections_that_are_all_dropped() -> None:
    ended: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.put(await reader.read(1000))
        await ended.put(await reader.read(1000))
        writer.close()

    with Net() as net:
        server = await asyncio.start_server(serve, net.gateway, PORT)
        async with Peer(net.trunk, wire=Streams()) as peer, asyncio.timeout(5):
            for word in (b"one", b"two"):
                peer.send_raw(word, (net.gateway, PORT))
            assert {await ended.get(), await ended.get()} == {b"one", b"two"}
            peer.wire.drop()  # type: ignore[attr-defined]  # Streams
            assert [await ended.get(), await ended.get()] == [b"", b""]
        server.close()
