# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends packets to a capture server for as long as there is one. One that is gone costs nothing and is told of once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.ports import Clock
from gateway.ports.clock import sleep, time_limit
from gateway.report.hep.line import opened

if TYPE_CHECKING:
    from gateway.report.hep.line import CaptureServer, Line

CONNECT_S = 10.0
STEADY_S = 10.0
"""One that is there for so long is back; until then a failure is the same as the one before."""
RETRY_S, RETRY_MOST_S = 1.0, 30.0

log = structlog.get_logger(__name__)


class SenderObserver(Protocol):
    """What the metrics want to know."""

    def sent(self, kind: str) -> None:
        """A packet has gone out; `kind` is "sip" or "rtcp"."""

    def dropped(self, reason: str, count: int = 1) -> None:
        """So many were not sent: "full", "unreachable" or "unfit"."""

    def stands(self, *, up: bool | None) -> None:
        """Whether there is a way to the server; None: none is configured."""


class Sender:
    """The way to the capture server that is configured."""

    def __init__(self, clock: Clock, observer: SenderObserver) -> None:
        self._clock = clock
        self._observer = observer
        self._server: CaptureServer | None = None
        self._line: Line | None = None
        self._told = False  # that it is gone
        self._task: asyncio.Task[None] | None = None

    def configure(self, server: CaptureServer | None) -> None:
        """Send to this one from now on; None: to none."""
        if server == self._server:
            return
        self._close()
        self._server, self._told = server, False
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._observer.stands(up=None if server is None else False)
        if server is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(server), name="hep")

    def send(self, packet: bytes, kind: str) -> None:
        """Send a packet, or count that it was not; returns at once, and never raises."""
        if self._line is None:
            self._observer.dropped("unreachable")
        elif self._line.put(packet):
            self._observer.sent(kind)
        else:
            self._observer.dropped("unreachable" if self._line.gone.done() else "full")

    async def stop(self) -> None:
        """Send nothing more."""
        task = self._task
        self.configure(None)
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, server: CaptureServer) -> None:
        wait_s = RETRY_S
        while True:
            steady, why = await self._once(server)
            if steady:
                wait_s = RETRY_S
            self._gone(server, why)
            await sleep(self._clock, wait_s)
            wait_s = min(RETRY_MOST_S, wait_s * 2)

    async def _once(self, server: CaptureServer) -> tuple[bool, str]:
        """From one connection to its end: whether it was there for a while, and why it is not any more."""
        steady = False
        try:
            async with time_limit(self._clock, CONNECT_S):
                self._line = line = await opened(server)
        except TimeoutError:
            return steady, f"no answer within {CONNECT_S:g} s"
        except OSError as error:
            return steady, error.strerror or str(error)
        self._observer.stands(up=True)
        while not line.gone.done():
            try:
                async with time_limit(self._clock, None if steady else STEADY_S):
                    await asyncio.shield(line.gone)
            except TimeoutError:
                if line.is_proven():
                    steady = True
                    self._back(server)
        return steady, line.gone.result()

    def _gone(self, server: CaptureServer, why: str) -> None:
        self._close()
        self._observer.stands(up=False)
        if not self._told:
            self._told = True
            log.warning("capture-server-gone", host=server.host, port=server.port, transport=server.transport, why=why)

    def _back(self, server: CaptureServer) -> None:
        if self._told:
            self._told = False
            log.info("capture-server-back", host=server.host, port=server.port, transport=server.transport)

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
