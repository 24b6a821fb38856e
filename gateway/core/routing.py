# SPDX-License-Identifier: GPL-2.0-or-later
"""Which assigned number a call belongs to, and which of its destinations a target names."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.core.model import AssignedNumber, Destination, Peer, PeerKind
from gateway.core.numbers import Target, TargetError, lookup_keys, parse_target


@dataclass(frozen=True, slots=True)
class Assignment:
    """The assigned number a call belongs to, if any, and a line for the trail that says how that was found."""

    number: AssignedNumber | None
    line: str


class Routes:
    """An index of the assigned numbers and their destinations: built once, never changed, a few look-ups a question."""

    def __init__(self, numbers: Iterable[AssignedNumber]) -> None:
        self.numbers = tuple(numbers)
        self._numbers: dict[str, AssignedNumber] = {}
        self._destinations: dict[str, dict[str, Destination]] = {}
        self._owned: dict[tuple[Peer, str], AssignedNumber] = {}
        self._listed: dict[tuple[Peer, str], AssignedNumber | None] = {}  # None: by more than one number
        for number in self.numbers:
            self._add(number)

    def _add(self, number: AssignedNumber) -> None:
        peers = (Peer(number.trunk, PeerKind.TRUNK), Peer(number.pbx, PeerKind.PBX))
        own_keys = lookup_keys(number.number, number.country)
        self._numbers[number.id] = number
        for key in own_keys:
            self._numbers.setdefault(key, number)
            for peer in peers:
                self._owned.setdefault((peer, key), number)
        index: dict[str, Destination] = {}
        for destination in number.destinations.values():
            for key in destination_keys(destination, number.country):
                index.setdefault(key, destination)
        self._destinations[number.id] = index
        for key in index:
            for peer in peers:
                self._listed[peer, key] = None if (peer, key) in self._listed else number

    def number(self, text: str) -> AssignedNumber | None:
        """The assigned number with this id, or this number in E.164."""
        return self._numbers.get(text.strip().lower())

    def called(self, peer: Peer, named: Sequence[Target]) -> Target | None:
        """The first that is a number of this peer's, or listed by one; else the first at all. None: nobody is named."""
        for target in named:
            if any((peer, key) in self._owned or (peer, key) in self._listed for key in target.keys):
                return target
        return named[0] if named else None

    def assign(self, peer: Peer, called: Target | None, calling: Sequence[Target] = ()) -> Assignment:
        """The assigned number a call from `peer` belongs to; no other peer's numbers come into question.

        `called` is who the request is for; `calling` are the callers it names (From, P-Asserted-Identity, Diversion).
        """
        if called and (number := self._first(self._owned, peer, called)):
            return Assignment(number, f"number: {number.id} was called")
        for identity in calling:
            if number := self._first(self._owned, peer, identity):
                return Assignment(number, f"number: {number.id} is the calling number")
        if called is None:
            return Assignment(None, f"number: none is named, and so none of {peer.name}'s can be told")
        lists = [self._listed[peer, key] for key in called.keys if (peer, key) in self._listed]
        match lists:
            case [AssignedNumber() as number, *_]:
                return Assignment(number, f"number: {number.id} alone of {peer.name}'s lists what was called")
            case [None, *_]:
                return Assignment(None, f"number: more than one of {peer.name}'s lists what was called")
        return Assignment(None, f"number: neither the called nor the calling number is assigned to {peer.name}")

    def destination(self, number: AssignedNumber, target: Target) -> Destination | None:
        """The destination of `number` that the target names; for the assigned number itself, its `answer`."""
        index = self._destinations.get(number.id, {})  # a running call's number may be configured no more
        for key in target.keys:
            if key in index:
                return index[key]
        if self.is_own(number, target) and number.answer is not None:
            return number.destinations[number.answer]
        return None

    def is_own(self, number: AssignedNumber, target: Target) -> bool:
        """Whether the target is the assigned number itself."""
        return any(self._numbers.get(key) is number for key in target.keys)

    @staticmethod
    def _first(index: dict[tuple[Peer, str], AssignedNumber], peer: Peer, target: Target) -> AssignedNumber | None:
        return next((index[peer, key] for key in target.keys if (peer, key) in index), None)


def destination_meant(text: str, number: AssignedNumber, routes: Routes) -> Destination | None:
    """The destination of `number` that a REFER to this text would name, if any."""
    try:
        return routes.destination(number, parse_target(text, number.country))
    except TargetError:
        return None


def destination_keys(destination: Destination, country: str | None) -> tuple[str, ...]:
    """Every key a destination is found by: its number, its aliases, its id. Raises TargetError for one unreadable."""
    names = [destination.number] if destination.number else []
    names += [*destination.aliases, destination.id]
    return tuple(dict.fromkeys(key for name in names for key in lookup_keys(name, country)))


def hunt(number: AssignedNumber, first: Destination) -> tuple[Destination, ...]:
    """The hunt order: `first`, then its overflow destinations and theirs, depth first, each once."""
    seen: set[str] = set()

    def visit(destination: Destination) -> Iterator[Destination]:
        if destination.id in seen:
            return
        seen.add(destination.id)
        yield destination
        for name in destination.overflow:
            yield from visit(number.destinations[name])

    return tuple(visit(first))
