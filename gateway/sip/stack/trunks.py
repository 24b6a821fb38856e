# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether each trunk is there: by its registration where we register, else by its answers to OPTIONS."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

import pjsua2 as pj
import structlog

from gateway.config import TrunkProfile
from gateway.ports import Clock, Timer

log = structlog.get_logger(__name__)

# Made by our own transaction layer as well, when nobody answers or nothing can be sent (RFC 3261 §8.1.3.1).
NOT_FOUND = 502  # what PJSIP has of a name that is not found, as of a proxy that says so
UNANSWERED = (408, NOT_FOUND, 503)
TIMED_OUT = 408
AGAIN_S, REFUSED_AGAIN_S = 30.0, 300.0
"""When a registration that is not there is asked for again. PJSUA does so by itself after answers that it holds for
temporary, and never after others, which may pass as well: a registrar that has lost its database says 403 or 404."""
SHORT_S = 10
"""What the binding makes of a shorter registration (registrations.cpp): that is renewed every five seconds."""
WRONG_PASSWORD = (401, 403, 407)
"""Asked often with a password that is refused, some registrars lock the account."""


class TrunkWatch:
    """Tells `changed(trunk, up)` at the first finding and whenever it changes."""

    def __init__(self, changed: Callable[[str, bool], None], clock: Clock) -> None:
        self._changed = changed
        self.register: Callable[[str], None] = lambda _name: None
        """Asks a trunk's registrar again."""
        self._clock = clock
        self._up: dict[str, bool] = {}
        self._since: dict[str, datetime] = {}
        self._codes: dict[str, int] = {}  # of those that are down
        self._asked: dict[int, str] = {}
        self._tokens = itertools.count(1)
        self._accounts: Mapping[str, int] = {}
        self._trunks: Mapping[str, TrunkProfile] = {}
        self._timers: dict[str, Timer] = {}
        self._short: set[str] = set()

    @property
    def up(self) -> Mapping[str, bool | None]:
        """What is known, by trunk; None of one that nobody asks."""
        return {name: self._up.get(name, False) if trunk.is_asked else None for name, trunk in self._trunks.items()}

    @property
    def since(self) -> Mapping[str, datetime]:
        """When that was found that is known, by trunk; one that was not heard of yet is not among them."""
        return {name: self._since[name] for name in self._up}

    @property
    def failures(self) -> Mapping[str, str]:
        """What came of the last question to each that does not answer."""
        return {name: self._why(name, code) for name, code in self._codes.items() if name in self._trunks}

    def _why(self, name: str, code: int) -> str:
        what = "the registration" if self._trunks[name].registers else "OPTIONS"
        if code == TIMED_OUT:
            return f"no answer to {what}"
        if code == NOT_FOUND:
            return f"{what}: {code}, or its name was not found (name-not-found in the log)"
        return f"{what}: {code}, or no way leads there" if code in UNANSWERED else f"{what}: {code}"

    def watch(self, trunks: Mapping[str, TrunkProfile], accounts: Mapping[str, int]) -> None:
        """Watch these from now on; `accounts` are PJSUA's, by peer."""
        self.stop()
        self._trunks, self._accounts = trunks, accounts
        # What was known of one that is asked no more is no finding once it is asked again.
        self._up = {name: up for name, up in self._up.items() if name in trunks and trunks[name].is_asked}
        self._codes = {name: code for name, code in self._codes.items() if name in self._up}
        for name, trunk in trunks.items():
            if trunk.is_asked and not trunk.registers:
                self._ask(name, trunk)
            elif trunk.registers and self._up.get(name) is False:
                self._register_later(name, AGAIN_S)

    def stop(self) -> None:
        """Ask no more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._trunks = {}

    def answered(self, token: int, code: int) -> None:
        """An OPTIONS was answered, or was not."""
        name = self._asked.pop(token, None)
        if name is not None:
            self._found(name, code not in UNANSWERED, code)

    def registered(self, name: str, active: bool, code: int, granted_s: int) -> None:
        """The registration at a trunk was answered, or was not."""
        up = active and code // 100 == 2
        if up:
            self._note_length(name, granted_s)
        self._found(name, up, code)
        if timer := self._timers.pop(name, None):
            timer.cancel()
        if not up and name in self._trunks and self._trunks[name].registers:
            self._register_later(name, REFUSED_AGAIN_S if code in WRONG_PASSWORD else AGAIN_S)

    def _note_length(self, name: str, granted_s: int) -> None:
        """Say so once, while a registrar grants so little that the trunk may not find us half of the time."""
        if granted_s > SHORT_S:
            self._short.discard(name)
        elif name not in self._short:
            self._short.add(name)
            log.warning("registration-short", trunk=name)

    def _register_later(self, name: str, after_s: float) -> None:
        self._timers[name] = self._clock.after(after_s, partial(self.register, name))

    def _ask(self, name: str, trunk: TrunkProfile) -> None:
        self._timers[name] = self._clock.after(trunk.options_interval_s, partial(self._ask, name, trunk))
        if name in self._asked.values():
            return  # the last one is still waiting: a transaction takes 32 s to give up
        token = next(self._tokens)
        self._asked[token] = name
        if not pj.send_options(self._accounts[name], trunk.outbound, token):
            self.answered(token, 503)

    def _found(self, name: str, up: bool, code: int) -> None:
        if name not in self._trunks:
            return
        if up:
            self._codes.pop(name, None)
        else:
            self._codes[name] = code
        if self._up.get(name) is up:
            return
        self._up[name], self._since[name] = up, self._clock.now().wall
        if up:
            log.info("trunk-up", trunk=name)
        else:
            log.warning("trunk-down", trunk=name, code=code)
        self._changed(name, up)
