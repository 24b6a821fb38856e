# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PBX that has just started may be believed. Pure: times are seconds of any steady clock.

After a start Asterisk shows each phone as unavailable until it has qualified it, at a random moment within the phone's
`qualify_frequency`, and a queue full of agents looks unstaffed. So for a while bad news is no news:

* A queue or extension is believed as soon as everybody is there who was there before the start or, where that is not
  known, as soon as all its members are.
* `settle_s` after the start it is believed anyway, unless somebody who was there before is still missing.
* `missing_s` after the start everything is believed.

The PBX as a whole counts as known when all is believed, or `settle_s` after the start.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

# Every time zone in use is a multiple of this away from UTC.
_ZONE_STEP_S = 15 * 60

Watched: TypeAlias = tuple[Literal["queue", "extension"], str]


@dataclass(frozen=True, slots=True)
class Presence:
    """Whose phones of a queue or extension are there, and whose are not."""

    here: frozenset[str]
    absent: frozenset[str]


class AfterRestart:
    """Remembers which start of the PBX was seen last, and who was there before it."""

    def __init__(self, settle_s: float, missing_s: float) -> None:
        self._settle_s = settle_s
        self._missing_s = missing_s
        self._boot: str | None = None
        self._before: dict[Watched, frozenset[str]] = {}
        self._started_at = -math.inf

    def connected(self, boot: str | None, uptime_s: float | None, now: float) -> None:
        """Take what a PBX just connected to says of its start; None: it does not say, so it may be a new one."""
        seen_before = boot is not None and boot == self._boot
        self._boot = boot
        if not seen_before:
            self.started(0.0 if uptime_s is None else uptime_s, now)

    def started(self, uptime_s: float, now: float) -> None:
        """The PBX started, or was not ready until, `uptime_s` ago."""
        # A start that is yet to come would keep everything in doubt until then.
        self._started_at = now - max(0.0, uptime_s)

    def remember(self, presence: Mapping[Watched, Presence], now: float) -> None:
        """Take who was there when the PBX was heard last; what was not believed then is not remembered."""
        doubted = self.doubted(presence, now)
        self._before |= {watched: each.here for watched, each in presence.items() if watched not in doubted}

    def doubted(self, presence: Mapping[Watched, Presence], now: float) -> frozenset[Watched]:
        """The queues and extensions that are not believed at `now`."""
        age = now - self._started_at
        if age >= self._missing_s:
            return frozenset()
        return frozenset(watched for watched, each in presence.items() if not self._believed(watched, each, age))

    def _believed(self, watched: Watched, presence: Presence, age: float) -> bool:
        before = self._before.get(watched)
        if before is None:
            complete = bool(presence.here) and not presence.absent
        elif before & presence.absent:
            return False
        else:
            complete = before <= presence.here
        return complete or age >= self._settle_s

    def settled(self, presence: Mapping[Watched, Presence], now: float) -> bool:
        """Whether the PBX as a whole counts as known."""
        return now - self._started_at >= self._settle_s or not self.doubted(presence, now)

    def next_change(self, now: float) -> float:
        """When the mere passing of time will change an answer; infinity: never."""
        later = (self._started_at + after for after in (self._settle_s, self._missing_s))
        return min((time for time in later if time > now), default=math.inf)


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
