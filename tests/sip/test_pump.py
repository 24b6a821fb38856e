# SPDX-License-Identifier: GPL-2.0-or-later
"""PJSIP is polled for as long as the gateway runs, whatever one look at it raises."""

from __future__ import annotations

import asyncio
import os
import time
from typing import cast

import pjsua2 as pj
import pytest
from structlog.testing import capture_logs

from gateway.sip.stack.pump import LONGEST_SLEEP_S, Pump


class Looking:
    """An endpoint that counts the looks at it."""

    def __init__(self, wanted: int) -> None:
        self.looks, self.wanted = 0, wanted
        self.enough = asyncio.Event()

    def libHandleEvents(self, _timeout_ms: int) -> int:  # noqa: N802 -- pjsua2's name
        self.looks += 1
        if self.looks == self.wanted:
            self.enough.set()
        return 1


@pytest.mark.keeps("16.173")
async def test_a_look_that_ended_early_is_followed_by_another_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one after which nothing is left is not, whatever it has dealt with."""
    reading, writing = os.pipe()
    endpoint = Looking(20)
    monkeypatch.setattr(pj, "loop_fd", lambda: reading)
    monkeypatch.setattr(pj, "more_events", lambda: endpoint.looks < 20)
    monkeypatch.setattr(pj, "next_timer_ms", lambda: 10_000)
    pump = Pump(cast("pj.Endpoint", endpoint))
    began = time.monotonic()
    try:
        pump.start()
        async with asyncio.timeout(5):
            await endpoint.enough.wait()
        assert time.monotonic() - began < 20 * LONGEST_SLEEP_S / 2
        await asyncio.sleep(0)
        assert endpoint.looks == 20
    finally:
        pump.stop()
        os.close(reading)
        os.close(writing)


class Failing:
    """An endpoint whose first looks fail."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.looks = asyncio.Semaphore(0)
        self.count = 0

    def libHandleEvents(self, _timeout_ms: int) -> int:  # noqa: N802 -- pjsua2's name
        self.looks.release()
        self.count += 1
        if self.count < 4:
            raise self.error
        return 0


@pytest.mark.keeps("16.173")
@pytest.mark.parametrize("error", [RuntimeError("epoll"), MemoryError(), pj.Error()])
async def test_a_look_that_fails_is_not_the_last(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(pj, "loop_fd", lambda: reading)
    monkeypatch.setattr(pj, "more_events", lambda: False)
    monkeypatch.setattr(pj, "next_timer_ms", lambda: 1)
    endpoint = Failing(error)
    pump = Pump(cast("pj.Endpoint", endpoint))
    try:
        with capture_logs() as logs:
            pump.start()
            async with asyncio.timeout(5):
                for _ in range(8):
                    await endpoint.looks.acquire()
        assert [line["event"] for line in logs] == ["sip-poll-failed"] * 3
    finally:
        pump.stop()
        os.close(reading)
        os.close(writing)
