# SPDX-License-Identifier: GPL-2.0-or-later
"""A moment by two clocks: one that tells the time and may be set, one that is never set and only counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_YEAR, LAST_YEAR = 1970, 2200


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened."""

    wall: datetime  # aware, UTC; somebody may set this clock while a call lasts
    steady: float  # seconds since any moment; nobody sets this one

    def told_at(self, now: "Moment") -> datetime:
        """The wall-clock time of `now` for a record that begins with this moment: its times never run backward."""
        return self.wall + timedelta(seconds=now.steady - self.steady)


def can_be(at: datetime) -> bool:
    """Whether a gateway may have written this time: it has a zone, and what is counted on from it is a time as well."""
    return at.tzinfo is not None and FIRST_YEAR <= at.year < LAST_YEAR
