# SPDX-License-Identifier: GPL-2.0-or-later
"""When a PBX that has just started may be believed. Pure: times are seconds of any steady clock.

After a start Asterisk shows its contacts as unavailable until it has qualified them, and a queue full of agents looks
unstaffed. So what it says counts for nothing until either

* everybody who could be reached before the start can be reached again, or
* `settle_s` seconds have passed since the start. A PBX with a long `qualify_frequency` needs a longer time.
"""

import math
from datetime import UTC, datetime

# Every time zone in use is a multiple of this away from UTC.
_ZONE_STEP_S = 15 * 60


class Settling:
    """Remembers which start of the PBX was seen last, and who could be reached before it."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._boot: str | None = None
        self._before: frozenset[tuple[str, str]] = frozenset()
        self._until: float | None = None

    def remember(self, reachable: frozenset[tuple[str, str]]) -> None:
        """Take who can be reached, as was known when the connection ended."""
        self._before = reachable

    def connected(self, boot: str | None, uptime_s: float | None, now: float) -> None:
        """Take what a PBX just connected to says of its start; None: it does not say, so it may be a new one."""
        seen_before = boot is not None and boot == self._boot
        self._boot = boot
        if not seen_before:
            self.started(0.0 if uptime_s is None else uptime_s, now)

    def started(self, uptime_s: float, now: float) -> None:
        """The PBX started, or was not ready until, `uptime_s` ago."""
        self._until = now + self._settle_s - uptime_s if uptime_s < self._settle_s else None

    def settled(self, reachable: frozenset[tuple[str, str]], now: float) -> bool:
        """Whether the PBX may be believed, given who can be reached at `now`."""
        if self._until is not None and (now >= self._until or (self._before and self._before <= reachable)):
            self._until = None
        return self._until is None

    def over_at(self) -> float | None:
        """When it may be believed at the latest; None: already."""
        return self._until


def uptime_s(startup_date: str, startup_time: str, pbx_now: str) -> float | None:
    """The least time that a PBX can have been up, from CoreStatus and its own clock (seconds since 1970, from Ping).

    CoreStatus gives local time without its zone: the true time is longer by a multiple of 15 minutes. None: unreadable.
    """
    try:
        started = datetime.strptime(f"{startup_date} {startup_time}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        uptime = (float(pbx_now) - started.timestamp()) % _ZONE_STEP_S
    except ValueError:
        return None
    return uptime if math.isfinite(uptime) else None
