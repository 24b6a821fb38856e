# SPDX-License-Identifier: GPL-2.0-or-later
"""What may be told of an Asterisk: its snapshot, as far as that is fresh and believed, or why its state is unknown."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from gateway.core.model import PbxState
from gateway.core.state_sources import StateSource
from gateway.pbx.asterisk.after_restart import AfterRestart, Watched
from gateway.pbx.asterisk.pace import Pace
from gateway.pbx.asterisk.snapshot import Snapshot
from gateway.pbx.steady_clock import SteadyClock
from gateway.ports import Clock

JUST_STARTED = "the PBX has just started"
_NOT_YET = "not connected to the PBX yet"


class KnownState:
    """Follows a snapshot that others fill, and tells `changed` of each new state. Unknown until `settle` is called."""

    def __init__(
        self,
        pbx: str,
        snapshot: Snapshot,
        after_restart: AfterRestart,
        withheld: Callable[[], Mapping[tuple[str, str], str]],
        changed: Callable[[PbxState], None],
        *,
        max_age: timedelta,
        clock: Clock,
        ages: SteadyClock,
        tell_s: float,
        log: FilteringBoundLogger,
    ) -> None:
        """`withheld`: what the PBX refuses to tell, and how; `tell_s`: seconds, at least, between two changes told."""
        self._pbx = pbx
        self._snapshot = snapshot
        self._after_restart = after_restart
        self._withheld = withheld
        self._changed = changed
        self._max_age = max_age
        self._clock = clock
        self._ages = ages
        self._log = log
        self._tell = Pace(clock, tell_s, self._tell_change)
        self._proven_at = ages()
        self._state = PbxState(pbx, StateSource.AMI, None, max_age, unknown_because=_NOT_YET)
        self._counted = True  # whether _state holds what _snapshot says
        self._doubted: frozenset[Watched] = frozenset()

    @property
    def now(self) -> PbxState:
        """The newest state; waiting times and `proven_at` are those of now."""
        state = self._state
        if state.proven_at is not None:
            if not self._counted or any(q.callers for q in state.queues.values()):
                self._state = self._count()
            elif state.proven_at != (proven_at := self._ages.on_the_wall(self._proven_at)):
                self._state = replace(state, proven_at=proven_at)
        return self._state

    @property
    def alive(self) -> bool:
        """Whether the PBX proved to be alive within `max_age`, and does not refuse all that it is asked."""
        return self._ages() - self._proven_at <= self._max_age and not self._refused()

    def prove(self) -> None:
        """The PBX has just proved to be alive."""
        self._proven_at = self._ages()

    def change(self) -> bool:
        """Take that the snapshot has changed; False: nothing is told of it, as the PBX is unknown."""
        self._counted = False
        if self._state.proven_at is None:
            return False
        self._tell()
        return True

    def settle(self, ready: bool) -> None:
        """Become known, or unknown again, as the PBX's start demands; `ready`: everything was read."""
        presence, now = self._snapshot.presence(), self._clock.now().steady
        if not ready or not self._after_restart.settled(presence, now):
            self.become_unknown(JUST_STARTED)
        elif because := self._refused():
            self.become_unknown(because)
        elif self._state.proven_at is None:
            proven_at = self._ages.on_the_wall(self._proven_at)
            self._state = replace(self._state, proven_at=proven_at, unknown_because="")
            self._log.info("pbx-known")
            self.change()
        elif self._after_restart.doubted(presence, now) != self._doubted:
            self.change()

    def become_unknown(self, because: str) -> None:
        """Know nothing from now on."""
        if self._state.proven_at is not None:
            self._after_restart.remember(self._snapshot.presence(), self._clock.now().steady)
        elif because == self._state.unknown_because:
            return
        self.be_silent()
        self._state = PbxState(self._pbx, StateSource.AMI, None, self._max_age, unknown_because=because)
        self._changed(self._state)

    def be_silent(self) -> None:
        """Tell nothing of the changes up to now."""
        self._tell.cancel()

    def _count(self) -> PbxState:
        queues, extensions = self._snapshot.queue_states(self._ages()), self._snapshot.extension_states()
        self._doubted = self._after_restart.doubted(self._snapshot.presence(), self._clock.now().steady)
        self._counted = True
        return replace(
            self._state,
            proven_at=self._ages.on_the_wall(self._proven_at),
            queues={name: state for name, state in queues.items() if ("queue", name) not in self._doubted},
            extensions={name: state for name, state in extensions.items() if ("extension", name) not in self._doubted},
            unsettled=self._doubted,
            withheld=self._withheld(),
        )

    def _refused(self) -> str:
        """Why nothing at all is told; empty: something is, or not everything was refused."""
        withheld = self._withheld()
        everything = withheld and len(withheld) == len(self._snapshot.queues) + len(self._snapshot.extensions)
        return next(iter(withheld.values())) if everything and not self._snapshot.presence() else ""

    def _tell_change(self) -> None:
        if self._state.proven_at is not None:
            self._changed(self.now)
