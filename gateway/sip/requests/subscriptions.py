# SPDX-License-Identifier: GPL-2.0-or-later
"""Subscriptions of ours to what a PBX tells of its extensions (RFC 6665), for whoever makes sense of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pjsua2 as pj
import structlog

from gateway.ports import Clock, NotSent, NotSentError, WatchListener

log = structlog.get_logger(__name__)

# The PBX keeps a subscription of which it hears nothing for so long. Whether it still knows it is asked far more often.
EXPIRES_S = 600
PARTING_S = 1.0
PARTING_LOOKS = 50
UNSENT = 503  # RFC 3261 §8.1.3.1


class Subscriptions:
    """Implements ports.ExtensionWatcher. Listeners are called from the loop, never from within PJSIP."""

    def __init__(self, address: Callable[[str, str], tuple[int, str]], kick: Callable[[], None], clock: Clock) -> None:
        """`address(pbx, extension)`: PJSUA's account and the URI to subscribe to; raises NotSentError."""
        self._address = address
        self._kick = kick
        self._clock = clock
        self._listeners: dict[int, WatchListener] = {}
        self._open = True

    @property
    def count(self) -> int:
        """How many there are, those included whose end was not confirmed yet."""
        return pj.watch_count()

    def watch(self, pbx: str, extension: str, package: str, listener: WatchListener) -> int:
        """See ports.ExtensionWatcher."""
        if not self._open:
            raise NotSentError(NotSent.STOPPING, "the gateway stops")
        account, uri = self._address(pbx, extension)
        watch = pj.watch(account, uri, package, EXPIRES_S)
        if watch < 0:
            raise NotSentError(NotSent.REFUSED, "the SUBSCRIBE could not be sent")
        self._listeners[watch] = listener
        self._kick()
        return watch

    def confirm(self, watch: int) -> None:
        """See ports.ExtensionWatcher."""
        if self._open and watch in self._listeners:
            if not pj.refresh_watch(watch, EXPIRES_S):
                pj.end_watch(watch)
                self.ended(watch, UNSENT, "", -1)
            self._kick()

    def unwatch(self, watch: int) -> None:
        """See ports.ExtensionWatcher."""
        if self._listeners.pop(watch, None) is not None and self._open:
            pj.end_watch(watch)
            self._kick()

    async def stop(self) -> None:
        """End them all, and give the PBXs a moment to hear of it; before PJSIP ends."""
        for watch in list(self._listeners):
            self.unwatch(watch)
        self._open = False
        for _ in range(PARTING_LOOKS):
            if not self.count:
                break
            await asyncio.sleep(PARTING_S / PARTING_LOOKS)

    # --- what the binding tells, from within PJSIP

    def notified(self, watch: int, phase: str, content_type: str, body: str) -> None:
        """A NOTIFY came; what a subscription says that is still pending may not be true (RFC 6665 §4.1.3)."""
        if phase.lower() == "active":
            self._tell(
                watch, lambda to: to.watch_told(watch, content_type.lower(), body.encode(errors="surrogateescape"))
            )

    def refreshed(self, watch: int) -> None:
        """A SUBSCRIBE was answered with a 2xx."""
        self._tell(watch, lambda to: to.watch_confirmed(watch))

    def ended(self, watch: int, code: int, reason: str, retry_after_s: int) -> None:
        """It is over."""
        after = retry_after_s if retry_after_s >= 0 else None

        def tell(to: WatchListener) -> None:
            self._listeners.pop(watch, None)
            to.watch_ended(watch, code, reason, after)

        self._tell(watch, tell)

    def _tell(self, watch: int, tell: Callable[[WatchListener], None]) -> None:
        def later() -> None:
            if self._open and (listener := self._listeners.get(watch)):
                tell(listener)

        self._clock.after(0, later)
