# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboards in a browser, over what the demo's Prometheus has at the moment; no Grafana runs.

The page is the one from which docs/pictures are drawn. It is bundled beside the demo, which takes npm; until then the
address says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from tests.deploy.asking import answers, dashboards, panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.prometheus import Prometheus

BUILD = Path(__file__).parents[2] / "scripts" / "dashboards" / "pictures" / "build.sh"
FILES = ("draw.js", "node_modules/uplot/dist/uPlot.min.css")
LIVE = 'window.LIVE = "recorded.json";\n'
POINTS = 600
"""How many moments a line has at most."""
WAIT = '<!doctype html><meta http-equiv="refresh" content="2"><p>The dashboards are being put together ...</p>'


def missing() -> str:
    """What keeps them from being shown on this machine; empty: nothing does."""
    return "" if shutil.which("npm") else "npm is not here (apt-get install nodejs npm)"


class Dashboards:
    """`async with Dashboards(prometheus) as shown`: `shown.url` is where a browser finds them, on loopback."""

    def __init__(self, prometheus: Prometheus, build: Sequence[str] = (str(BUILD),)) -> None:
        self._prometheus = prometheus
        self._build = build
        self._start = time.time()
        self._boards = dashboards()
        self._building: asyncio.Task[Path] | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._building = asyncio.create_task(self._built(self._begun()))
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/recorded.js", self._live)
        app.router.add_get("/recorded.json", self._recorded)
        for name in FILES:
            app.router.add_get(f"/{name}", self._file)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        assert self._building is not None
        await self._runner.cleanup()
        self._building.cancel()
        await asyncio.gather(self._building, return_exceptions=True)

    @property
    def fault(self) -> str:
        """Why they could not be put together; empty: they were, or are about to be."""
        assert self._building is not None
        if not self._building.done() or (error := self._building.exception()) is None:
            return ""
        return str(error)

    async def _built(self, child: subprocess.Popen[str]) -> Path:
        try:
            said, complaints = await asyncio.to_thread(child.communicate)
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await asyncio.to_thread(child.wait)
        if child.returncode != 0:
            raise RuntimeError(complaints.strip().rpartition("\n")[2])
        return Path(said.strip())

    def _begun(self) -> subprocess.Popen[str]:
        # In a session of its own, so that whatever npm has started ends with it, and Ctrl-C is for us. asyncio's own
        # would end the first process alone when it is called off before it has all the pipes.
        return subprocess.Popen(
            self._build,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    async def _page(self, _: web.Request) -> web.StreamResponse:
        assert self._building is not None
        if not self._building.done():
            return web.Response(text=WAIT, content_type="text/html")
        if self.fault:
            return web.Response(status=503, text=f"The dashboards could not be put together: {self.fault}")
        return web.FileResponse(self._building.result() / "page.html")

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text=LIVE, content_type="text/javascript")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        assert self._building is not None
        if not self._building.done() or self.fault:
            raise web.HTTPNotFound
        return web.FileResponse(self._building.result() / request.path.removeprefix("/"))

    async def _recorded(self, request: web.Request) -> web.Response:
        name = request.query.get("board", "transfers")
        if name not in self._boards:
            raise web.HTTPNotFound
        try:
            return web.json_response(await self._answered(name), dumps=json.dumps)
        except OSError as error:
            raise web.HTTPBadGateway(text=f"Prometheus does not answer: {error}") from error

    async def _answered(self, name: str) -> dict[str, Any]:
        # As `python -m tests.deploy.recorded` writes it, for one of them.
        end = time.time()
        step_s = max(1, round((end - self._start) / POINTS))
        shown = [
            await asyncio.gather(
                *(answers(self._prometheus, target, self._start, end, step_s) for target in panel["targets"])
            )
            for panel in panels(self._boards[name])
        ]
        return {"start": self._start, "end": end, "dashboards": self._boards, "shown": {name: shown}}
