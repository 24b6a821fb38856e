# SPDX-License-Identifier: GPL-2.0-or-later
"""The calls under way, found by their id and by their legs."""

from collections import Counter
from collections.abc import Iterator

from gateway.core.call.state import Call, Running
from gateway.core.model import LegId, TransferId
from gateway.engine.call_book import CallBook


class Calls:
    """Calls that have legs; one that lost its last leg stays in sight for the engine until its transfers have ended."""

    def __init__(self, book: CallBook) -> None:
        self.book = book
        self._by_id: dict[str, Call] = {}
        self._by_leg: dict[LegId, tuple[str, ...]] = {}
        self._by_transfer: dict[str, str] = {}
        self._with_legs = 0
        self._by_peer: Counter[str] = Counter()
        self._by_destination: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._with_legs

    def __iter__(self) -> Iterator[Call]:
        return iter([call for call in self._by_id.values() if call.legs])

    def get(self, call_id: str) -> Call | None:
        """The call with this id, unless it has no leg any more."""
        call = self._by_id.get(call_id)
        return call if call is not None and call.legs else None

    def known(self, call_id: str) -> Call | None:
        """The call with this id, also when its transfers are all that is left of it."""
        return self._by_id.get(call_id)

    def of(self, leg: LegId) -> Call | None:
        """The call this leg belongs to."""
        return next((call for call in self.involving(leg) if leg in call.legs), None)

    def involving(self, leg: LegId) -> list[Call]:
        """The calls that are to hear of this leg: first the one in whose transfer it takes part."""
        found = [self._by_id[each] for each in self._by_leg.get(leg, ())]
        return sorted(found, key=lambda call: call.transferring(leg) is None)

    def transferring(self, leg: LegId) -> Running | None:
        """The transfer in which this leg takes part."""
        return next((running for call in self.involving(leg) if (running := call.transferring(leg))), None)

    @property
    def running(self) -> list[tuple[Call, Running]]:
        """The transfers under way."""
        return [(call, running) for call in self._by_id.values() for running in call.transfers]

    def transfer(self, which: str) -> tuple[Call, Running] | None:
        """The transfer with this id, and its call."""
        call = self._by_id.get(self._by_transfer.get(which, ""))
        running = call.running(TransferId(which)) if call else None
        return (call, running) if call and running else None

    def target(self, name: str) -> tuple[Call, Running, LegId] | None:
        """The transfer whose target the PBX names so: by a SIP Call-ID or, once handed down, the transfer's id."""
        for transfer, call_id in self._by_transfer.items():
            call = self._by_id[call_id]
            running = call.running(TransferId(transfer))
            if running is None or running.over:
                continue
            if running.handed is not None and running.id == TransferId(name):
                return call, running, running.handed
            if running.record.call_ids.get("target") == name:
                return call, running, running.machine.target
        return None

    def put(self, call: Call) -> None:
        """Begin to know a call, or know it as it is now."""
        before = self._by_id.get(call.id)
        had, has = before.involved if before else frozenset(), call.involved
        self._by_id[call.id] = call
        self.book.see(call)
        self._with_legs += bool(call.legs) - bool(before and before.legs)
        self._count(before, call)
        self._by_transfer |= {running.id: call.id for running in call.transfers}
        for running in before.transfers if before else ():
            if call.running(running.id) is None:
                del self._by_transfer[running.id]
        for leg in has - had:
            self._by_leg[leg] = (*self._by_leg.get(leg, ()), call.id)
        for leg in had - has:
            self._forget(leg, call.id)

    def refused(self, running: Running) -> None:
        """Know of a transfer that was refused, and belongs to no call."""
        self.book.see_refused(running)

    def remove(self, call_id: str) -> None:
        """The call is over, and nothing is left of it."""
        call = self._by_id.pop(call_id)
        self._with_legs -= bool(call.legs)
        self._count(call, None)
        for running in call.transfers:
            del self._by_transfer[running.id]
        for leg in call.involved:
            self._forget(leg, call_id)

    def _forget(self, leg: LegId, call_id: str) -> None:
        left = tuple(one for one in self._by_leg[leg] if one != call_id)
        if left:
            self._by_leg[leg] = left
        else:
            del self._by_leg[leg]

    def _count(self, before: Call | None, now: Call | None) -> None:
        """Keep count, so that a request costs the same however many calls there are."""
        for counts, told in ((self._by_peer, _peers), (self._by_destination, _destinations)):
            had, has = told(before), told(now)
            if had != has:
                counts.update(has)
                counts.subtract(had)
                for name in had:
                    if not counts[name]:
                        del counts[name]

    def per_peer(self) -> Counter[str]:
        """How many calls each peer has begun, by its name."""
        return self._by_peer.copy()

    def per_destination(self) -> Counter[str]:
        """How many conversations and attempts each destination has."""
        return self._by_destination.copy()


def _peers(call: Call | None) -> list[str]:
    return [call.begun_by] if call is not None and call.legs and call.begun_by else []


def _destinations(call: Call | None) -> list[str]:
    if call is None:
        return []
    trying = [one.machine.destination for one in call.transfers if one.holds_transferee or one.keeps_place]
    talking = [call.destination] if call.destination and call.legs else []
    return [*talking, *(destination.id for destination in trying if destination)]
