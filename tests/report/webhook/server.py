# SPDX-License-Identifier: GPL-2.0-or-later
"""A receiver of webhooks: a real HTTP server that does as it is told, and checks signatures by another's library."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self
from unittest import mock

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

Reaction = int | str | tuple[int, Mapping[str, str]] | Callable[[dict[str, Any]], int]
"""A status, with header fields or found by looking at the event; or what it does instead of an answer: "hang", "drop",
"pour" (it begins an answer that never ends)."""


class Server:
    """Answers with what is in `script`, one after the other, then with `otherwise`."""

    def __init__(self, secret: str = SECRET, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.script: deque[Reaction] = deque()
        self.otherwise: Reaction = 204
        self.asked: list[dict[str, Any]] = []  # each event of a request, whatever became of it
        self.taken: list[dict[str, Any]] = []  # those that were answered with a success
        self.headers: list[Mapping[str, str]] = []
        self.refused_signatures = 0
        self.elsewhere = 0  # requests to other paths
        self.secret = secret
        self.port = port
        self.stands_at: datetime | None = None  # the gateway's clock does
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        """Where events go."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/hook?key=in-the-url"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        app.router.add_route("*", "/{rest:.*}", self._take_elsewhere)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def until(self, holds: Callable[[Self], bool]) -> None:
        """Wait until something that was asked makes it hold. Raises TimeoutError."""
        async with asyncio.timeout(24 * 3600 if hasattr(asyncio.get_running_loop(), "skipped_s") else 30):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()

    async def _take_elsewhere(self, _request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response(status=204)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            self._verify(body, request.headers)
        except WebhookVerificationError:
            self.refused_signatures += 1
            self._changed.set()
            return web.Response(status=401)
        event = json.loads(body)
        assert request.headers["webhook-id"] == event["id"]
        self.asked.append(event)
        self.headers.append(request.headers)
        reaction = self.script.popleft() if self.script else self.otherwise
        status, fields = reaction if isinstance(reaction, tuple) else (reaction, {})
        if callable(status):
            status = status(event)
        self._changed.set()
        if status == "hang":
            await asyncio.Event().wait()
        if status == "drop":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if status == "pour":
            return await self._pour(request, event)
        assert isinstance(status, int)
        if 200 <= status < 300:
            self.taken.append(event)
        return web.Response(status=status, headers=fields)

    def _verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """At the time of the loop, which may be ahead of the machine's. Raises WebhookVerificationError."""
        stands_at = self.stands_at
        ahead = timedelta(seconds=getattr(asyncio.get_running_loop(), "skipped_s", 0.0))

        class Ahead(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return stands_at or super().now(tz) + ahead  # type: ignore[return-value]

        with mock.patch("standardwebhooks.webhooks.datetime", Ahead):
            Webhook(self.secret).verify(body, dict(headers))

    async def _pour(self, request: web.Request, event: dict[str, Any]) -> web.StreamResponse:
        answer = web.StreamResponse(status=200)
        self.taken.append(event)
        try:
            await answer.prepare(request)
            while True:
                await answer.write(b"x" * 65536)
        except ConnectionError:
            pass
        return answer


def subjects(events: list[dict[str, Any]]) -> list[str]:
    """What the events tell of."""
    return [event["subject"] for event in events]
