# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells a collector of transfers that are over, as long as `[traces]` is there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.core.record import Milestone

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import PbxState
    from gateway.core.record import CallRecord, TransferRecord
    from gateway.report.traces.provider import Spans

LAST_SENT_WITHIN_S = 3.0
"""How long the end of the gateway waits for a collector at most."""


class Tracing:
    """Implements ports.Reporter."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._spans: Spans | None = None
        self._made_of: object = None
        self._closing: set[asyncio.Future[None]] = set()

    def configure(self, config: Config) -> None:
        """Do as the configuration says; within a running loop."""
        traces = config.traces
        made_of = (traces, config.gateway.instance)
        if made_of == self._made_of:
            return
        self._close()
        self._made_of = made_of
        if traces is None:
            return
        from gateway.report.traces.provider import Spans  # noqa: PLC0415  # takes 0.2 s, and not everybody has it

        about = {
            "service.name": "transfer-gateway",
            "service.instance.id": config.gateway.instance,
            "service.version": self._version,
        }
        authorization = traces.authorization.get_secret_value().strip() if traces.authorization else None
        self._spans = Spans(traces.endpoint, authorization, str(traces.ca_file) if traces.ca_file else None, about)

    async def stop(self) -> None:
        """Send what there is, within a bound."""
        self._close()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SENT_WITHIN_S):
                await asyncio.gather(*self._closing, return_exceptions=True)

    def _close(self) -> None:
        if self._spans is None:
            return
        closing = asyncio.get_running_loop().run_in_executor(None, self._spans.close)
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._spans = None

    def transfer(self, milestone: Milestone, record: TransferRecord) -> None:
        """See ports.Reporter."""
        if self._spans is not None and milestone is Milestone.ENDED:
            self._spans.add(record)

    def call_ended(self, record: CallRecord) -> None:
        """See ports.Reporter; a call without a transfer is no trace of ours."""

    def queue_snapshot(self, state: PbxState) -> None:
        """See ports.Reporter."""
