# SPDX-License-Identifier: GPL-2.0-or-later
"""`/api/live`: what goes on, told while somebody looks, as server-sent events (HTML standard, §9.2).

A viewer is sent the whole document once (`all`), then what is new of it (`change`), twice a second at most however many
calls there are. What is made is made once for all viewers. Nobody is waited for: a viewer who does not read is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web

from gateway.core.call_line import Line
from gateway.core.json_form import timestamp
from gateway.ports import Clock, Operations
from gateway.web.guard import Problem, json_response
from gateway.web.live_document import MOST_CALLS, Told, call_line, surroundings

MOST_VIEWERS = 20
LOOK_S = 0.5
"""The shortest time between two looks at the calls."""
EVERY = 4
"""At each so many of them all else is looked at, too."""
BEAT_S = 5.0
"""After so long without anything new a viewer is told the time, so that they know that they are still told."""
SHARE = 0.02
"""The most of a processor that looking may take: where there is much to see, it is looked at less often."""
LONGEST_S = 10.0
WAITING = 8
"""So many messages may wait for a viewer who does not read them."""
EVENTS = "text/event-stream"

log = structlog.get_logger(__name__)


class _Viewer:
    """Somebody who looks; None among what waits for them ends it."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)

    def send(self, message: bytes) -> bool:
        """Whether there was place for it."""
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(message)
            return True
        return False

    def end(self) -> None:
        """Nothing more is told."""
        while not self.waiting.empty():
            self.waiting.get_nowait()
        self.waiting.put_nowait(None)


class LiveFeed:
    """Looks while there are viewers, and only then."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock
        self._viewers: dict[_Viewer, asyncio.Transport | None] = {}
        self._present = 0
        self._looking: asyncio.Task[None] | None = None
        # As the viewers know it.
        self._parts: Told = {}
        self._calls: dict[str, Line] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The events to whom takes them, else the document as it is now. Raises Problem."""
        if EVENTS not in ",".join(request.headers.getall("Accept", [])) or request.method == "HEAD":
            return json_response(await self.document())
        if self._present >= MOST_VIEWERS:
            message = f"{MOST_VIEWERS} look already, and no more can"
            raise Problem(503, "too-many-viewers", message, headers={"Retry-After": "30"})
        headers = {"Content-Type": EVENTS, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        response = web.StreamResponse(headers=headers | {"X-Accel-Buffering": "no"})
        self._present += 1
        try:
            await self._serve(response, request)
        except ConnectionError:
            pass  # they have gone
        finally:
            self._present -= 1
        return response

    async def _serve(self, response: web.StreamResponse, request: web.Request) -> None:
        await response.prepare(request)
        await self._ready()
        viewer = _Viewer()
        viewer.send(self._all())
        self._viewers[viewer] = request.transport
        try:
            while (message := await viewer.waiting.get()) is not None:
                await response.write(message)
        finally:
            self._viewers.pop(viewer, None)

    async def document(self) -> dict[str, Any]:
        """What a viewer is sent first, made for whoever asks once."""
        parts, _ = await surroundings(self._operations, self._clock.now().wall)
        return self._whole(*self._seen(parts))

    async def stop(self) -> None:
        """Tell nobody any more; whoever asks again is told again."""
        for viewer in list(self._viewers):
            viewer.end()
        looking, self._looking = self._looking, None
        if looking is not None and looking is not asyncio.current_task():
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _ready(self) -> None:
        """Have it look, and what is to be seen known."""
        if self._looks:
            return
        parts, _ = await surroundings(self._operations, self._clock.now().wall)
        if not self._looks:  # for another who has come meanwhile
            self._parts, self._calls = self._seen(parts)
            self._looking = asyncio.create_task(self._look())

    @property
    def _looks(self) -> bool:
        return self._looking is not None and not self._looking.done()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        turn, told_at, pause_s = 0, loop.time(), LOOK_S
        while self._viewers:
            await asyncio.sleep(pause_s)
            try:
                new, took_s = await self._news(all_else=turn % EVERY == 0)
            except Exception:
                # Nobody's calls hang on it. Whoever looks sees that nothing comes, and asks anew.
                log.exception("live-failed")
                await self.stop()
                return
            turn += 1
            if new or loop.time() - told_at >= BEAT_S:
                told_at = loop.time()
                self._tell(_event("change", {"at": self._at(), **new}))
            pause_s = min(max(LOOK_S, took_s / SHARE - took_s), LONGEST_S)

    async def _news(self, *, all_else: bool) -> tuple[Told, float]:
        """What is new since the last look, and the seconds of a processor that it took to find it."""
        took_s = 0.0
        if all_else:
            parts, took_s = await surroundings(self._operations, self._clock.now().wall)
        else:
            parts = self._parts
        begun = time.thread_time()
        parts, calls = self._seen(parts)
        new: Told = {name: part for name, part in parts.items() if part != self._parts[name]}
        put = [call_line(line) for call, line in calls.items() if line != self._calls.get(call)]
        gone = [call for call in self._calls if call not in calls]
        self._parts, self._calls = parts, calls
        if put or gone:
            new["calls"] = {"set": put, "gone": gone}
        return new, took_s + time.thread_time() - begun

    def _tell(self, message: bytes) -> None:
        for viewer, transport in list(self._viewers.items()):
            if not viewer.send(message):
                log.info("live-viewer-dropped", why="does not read what is sent")
                del self._viewers[viewer]
                viewer.end()
                if transport is not None:
                    transport.abort()

    def _seen(self, parts: Told) -> tuple[Told, dict[str, Line]]:
        """The parts with what is counted, and the calls by their ids."""
        under_way = self._operations.under_way(MOST_CALLS)
        counts = {"calls": under_way.calls, "transfers": under_way.transfers}
        return {**parts, "counts": counts}, {line.call: line for line in under_way.lines}

    def _all(self) -> bytes:
        return _event("all", self._whole(self._parts, self._calls))

    def _whole(self, parts: Told, calls: Mapping[str, Line]) -> dict[str, Any]:
        return {"at": self._at(), **parts, "calls": [call_line(line) for line in calls.values()]}

    def _at(self) -> str:
        return timestamp(self._clock.now().wall)


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    # JSON has no line breaks outside of its strings, and none unescaped within them: the event is two lines.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode(errors="backslashreplace")
