# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks up where a PBX is, in the loop's own threads, for which nobody waits at the end; uvloop would wait for its own.

A name server that hangs is asked once at a time for each name, however often that is tried.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

_asked: dict[str, asyncio.Future[list[str]]] = {}


async def addresses_of(host: str) -> list[str]:
    """The addresses of a host, in the order in which they are to be tried. Raises OSError."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return [host]
    asked = _asked.get(host)
    if asked is None or asked.get_loop() is not asyncio.get_running_loop():
        asked = _asked[host] = asyncio.get_running_loop().run_in_executor(None, _look_up, host)
        asked.add_done_callback(lambda done: _answered(host, done))
    return await asyncio.shield(asked)


def _answered(host: str, done: asyncio.Future[list[str]]) -> None:
    if _asked.get(host) is done:
        del _asked[host]
    if not done.cancelled():
        done.exception()  # whoever asked may have given up


def _look_up(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(f"{host} is no host name") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
