# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that are misused: pieces, garbage, a length that lies, half a message, silence, a sudden end."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support.wire import break_off

if TYPE_CHECKING:
    from tests.fuzz.mutator import Mutator
    from tests.fuzz.tally import Tally
    from tests.support.sip_message import Address

OPEN = 30
"""How many connections one peer leaves open at a time."""
MESSAGE = (
    b"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: fuzz-%d\r\nCSeq: 1 OPTIONS\r\n"
    b"Contact: <sip:a@127.0.0.1:9;transport=tcp>\r\nContent-Length: 0\r\n\r\n"
)


async def connections(
    host: str, gateway: Address, mutator: Mutator, tally: Tally, side: str, seconds: float, pause_s: float = 0.2
) -> None:
    """Open one connection after the other from this address, for so long, and misuse each."""
    left: list[asyncio.StreamWriter] = []
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        number += 1
        with suppress(OSError):  # the gateway may end it at any time
            _, writer = await asyncio.open_connection(*gateway, local_addr=(host, 0))
            left.append(writer)
            tally.out(side, "connection", broken=True)
            await _misuse(writer, MESSAGE % (number, number), mutator)
        while len(left) > OPEN:
            _end(left.pop(0), mutator)
        await asyncio.sleep(pause_s)
    for writer in left:
        _end(writer, mutator)


async def _misuse(writer: asyncio.StreamWriter, message: bytes, mutator: Mutator) -> None:
    chance = mutator.random
    middle = chance.randrange(1, len(message))
    match chance.randrange(8):
        case 0:
            writer.write(chance.randbytes(chance.choice((1, 60, 1500, 20_000))))
        case 1:
            for piece in (message[:middle], message[middle:]):
                writer.write(piece)
                await asyncio.sleep(0.02)
        case 2:
            writer.write(message[:middle])
            _end(writer, mutator)
        case 3:
            writer.write(message[:middle])
            writer.write_eof()
        case 4:
            lie = b"%d" % chance.choice((1, 100, 65_536, 2_147_483_648, 99_999_999_999))
            writer.write(message.replace(b"Content-Length: 0", b"Content-Length: " + lie) + message)
        case 5:
            writer.write(b"\r\n" * chance.choice((1, 2, 5000)) + message * chance.choice((1, 2, 30)))
        case 6:
            writer.write(mutator.message(message) + mutator.raw(message) + message)
        case _:
            pass  # says nothing at all


def _end(writer: asyncio.StreamWriter, mutator: Mutator) -> None:
    with suppress(OSError):  # the gateway may have ended it
        if mutator.may(0.5):
            break_off(writer)
        else:
            writer.close()
