# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources of the PBXs' state: one for each PBX that has one, and a new one where its settings change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.background import BackgroundTasks
from gateway.pbx.back_off import back_off_s
from gateway.pbx.sources import needs_new_source, source_of
from gateway.ports import sleep

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.ports import Clock, ExtensionWatcher, FollowedPbx, PbxListener

AGAIN_S = 1.0, 30.0
"""How long a source that has failed rests, at first and at most."""

log = structlog.get_logger("app")


class Following:
    """`sources` are those that run, by the names of their PBXs."""

    def __init__(self, listener: PbxListener, watcher: ExtensionWatcher, clock: Clock) -> None:
        self._listener = listener
        self._watcher = watcher
        self._clock = clock
        self._tasks = BackgroundTasks()
        self._followed: Config | None = None
        self.sources: dict[str, FollowedPbx] = {}

    def follow(self, config: Config) -> None:
        """Follow the PBXs of this configuration from now on."""
        kept = {name for name in self.sources if self._followed and not _is_new(self._followed, config, name)}
        # All are made before one is started: it may be that one cannot be.
        made = {
            name: source
            for name in config.pbxs
            if name not in kept and (source := source_of(config, name, self._listener, self._clock, self._watcher))
        }
        self._followed = config
        for name in [name for name in self.sources if name not in kept]:
            del self.sources[name]
            self._tasks.end(name)
        for name in kept:
            self.sources[name].reconfigure(*config.watched(name))
        for name, source in made.items():
            self.sources[name] = source
            self._tasks.begin(name, self._keep_running(name, source))

    async def _keep_running(self, name: str, source: FollowedPbx) -> None:
        """Run a source until cancelled: a fault of ours must not silence a PBX for ever."""
        failures = 0
        while True:
            try:
                await source.run()
            except Exception:
                log.exception("pbx-source-failed", pbx=name)
            failures += 1
            await sleep(self._clock, back_off_s(failures, *AGAIN_S))

    async def stop(self) -> None:
        """Follow none of them any more."""
        await self._tasks.stop()


def _is_new(before: Config, now: Config, name: str) -> bool:
    return name not in now.pbxs or needs_new_source(before, now, name)
