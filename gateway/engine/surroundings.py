# SPDX-License-Identifier: GPL-2.0-or-later
"""What decisions depend on besides the calls: the configuration, the time, and what the PBXs tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from gateway.core import gate
from gateway.core.assistant import cut
from gateway.core.availability import availability_document, would_accept
from gateway.core.model import Announcement, Elsewhere, Load, PbxState
from gateway.core.routing import destination_meant
from gateway.core.staffing import seen_by_caller, wait_of_last_s
from gateway.engine.drain import Drain
from gateway.engine.registry import Calls
from gateway.ports import Clock, PbxSource, UnknownDestinationError

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.call.state import Running


class Uploads(Protocol):
    """Sounds that were uploaded for one transfer each."""

    def take(self, name: str, number: str, transfer: str) -> Announcement | None:
        """The sound of this name, for this transfer of a call of this number and no other; None: there is none."""

    def release(self, transfer: str) -> None:
        """The transfer is over."""


class NoUploads:
    """Implements Uploads where nobody can upload any."""

    def take(self, name: str, number: str, transfer: str) -> Announcement | None:
        """See Uploads."""
        return None

    def release(self, transfer: str) -> None:
        """See Uploads."""


@dataclass(slots=True)
class Surroundings:
    """All of it as it is now."""

    config: Config
    clock: Clock
    drain: Drain
    sources: Mapping[str, PbxSource] = field(default_factory=dict)
    uploads: Uploads = field(default_factory=NoUploads)
    elsewhere: Callable[[], Elsewhere] = Elsewhere
    """What the other gateways of the cluster carry."""

    def situation(self, calls: Calls, *, has_room: bool) -> gate.Situation:
        """What the gate looks at, now.

        In a cluster others take the new calls while we drain, and those whose calls are here still are put through,
        unless those calls are about to be left to the next process: it puts them through.
        """
        load = Load(
            len(calls),
            self.config.sip.max_calls,
            calls.per_destination(),
            self.drain.begun and (self.config.cluster is None or self.drain.leaves_calls),
            exhausted=not has_room,
            elsewhere=self.elsewhere(),
        )
        return gate.Situation(self.clock.now().wall, load, {name: one.state for name, one in self.sources.items()})

    def wait_s(self, running: Running | None) -> float | None:
        """How long the caller of a transfer still waits in the queue where its leg is; None: that is not known."""
        destination = running.machine.destination if running is not None else None
        source = self.sources.get(running.record.pbx or "") if running is not None else None
        now = self.clock.now().wall
        if destination is None or destination.queue is None or source is None or not source.state.fresh(now):
            return None
        queue = source.state.queues.get(destination.queue)
        if queue is None:
            return None
        return wait_of_last_s(seen_by_caller(queue, destination.max_penalty, destination.wrap_up, now))

    def identify(self, pbx: str, sip_call_id: str) -> bool:
        """Have a PBX say who has answered the call with this Call-ID; False: it does not know."""
        source = self.sources.get(pbx)
        return source is not None and source.identify(sip_call_id)

    def explain(self, text: str, number: str, at: datetime | None, now: gate.Situation) -> dict[str, Any]:
        """What the gate would say `now`, or at another time. Raises LookupError for an unknown number."""
        routes = self.config.routes
        assigned = routes.number(number)
        if assigned is None:
            raise LookupError(f"{number} is no assigned number")
        situation = now
        if at is not None:
            situation = self._situation_at(gate.on_the_clock(at, text, assigned, routes))
        return gate.explain(text, assigned, routes, situation)

    def availability(self, number: str, destination: str | None, now: gate.Situation) -> dict[str, object]:
        """What the gate would say of a number's destinations. Raises LookupError, or UnknownDestinationError."""
        routes = self.config.routes
        assigned = routes.number(number)
        if assigned is None:
            raise LookupError(f"{number} is no assigned number")
        if destination is None:
            return availability_document(assigned, routes, now)
        found = destination_meant(destination, assigned, routes)
        if found is None:
            raise UnknownDestinationError(f"{assigned.id} has no destination {destination}")
        return availability_document(assigned, routes, now, (found,))

    def assistant(self, number: str, now: gate.Situation) -> Mapping[str, object] | None:
        """The number's assistant, whose `transfer_call` offers what the gate would accept; None: it has none."""
        routes = self.config.routes
        assigned = routes.number(number)
        if assigned is None or assigned.assistant is None:
            return None

        def is_open(entry: object) -> bool:
            asked = entry.get("number") if isinstance(entry, Mapping) else None
            found = destination_meant(asked, assigned, routes) if isinstance(asked, str) else None
            return found is not None and would_accept(found, assigned, routes, now)

        made = cut(assigned.assistant, is_open)
        return made if isinstance(made, Mapping) else None

    def _situation_at(self, at: datetime) -> gate.Situation:
        """What is known of another time: neither calls nor queues."""
        unknown = "asked for another time"
        states = {name: PbxState(name, unknown_because=unknown) for name in self.config.pbxs}
        return gate.Situation(at, Load(max_calls=self.config.sip.max_calls), states)
