# SPDX-License-Identifier: GPL-2.0-or-later
"""Several who are told what is reported: what one of them fails at is nobody else's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from gateway.core.model import PbxState
    from gateway.core.record import CallRecord, Milestone, TransferRecord
    from gateway.ports import Reporter

log = structlog.get_logger(__name__)


class Reporters:
    """Implements ports.Reporter: `first` is told of everything, and those that are added of transfers and calls."""

    def __init__(self, first: Reporter) -> None:
        self._first = first
        self._others: list[Reporter] = []

    def add(self, reporter: Reporter) -> None:
        """Tell this one too, from now on."""
        self._others.append(reporter)

    def transfer(self, milestone: Milestone, record: TransferRecord) -> None:
        """See ports.Reporter."""
        self._first.transfer(milestone, record)
        for each in self._others:
            try:
                each.transfer(milestone, record)
            except Exception:
                log.exception("not-reported", transfer=record.transfer, to=type(each).__name__)

    def call_ended(self, record: CallRecord) -> None:
        """See ports.Reporter."""
        self._first.call_ended(record)
        for each in self._others:
            try:
                each.call_ended(record)
            except Exception:
                log.exception("not-reported", call=record.call, to=type(each).__name__)

    def queue_snapshot(self, state: PbxState) -> None:
        """See ports.Reporter."""
        self._first.queue_snapshot(state)
