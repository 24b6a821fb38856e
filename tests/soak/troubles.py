# SPDX-License-Identifier: GPL-2.0-or-later
"""What fails in turn while transfers go on, and comes back."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from tests.support.configuration import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.soak.world import World

AWAY_S = 2.0
STEP_S = 3600
SOURCE = Path(__file__).parents[1] / "support" / "stepped_clock.c"


class SteppedClock:
    """The time of day of a program that is preloaded with `environment`."""

    def __init__(self, directory: Path) -> None:
        library, self._file = directory / "stepped_clock.so", directory / "clock"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_STEP": str(self._file)}
        self.set_to(0)

    def set_to(self, seconds: int) -> None:
        """How far it is off the machine's."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:  # the same file, for it is mapped
            file.write((seconds * 1_000_000_000).to_bytes(8, "little", signed=True))


class Troubles:
    """All of them, in turn."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.counts: dict[str, int] = {}

    @property
    def each(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What can fail."""
        return (
            self.broker_restarted,
            self.connections_to_the_pbx_cut,
            self.clock_an_hour_ahead,
            self.name_server_restarted,
            self.sip_connections_cut,
            self.pbx_restarted,
            self.clock_an_hour_behind,
            self.configuration_reloaded,
        )

    async def play(self, seconds: float) -> None:
        """So that each comes at least once within so many seconds, and again every minute."""
        every_s = min(60.0 / len(self.each), max(AWAY_S, seconds / (len(self.each) + 1)) - AWAY_S / 2)
        while True:
            for trouble in self.each:
                await asyncio.sleep(every_s)
                await trouble()
                name = trouble.__name__.replace("_", " ")
                self.counts[name] = self.counts.get(name, 0) + 1

    async def broker_restarted(self) -> None:
        """It keeps what its subscribers have not got yet."""
        await self._world.broker.stop()
        await asyncio.sleep(AWAY_S)
        await self._world.broker.start()

    async def connections_to_the_pbx_cut(self) -> None:
        """The manager interface's."""
        self._world.manager.drop()

    async def sip_connections_cut(self) -> None:
        """Those of the platform that speaks TCP, as its crash does."""
        self._world.streams.drop(reset=True)

    async def pbx_restarted(self) -> None:
        """Its phones, its calls and its manager interface are gone."""
        manager, port = self._world.manager, self._world.manager.port
        await manager.stop()
        manager.restarted()
        await self._world.pbxs["good"].station.restarts(AWAY_S)
        await manager.listen(port)

    async def name_server_restarted(self) -> None:
        """Names that are known for five seconds cannot be asked for meanwhile."""
        await self._world.names.__aexit__()
        await asyncio.sleep(AWAY_S)
        await self._world.names.__aenter__()

    async def clock_an_hour_ahead(self) -> None:
        """Somebody sets the clock."""
        self._world.clock.set_to(STEP_S)

    async def clock_an_hour_behind(self) -> None:
        """… and sets it right, an hour back."""
        self._world.clock.set_to(0)

    async def configuration_reloaded(self) -> None:
        """It is the same as before."""
        with suppress(aiohttp.ClientError):  # a machine that is too busy takes so long that the connection is closed
            status, text = await self._world.gateway.http("POST", "/api/reload", token=TOKEN)
            assert status == 200, text
