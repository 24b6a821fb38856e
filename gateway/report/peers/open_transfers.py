# SPDX-License-Identifier: GPL-2.0-or-later
"""This gateway's transfers under way, for the others: the newest event of each, retained at the broker until its end.

One that is over sooner than others are told of it is never told. The end takes it away before anybody else can hear of
that end: who finds it there finds a transfer of which no end was told.
"""

from __future__ import annotations

from typing import NoReturn

import structlog

from gateway.ports import Clock, sleep
from gateway.report.peers.line import PeerLine

KIND = "open"
GATHER_S = 0.2
MOST = 500
"""Transfers that others are told of at a time: a broker keeps a thousand messages for a reader by default."""
_ENDED_KNOWN = 1000

log = structlog.get_logger(__name__)


class OpenTransfers:
    """See the module."""

    def __init__(self, line: PeerLine, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._newest: dict[str, bytes] = {}  # of those under way
        self._due: dict[str, None] = {}  # those of which there is something to say
        self._said: set[str] = set()
        self._ended: dict[str, None] = {}  # the last: a milestone may come after the end
        self._complained = False

    def happened(self, transfer: str, payload: str, *, ended: bool) -> None:
        """An event of a transfer is on its way to the disk."""
        if transfer in self._ended:
            return
        if not ended:
            self._newest[transfer] = payload.encode()
            self._due[transfer] = None
            return
        self._ended[transfer] = None
        if len(self._ended) > _ENDED_KNOWN:
            del self._ended[next(iter(self._ended))]
        self._newest.pop(transfer, None)
        self._due.pop(transfer, None)
        if transfer in self._said:
            self._said.discard(transfer)
            self.forget(transfer)

    def forget(self, transfer: str) -> None:
        """Have the broker retain it no longer."""
        self._line.say(self._line.topic(KIND, transfer), b"")

    def knows(self, transfer: str) -> bool:
        """Whether it is under way here."""
        return transfer in self._newest

    async def run(self) -> NoReturn:
        """Tell the others until cancelled."""
        while True:
            due, self._due = self._due, {}
            for transfer in due:
                if transfer not in self._said and len(self._said) >= MOST:
                    self._complain()
                    continue
                self._said.add(transfer)
                self._line.say(self._line.topic(KIND, transfer), self._newest[transfer])
            await sleep(self._clock, GATHER_S)

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            log.warning("open-transfers-untold", more_than=MOST)
