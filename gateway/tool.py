# SPDX-License-Identifier: GPL-2.0-or-later
"""The assistant's `transfer_call` tool: made from the destinations, and compared with them.

What the assistant offers and what the gateway accepts are then one thing, and can't drift apart unseen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.core.model import AssignedNumber, Destination
from gateway.core.numbers import TargetError, parse_target
from gateway.core.routing import Routes

KIND = "transfer_call"


def made_from(number: AssignedNumber) -> dict[str, object]:
    """The tool that offers every destination of `number` that has a number itself."""
    return {"type": KIND, "destinations": [_entry(each) for each in number.destinations.values() if each.number]}


def _entry(destination: Destination) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": "number",
        "number": destination.number,
        "description": destination.description,
    }
    return entry | ({"message": destination.message} if destination.message else {})


@dataclass(frozen=True, slots=True)
class Found:
    """A `transfer_call` tool in a JSON document, and where it stands in it."""

    where: str  # "llm_config.tools[1]"; empty: it is the document itself
    tool: Mapping[str, object]


def find(document: object, where: str = "") -> Iterator[Found]:
    """Every `transfer_call` tool in an assistant's JSON, or the tool itself."""
    if isinstance(document, Mapping):
        if document.get("type") == KIND:
            yield Found(where, document)
        for key, value in document.items():
            yield from find(value, f"{where}.{key}" if where else str(key))
    elif isinstance(document, list):
        for position, value in enumerate(document):
            yield from find(value, f"{where}[{position}]")


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
    if not isinstance(text, str):
        return None
    try:
        return routes.destination(number, parse_target(text, number.country))
    except TargetError:
        return None


def _compared(here: str, entry: Mapping[str, object], destination: Destination) -> Iterator[tuple[str, str]]:
    expected = {"message": None, **_entry(destination)}
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
