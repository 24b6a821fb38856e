# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway between several pairs of a platform and a PBX, with all that it has in production.

One or two pairs ask for too much; one is quiet, and one has calls that last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.compare.systems import PBX_PORT, ROOM, GatewaySystem
from tests.support.company import DESTINATIONS

if TYPE_CHECKING:
    from tests.support.configuration import Configuration
    from tests.support.gateway import Gateway
    from tests.support.processes import Net

GREEDY = ("greedy-1", "greedy-2")
QUIET, TALKING = "quiet", "talking"
FIRST_HOST = 60
OUTCOMES = "transfer_gateway_transfers_total"


@dataclass(frozen=True)
class Side:
    """Where a pair's platform and PBX are, and the number that callers dial there."""

    pbx: str
    trunk: str
    number: str


def sides(net: Net) -> dict[str, Side]:
    """The pairs, by their names."""
    return {
        name: Side(net.host(FIRST_HOST + 2 * at), net.host(FIRST_HOST + 2 * at + 1), f"+3120123459{at}")
        for at, name in enumerate((*GREEDY, QUIET, TALKING))
    }


class CrowdedSystem(GatewaySystem):
    """The gateway of the comparison, with these pairs besides its own."""

    def made(self, files: Configuration) -> Gateway:
        for name, side in sides(self._net).items():
            files.trunk(f"{name}-trunk", side.trunk, options_interval_s=0)
            files.pbx(f"{name}-pbx", f"sip:{side.pbx}:{PBX_PORT}")
            anna = {"id": "anna", **DESTINATIONS["anna"], "max_concurrent": ROOM}
            files.number(name, side.number, f"{name}-trunk", f"{name}-pbx", [anna])
        return super().made(files)

    async def outcomes(self) -> dict[str, int]:
        """How many transfers have ended how so far."""
        return await self.gateway.counts(OUTCOMES, "outcome")

    async def waiting(self) -> int:
        """Events that the broker has not taken yet."""
        status = await self.gateway.get("/api/status")
        return int(status["outbox"]["events"]) + int(status["outbox"]["unwritten"])

    def journal_mb(self) -> float:
        """What journal and history take on disk."""
        return sum(file.stat().st_size for file in (self.gateway.directory / "state").glob("*.db*")) / (1 << 20)
