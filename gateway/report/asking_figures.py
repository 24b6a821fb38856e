# SPDX-License-Identifier: GPL-2.0-or-later
"""Who asks for figures beside the calls: one question after the other, in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.report.store_file import StoreError
from gateway.report.worker import BusyError, Worker

if TYPE_CHECKING:
    from gateway.core.model import AssignedNumber
    from gateway.ports.history import FiguresQuery

MOST_WAITING = 4


class FiguresAsking:
    """See the module. What makes figures is loaded with the first question: most gateways are never asked."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._worker = Worker("figures", most=MOST_WAITING)

    async def figures(self, query: FiguresQuery, numbers: Sequence[AssignedNumber]) -> Mapping[str, Any]:
        """The document of `/api/figures`; days are those by the clocks of the numbers' hours. Raises StoreError."""
        try:
            return await self._worker.run(self._figures, query, numbers)
        except BusyError:
            raise StoreError(f"{MOST_WAITING} others ask for figures already; ask again in a moment") from None

    async def stop(self) -> None:
        """End the thread, once it has done what it was given."""
        self._worker.stop()

    def _figures(self, query: FiguresQuery, numbers: Sequence[AssignedNumber]) -> Mapping[str, Any]:
        from gateway.report.figures.funnel import figures  # noqa: PLC0415
        from gateway.report.figures.zones import Zones  # noqa: PLC0415

        return figures(self._directory, query, Zones(numbers).of)
