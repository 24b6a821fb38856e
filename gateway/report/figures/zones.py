# SPDX-License-Identifier: GPL-2.0-or-later
"""By whose clock a report tells the time: that of the hours which the configuration gives a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from gateway.core.model import AssignedNumber


class Zones:
    """Of all numbers."""

    def __init__(self, numbers: Sequence[AssignedNumber]) -> None:
        self._hours: Mapping[tuple[str, str], tzinfo] = {
            (number.id, destination.id): destination.hours.time_zone
            for number in numbers
            for destination in number.destinations.values()
            if destination.hours
        }
        self._firsts = {number: zone for (number, _), zone in reversed(self._hours.items())}

    @property
    def first(self) -> tzinfo:
        """That of the first hours that any destination has; without any, UTC."""
        return next(iter(self._hours.values()), UTC)

    def of(self, number: str, destination: str) -> tzinfo:
        """That of the destination's hours, else of the first that its number has, else `first`."""
        return self._hours.get((number, destination)) or self._firsts.get(number) or self.first

    def read(self, at: datetime) -> datetime:
        """The moment that somebody means who gives a time without a zone."""
        return at if at.tzinfo else at.replace(tzinfo=self.first)
