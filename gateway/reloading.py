# SPDX-License-Identifier: GPL-2.0-or-later
"""Reloads: one after the other, each of them taken by every part of the gateway or by none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from gateway import systemd
from gateway.config import Config, ConfigError, differences, in_force, load
from gateway.ports import GivenCommand, Reloaded

log = structlog.get_logger("app")

PATIENCE_S = 30.0
"""How long reading the configuration may take: a file system may not answer at all."""
SERVING = "serving"
SIGNAL = "signal"
"""Who asked by SIGHUP, for the audit trail: the system tells no name."""
MOST_LOGGED = 20
"""How many of the changed keys a line of the log names."""

Part = Callable[[Config], None]
"""Takes a configuration, or raises; given the one before it, it goes back to that."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the last reload was refused."""

    at: datetime
    mistakes: Sequence[str]


class Reloader:
    """Holds the configuration in force, and replaces it. `told` hears of the end of each reload.

    `note` is given what came of those that a signal asked for: of others whoever passes them on knows who asked.
    """

    def __init__(
        self,
        started: Config,
        parts: Sequence[Part],
        told: Callable[[Reloader], None],
        note: Callable[[GivenCommand], None] = lambda _: None,
    ) -> None:
        self._started = self.config = started
        self._parts = parts
        self._told = told
        self._note = note
        self._lock = asyncio.Lock()
        self._asked = False
        self._by_signal: asyncio.Task[None] | None = None
        self._begun = self._closed = self._hangs = False
        self.loaded_at = datetime.now(UTC)
        self.restart_needed: tuple[str, ...] = started.outdated
        self.applied: tuple[str, ...] = ()
        """What the reload has changed that was taken last."""
        self.done = 0
        """How many are over, taken or not."""
        self.refusal: Refusal | None = None

    def ask(self) -> None:
        """Reload in the background (SIGHUP), once `begin` was called. One that waits is for all who ask meanwhile."""
        self._asked = True
        if self._begun and (self._by_signal is None or self._by_signal.done()):
            self._by_signal = asyncio.get_running_loop().create_task(self._as_asked(), name="reload")

    def begin(self) -> None:
        """The gateway serves: reload from now on, and now if that was asked for already."""
        self._begun = True
        if self._asked:
            self.ask()

    async def _as_asked(self) -> None:
        while self._asked:
            self._asked = False
            done = await self.reload()
            self._note(GivenCommand(SIGNAL, SIGNAL, "reload", "bad-configuration" if done.mistakes else "done"))

    async def reload(self) -> Reloaded:
        """Load the configuration anew and have every part take it; whatever fails, the old one stays in force."""
        async with self._lock:
            if self._closed:
                return Reloaded(["the gateway is stopping"], self.restart_needed)
            systemd.reloading()
            try:
                self.refusal = await self._reload()
                self.done += 1
                try:
                    self._told(self)
                except Exception:
                    log.exception("reload-not-told")
            finally:
                # Or systemd would hold the gateway for 'reloading' until its next start.
                if not self._closed:
                    systemd.ready(self.summary)
            if self.refusal is not None:
                return Reloaded(self.refusal.mistakes, self.restart_needed)
            return Reloaded((), self.restart_needed, self.applied)

    def close(self) -> None:
        """Reload no more: the gateway stops."""
        if self._lock.locked() and not self._closed:
            systemd.ready(self.summary)
        self._closed = True
        if self._by_signal is not None:
            self._by_signal.cancel()

    @property
    def reloading(self) -> bool:
        """Whether one is under way, or waits to begin."""
        return self._asked or self._lock.locked()

    @property
    def summary(self) -> str:
        """One line for `systemctl status`."""
        said = [SERVING]
        if self.restart_needed:
            said.append(f"restart needed for {', '.join(self.restart_needed)}")
        if self.refusal is not None:
            first, *others = self.refusal.mistakes
            more = f" (and {len(others)} more)" if others else ""
            said.append(f"the reload of {_clock(self.refusal.at)} was refused: {first}{more}")
        return "; ".join(said)

    @property
    def document(self) -> Mapping[str, Any]:
        """What `/api/status` tells: what is in force since when, what came of the last reload, what was read."""
        refusal = self.refusal
        return {
            "loaded_at": _clock(self.loaded_at),
            "applied": list(self.applied),
            "reloads": self.done,
            "reloading": self.reloading,
            "refused_at": _clock(refusal.at) if refusal else None,
            "mistakes": list(refusal.mistakes) if refusal else [],
            "files": {
                name: {"read_at": _clock(datetime.fromtimestamp(file.read_at, UTC)), "renewed_by": file.renewed_by}
                for name, file in self.config.files.items()
            },
        }

    async def _reload(self) -> Refusal | None:
        now = datetime.now(UTC)
        if self._hangs:
            # Or each reload would leave one more thread behind that waits for the file system.
            return Refusal(now, [f"{self._started.directory} is still being read for the reload before"])
        try:
            async with asyncio.timeout(PATIENCE_S):
                config, restart_needed, applied = await asyncio.to_thread(self._read)
            if self._closed:
                return Refusal(now, ["the gateway is stopping"])
            self._take_over(config)
        except ConfigError as error:
            mistakes = [str(mistake) for mistake in error.mistakes]
            log.error("reload-refused", mistakes=mistakes)
            return Refusal(now, mistakes)
        except TimeoutError:
            mistakes = [f"{self._started.directory} could not be read within {PATIENCE_S:.0f} s"]
            log.error("reload-refused", mistakes=mistakes)
            return Refusal(now, mistakes)
        except Exception as error:
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            mistakes = [f"the gateway failed to take it: {what}"]
            log.exception("reload-refused", mistakes=mistakes)
            return Refusal(now, mistakes)
        self.config, self.loaded_at, self.restart_needed, self.applied = config, now, restart_needed, applied
        if restart_needed:
            log.warning("restart-needed", changed=list(restart_needed))
        more = len(self.applied) - MOST_LOGGED
        log.info(
            "reloaded",
            numbers=len(config.numbers),
            applied=list(self.applied[:MOST_LOGGED]),
            further=more if more > 0 else None,
        )
        return None

    def _read(self) -> tuple[Config, tuple[str, ...], tuple[str, ...]]:
        """The configuration, what takes a restart, and what it changes."""
        self._hangs = True
        try:
            config, restart_needed = _prepared(self._started)
            return config, restart_needed, differences(self.config.values, config.values)
        finally:
            self._hangs = False

    def _take_over(self, config: Config) -> None:
        """Have every part take it in one turn of the loop: nobody meets two configurations at a time."""
        before = self.config
        taking: list[Part] = []
        try:
            for part in self._parts:
                taking.append(part)
                part(config)
        except BaseException:
            for part in reversed(taking):
                try:
                    part(before)
                except Exception:
                    log.exception("old-configuration-not-restored", part=getattr(part, "__qualname__", str(part)))
            raise


def _prepared(started: Config) -> tuple[Config, tuple[str, ...]]:
    config, restart_needed = in_force(started, load(started.directory))
    config.prepare()
    return config, restart_needed


def _clock(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
