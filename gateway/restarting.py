# SPDX-License-Identifier: GPL-2.0-or-later
"""A restart that keeps its calls: what has to be so before one is begun, and the exit code by which it is one.

The process that ends this way has written its calls down, and has told no peer that it goes. Whoever started it is to
start the next one at once, which takes the calls up (`engine/keeping.py`, decision 0123).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from gateway.config.shown import check_document
from gateway.ports import CannotRestartError

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.engine import Engine
    from gateway.reloading import Reloader

EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h; the units start the gateway at once after it."""
CHECK_S = 10.0
"""A file system that takes longer hangs."""
KEY = "sip.recover_calls"

log = structlog.get_logger("app")


class Parts(Protocol):
    """The parts of the gateway that are asked."""

    engine: Engine
    reloader: Reloader
    started_at: datetime
    serving: bool  # the transports are open, and nothing has asked for the end


class Restarting:
    """Whether the end that comes is one after which the gateway is started again, and its calls go on."""

    def __init__(self, parts: Parts, written: Callable[[], Awaitable[bool]], begin: Callable[[], None]) -> None:
        """`written` tells whether all that was reported is on disk; `begin` has the gateway drain."""
        self._parts = parts
        self._written = written
        self._begin = begin
        self.wanted = False
        self.has_left = False  # its calls are written down, and nobody has been told of the end

    async def ask(self) -> Mapping[str, Any]:
        """Begin; what it is that ends, JSON-able. Raises CannotRestartError where calls would be lost by it."""
        await self._check()
        engine = self._parts.engine
        self.wanted = True
        self._begin()
        log.info("restarting", calls=len(engine.calls), transfers=len(engine.transfers))
        return {
            "restarting": True,
            "started_at": self._parts.started_at.isoformat(timespec="seconds"),
            "calls": len(engine.calls),
            "transfers": len(engine.transfers),
            "within_s": self._parts.reloader.config.gateway.drain_timeout_s,
        }

    def call_off(self) -> bool:
        """Nobody starts it again: every call is to end. Whether a restart was on its way."""
        was, self.wanted = self.wanted, False
        if was:
            self._parts.engine.leave_none()
            log.warning("restart-called-off")
        return was

    async def _check(self) -> None:
        self._check_is_serving()
        config = self._parts.reloader.config
        if not config.sip.recover_calls:
            raise CannotRestartError(
                "recovery-off",
                "calls cannot be kept without recover_calls = true in [sip]: set it and reload; or stop and start the "
                "gateway, which ends the calls that are not over in drain_timeout_s",
            )
        try:
            async with asyncio.timeout(CHECK_S):
                found = await asyncio.to_thread(check_document, config)
        except TimeoutError:
            raise CannotRestartError("unreadable", f"{config.directory} is still being read") from None
        if not found["ok"]:
            mistakes = [f"{one['file']}: {one['key']}: {one['problem']}" for one in found["mistakes"]]
            raise CannotRestartError(
                "bad-configuration", "the configuration has mistakes: no gateway would start", mistakes
            )
        if KEY in found["changed"]:
            raise CannotRestartError(
                "recovery-off", f"the files say {KEY} = false: the next gateway would take up no call; set it to true"
            )
        if not await self._written():
            raise CannotRestartError("unwritable", "the outbox cannot be written, and the calls with it: see status")
        self._check_is_serving()

    def _check_is_serving(self) -> None:
        if not self._parts.serving or self._parts.engine.draining or self.wanted:
            raise CannotRestartError("stopping", "the gateway is ending already")
