# SPDX-License-Identifier: GPL-2.0-or-later
"""A source of a PBX's state that follows it for as long as a test wants."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Source(Protocol):
    """What can be run until it is cancelled."""

    async def run(self) -> None: ...


S = TypeVar("S", bound=Source)


@asynccontextmanager
async def followed(source: S) -> AsyncIterator[S]:
    """The source, while it runs."""
    task = asyncio.create_task(source.run())
    try:
        yield source
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
