# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine's two clocks: time passes by both, and one of them is set."""

from datetime import UTC, datetime, timedelta

from gateway.pbx.steady_clock import SteadyClock


class Clocks:
    """`wall` can be set, `steady` goes on regardless."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        self._since_boot = 1000.0
        self.steady = SteadyClock(wall=lambda: self.wall, steady=lambda: self._since_boot)

    def pass_by(self, seconds: float) -> None:
        """Time passes."""
        self.wall += timedelta(seconds=seconds)
        self._since_boot += seconds

    def set_by(self, **change: float) -> None:
        """Somebody sets the machine's clock."""
        self.wall += timedelta(**change)
