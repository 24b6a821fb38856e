# SPDX-License-Identifier: GPL-2.0-or-later
"""A collector of traces, by OTLP over HTTP, that remembers what it was sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE_S = 30.0


class Collector:
    """`async with Collector() as collector`, at `collector.endpoint`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._port = 0
        self.status = 200
        """What it answers with."""
        self.spans: list[Span] = []
        self.resources: list[dict[str, object]] = []
        self.headers: list[dict[str, str]] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def endpoint(self) -> str:
        return f"http://{self._host}:{self._port}/v1/traces"

    async def _take(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        self.headers.append(dict(request.headers))
        if self.status == 200:
            for of_resource in sent.resource_spans:
                self.resources.append(values(of_resource.resource.attributes))
                for of_scope in of_resource.scope_spans:
                    self.spans += of_scope.spans
        self._news.set()
        return web.Response(status=self.status, content_type="application/x-protobuf")

    async def asked(self) -> None:
        """Wait for the next request, from now on."""
        self._news.clear()
        async with asyncio.timeout(PATIENCE_S):
            await self._news.wait()

    async def transfer(self, transfer: str) -> tuple[Span, list[Span]]:
        """Wait for the span of a transfer; it, and those within it, the first to begin first."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for span in self.spans:
                    if values(span.attributes).get("transfer.id") == transfer:
                        within = [each for each in self.spans if each.parent_span_id == span.span_id]
                        return span, sorted(within, key=lambda each: each.start_time_unix_nano)
                self._news.clear()
                await self._news.wait()


def values(attributes: object) -> dict[str, object]:
    """Attributes by their names."""
    told: dict[str, object] = {}
    each: KeyValue
    for each in attributes:  # type: ignore[attr-defined]
        kind = each.value.WhichOneof("value")
        told[each.key] = getattr(each.value, kind) if kind else None
    return told
