# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is let in at all: tells the binding the peers' addresses and rates, and tells of what it has turned away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.config import TrunkProfile
from gateway.core.outcome import Reason
from gateway.ports import Stranger

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.moment import Moment
    from gateway.ports import Clock, Timer

log = structlog.get_logger(__name__)

ASK_S = 1.0
SUM_S = 60.0
MOST_SOURCES = 256
"""So many sources are told apart within SUM_S; the others share a line that names none."""

KEPT_S = 3600.0
MOST_KEPT = 16
"""Of so many strangers, the last ones, it is known for so long that they were there."""

Key = tuple[Reason, str]
"""Why, and the address: empty for many."""


@dataclass(slots=True)
class _Sum:
    until: float
    more: int = 0  # since the line about the first


class Tally:
    """Counts what is turned away, and logs the first of a source at once, the rest of the minute's in one line.

    Who was turned away because no profile has the address is known for an hour: it may be a platform's.
    """

    def __init__(self, rejected: Callable[[Reason, int], None], clock: Clock) -> None:
        self._rejected = rejected
        self._clock = clock
        self._sums: dict[Key, _Sum] = {}
        self._strangers: dict[str, tuple[int, Moment]] = {}  # by source, the last at the end

    @property
    def strangers(self) -> list[Stranger]:
        """Who was turned away within the last hour, of no profile; the last of them first."""
        since = self._clock.now().steady - KEPT_S
        found = [(source, *told) for source, told in reversed(self._strangers.items()) if told[1].steady > since]
        return [Stranger(source, requests, at.wall) for source, requests, at in found]

    def add(self, reason: Reason, source: str, method: str = "", count: int = 1) -> None:
        """So many requests of a source were turned away."""
        self._rejected(reason, count)
        if reason is Reason.PEER_NOT_ALLOWED and source:
            self._remember(source, count)
        key = (reason, source)
        if key not in self._sums and len(self._sums) >= MOST_SOURCES:
            key = (reason, "")
        if known := self._sums.get(key):
            known.more += count
            return
        self._sums[key] = _Sum(self._clock.now().steady + SUM_S)
        more = {"method": method} if method else {}
        if count > 1:
            more |= {"requests": str(count)}
        log.warning("request-rejected", source=source or "many", reason=str(reason), code=reason.sip_code, **more)

    def _remember(self, source: str, count: int) -> None:
        now = self._clock.now()
        before, at = self._strangers.pop(source, (0, now))
        self._strangers[source] = (before if now.steady - at.steady <= KEPT_S else 0) + count, now
        if len(self._strangers) > MOST_KEPT:
            del self._strangers[next(iter(self._strangers))]

    def admit(self, is_peer: Callable[[str], bool]) -> None:
        """Whose address is a peer's by now is no stranger any more."""
        for source in list(self._strangers):
            if is_peer(source):
                del self._strangers[source]

    def tell(self, *, all_of_it: bool = False) -> None:
        """Log the sums whose minute is over."""
        now = self._clock.now().steady
        for (reason, source), counted in list(self._sums.items()):
            if now < counted.until and not all_of_it:
                continue
            del self._sums[reason, source]
            if counted.more:
                log.warning("requests-rejected", source=source or "many", reason=str(reason), requests=counted.more)


class Front:
    """The binding's front module, kept up to date; `start()` it with the peers, and `stop()` it before PJSIP ends."""

    def __init__(self, rejected: Callable[[Reason, int], None], clock: Clock) -> None:
        self._clock = clock
        self.tally = Tally(rejected, clock)
        self._known: set[int] = set()
        self._timer: Timer | None = None

    def configure(self, config: Config, accounts: Mapping[str, int]) -> None:
        """Take the peers of a configuration; `accounts` are PJSUA's, by peer."""
        sip = config.sip
        own = (sip.bind_address, sip.bind_address6, sip.public_address, sip.public_address6)
        pj.know_ourselves([address for address in own if address])
        now: set[int] = set()
        for profile in (*config.trunks.values(), *config.pbxs.values()):
            trunk = profile if isinstance(profile, TrunkProfile) else None
            account = accounts[profile.name]
            rate = trunk.calls_per_second if trunk else 0.0
            networks = [str(network) for network in profile.networks()]
            pj.know_peer(account, networks, rate, trunk is not None and trunk.challenge)
            now.add(account)
        for gone in self._known - now:
            pj.know_peer(gone, [], 0.0, False)
        self._known = now
        self.tally.admit(lambda source: config.peer_for(source) is not None)
        if self._timer is None:
            self._ask()

    def stop(self) -> None:
        """Ask no more, and tell what is left."""
        if self._timer is not None:
            self._timer.cancel()
        self.tally.tell(all_of_it=True)

    def _ask(self) -> None:
        self._timer = self._clock.after(ASK_S, self._ask)
        for line in pj.turned_away():
            count, reason, source = line.split(" ")
            self.tally.add(Reason(reason), source, count=int(count))
        self.tally.tell()
