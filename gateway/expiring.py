# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates that end: told each day from two weeks before, since the first to notice would be the callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from gateway.ports import Clock, Timer

log = structlog.get_logger(__name__)

SOON = timedelta(days=14)
AGAIN_S = 86_400.0


class CertificateWatch:
    """Tells `observe` when each certificate ends, by its key in the configuration, and the log which end soon."""

    def __init__(self, observe: Callable[[Mapping[str, datetime]], None], clock: Clock) -> None:
        self._observe = observe
        self._clock = clock
        self._ends: Mapping[str, datetime] = {}
        self._timer: Timer | None = None

    def watch(self, ends: Mapping[str, datetime]) -> None:
        """Watch these from now on."""
        self._ends = ends
        self._observe(ends)
        self._look()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.stop()
        now = self._clock.now().wall
        for key, end in self._ends.items():
            if end <= now:
                log.error("certificate-expired", key=key, ended=end.isoformat())
            elif end - now < SOON:
                log.warning("certificate-expires", key=key, ends=end.isoformat(), days=(end - now).days)
        if self._ends:
            self._timer = self._clock.after(AGAIN_S, self._look)
