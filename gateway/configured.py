# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration as operators may look at it: what is in force, and what `check` says of the files as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.config.shown import check_document, configuration_document
from gateway.core.json_form import timestamp
from gateway.ports import UnreadableError

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.reloading import Reloader

CHECK_EVERY_S = 10.0
"""The files are read no more often than that, whoever asks."""
ANSWER_S = 10.0
"""A file system that takes longer hangs."""


class Configured:
    """See the module; both answers are made in a thread, and kept for whoever asks next."""

    def __init__(self) -> None:
        self._of: Config | None = None
        self._document: Mapping[str, Any] = {}
        self._check: asyncio.Task[Mapping[str, Any]] | None = None
        self._check_of: Config | None = None
        self._checked_at = 0.0

    async def in_force(self, reloader: Reloader) -> Mapping[str, Any]:
        """The keys that are shown, JSON-able."""
        config, since = reloader.config, reloader.loaded_at
        if self._of is not config:
            self._document = await asyncio.to_thread(configuration_document, config)
            self._of = config
        return {"loaded_at": timestamp(since), **self._document}

    async def check(self, reloader: Reloader) -> Mapping[str, Any]:
        """Mistakes, warnings and what is not in force, JSON-able. Raises UnreadableError."""
        config, now = reloader.config, asyncio.get_running_loop().time()
        is_old = self._check_of is not config or now - self._checked_at >= CHECK_EVERY_S
        if self._check is None or (self._check.done() and is_old):
            self._check_of, self._checked_at = config, now
            self._check = asyncio.create_task(asyncio.to_thread(check_document, config), name="check")
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await asyncio.shield(self._check)
        except TimeoutError:
            raise UnreadableError(f"{config.directory} is still being read") from None
        return {**found, "restart_needed": list(reloader.restart_needed)}

    async def stop(self) -> None:
        """Wait for nothing that is being read."""
        if self._check is not None:
            self._check.cancel()
