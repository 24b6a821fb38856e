# SPDX-License-Identifier: GPL-2.0-or-later
"""An assistant's `transfer_call` tool compared with the destinations.

What the assistant offers and what the gateway accepts are then one thing, and can't drift apart unseen.
"""

from collections.abc import Iterator, Mapping

from gateway.core.assistant import Found, destination_entry
from gateway.core.model import AssignedNumber, Destination
from gateway.core.routing import Routes, destination_meant


def differences(found: Found, number: AssignedNumber, routes: Routes) -> Iterator[tuple[str, str]]:
    """Where a tool says something else than the destinations of `number`: the place, and what is different."""
    place = f"{found.where}.destinations" if found.where else "destinations"
    entries = found.tool.get("destinations")
    if not isinstance(entries, list):
        yield place, "is no list of destinations"
        return
    offered: dict[str, str] = {}
    for position, entry in enumerate(entries):
        here = f"{place}[{position}]"
        if not isinstance(entry, Mapping):
            yield here, "is no destination"
            continue
        destination = _meant_by(entry.get("number"), number, routes)
        if destination is None:
            yield (
                f"{here}.number",
                f"{_shown(entry.get('number'))} is no destination of {number.id}: it would be refused",
            )
            continue
        if destination.id in offered:
            yield f"{here}.number", f"means {destination.id}, as {offered[destination.id]} does"
        offered.setdefault(destination.id, here)
        yield from _compared(here, entry, destination)
    for destination in number.destinations.values():
        if destination.number and destination.id not in offered:
            yield place, f"{destination.id}, {destination.number}, is not offered"


def _meant_by(text: object, number: AssignedNumber, routes: Routes) -> Destination | None:
    return destination_meant(text, number, routes) if isinstance(text, str) else None


def _compared(here: str, entry: Mapping[str, object], destination: Destination) -> Iterator[tuple[str, str]]:
    expected = {"message": None, **destination_entry(destination)}
    for key in ("type", "number", "description", "message"):
        written, right = entry.get(key), expected[key]
        if written == right or (key == "message" and not written and not right):
            continue
        said = f"is {_shown(written)}" if key in entry else "is missing"
        of = "the platform" if key == "type" else destination.id
        yield (
            f"{here}.{key}",
            f"{said}; {of} says {_shown(right)}" if right is not None else f"{said}; {of} says nothing",
        )


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else "nothing" if value is None else str(value)
