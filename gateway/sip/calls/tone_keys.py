# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that come as tones in the audio of legs that are asked; binding/key_tones.hpp says how they are heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.model import LegId
    from gateway.ports import Clock, Timer

log = structlog.get_logger(__name__)

OFTEN_S = 0.04
"""How often to look whether a key was heard."""


class ToneKeys:
    """Listens to the ports of legs in the conference bridge; nobody else's audio is looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: dict[LegId, tuple[pj.ToneListener, str]] = {}
        self._timer: Timer | None = None
        self._pressed: Callable[[LegId, str], None] = lambda _leg, _key: None

    def tell(self, pressed: Callable[[LegId, str], None]) -> None:
        """Have each key told."""
        self._pressed = pressed

    def listen(self, leg: LegId, keys: str, port: pj.AudioMedia | None) -> None:
        """A leg is asked for one of these keys from now on; `port` None: it has no audio yet.

        Speech that is mistaken for a key is mistaken for any of sixteen: others than these are left out.
        """
        try:
            self._listeners[leg] = pj.ToneListener(), keys
        except RuntimeError as error:
            log.warning("no-tones", leg=leg, error=str(error))
            return
        if port is not None:
            self.negotiated(leg, port)
        if self._timer is None:
            self._timer = self._clock.after(OFTEN_S, self._look)

    def negotiated(self, leg: LegId, port: pj.AudioMedia) -> None:
        """A leg has a (new) port."""
        if leg not in self._listeners:
            return
        listener, _ = self._listeners[leg]
        try:
            port.startTransmit(listener)
        except pj.Error as error:  # it went away with its stream
            log.warning("not-connected", why=error.info())

    def forget(self, leg: LegId) -> None:
        """The leg is asked for no key any more."""
        self._listeners.pop(leg, None)

    def stop(self) -> None:
        """Let go of everything."""
        if self._timer is not None:
            self._timer.cancel()
        self._listeners.clear()

    def _look(self) -> None:
        for leg, (listener, keys) in list(self._listeners.items()):
            for key in listener.take():
                if key in keys:
                    self._pressed(leg, key)
        self._timer = self._clock.after(OFTEN_S, self._look) if self._listeners else None
