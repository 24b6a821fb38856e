# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages of a transfer or call over HTTP: as JSON, as text and as a capture file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from gateway.ports import Operations, UnreadableError
from gateway.web.guard import Problem, json_response
from gateway.web.pcap import capture

Told = Mapping[str, Any]


def messages_routes(operations: Operations) -> list[web.RouteDef]:
    """The six of them: of a transfer and of a call, each in three forms."""

    async def of_transfer(which: str) -> Told:
        try:
            told = await operations.transfer_messages(which)
        except UnreadableError as error:
            raise Problem(503, "unreadable", f"the transfers cannot be read: {error}") from None
        if told is None:
            raise Problem(404, "unknown-transfer", f"no transfer {which} is under way or remembered")
        return told

    async def of_call(which: str) -> Told:
        told = await operations.call_messages(which)
        if told is None:
            raise Problem(404, "unknown-call", f"no call {which} is under way, or among the last ones")
        return told

    return [
        web.get(f"/api/{path}/{{id}}/messages{ending}", _handler(find, form))
        for path, find in (("transfers", of_transfer), ("calls", of_call))
        for ending, form in (("", _json), (".txt", _text), (".pcap", _pcap))
    ]


def _handler(
    find: Callable[[str], Awaitable[Told]], form: Callable[[str, Told], web.Response]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        which = request.match_info["id"]
        # Some hundred kB at most, which would hold the loop for milliseconds.
        return await asyncio.to_thread(form, which, await find(which))

    return handle


def _json(_which: str, told: Told) -> web.Response:
    return json_response(dict(told))


def _text(which: str, told: Told) -> web.Response:
    return _file(which, "txt", "\n".join(lines(told)).encode(), "text/plain", charset="utf-8")


def _pcap(which: str, told: Told) -> web.Response:
    return _file(which, "pcap", capture(told["messages"]), "application/vnd.tcpdump.pcap")


def lines(told: Told) -> Iterator[str]:
    """The messages whole, each below a line that says when it went where."""
    if not told["kept"]:
        yield f"no messages: {told['because']}"
    for message in told["messages"]:
        again = ", again" if message["again"] else ""
        cut = f", cut: {message['size']} bytes on the wire" if message["cut"] else ""
        yield f"{message['at']} {message['transport']} {message['source']} -> {message['destination']}{again}{cut}"
        yield message["text"].replace("\r\n", "\n")


def _file(which: str, ending: str, body: bytes, kind: str, charset: str | None = None) -> web.Response:
    name = "".join(each for each in which if each.isascii() and each.isalnum()) or "messages"
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{name}.{ending}"',
    }
    return web.Response(body=body, content_type=kind, charset=charset, headers=headers)
