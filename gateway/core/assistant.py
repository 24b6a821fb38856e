# SPDX-License-Identifier: GPL-2.0-or-later
"""An assistant's tools as its platform takes them: made from the destinations, found in its JSON, cut to what is open.

The form is that of HMS Sovereign, `llm_config.tools[]`: `transfer_call` is its own, the others are custom tools that it
calls over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.core.model import AssignedNumber, Destination

TRANSFER_CALL = "transfer_call"
CHECK_AVAILABILITY = "check_availability"
LIST_DESTINATIONS = "list_destinations"

Json = dict[str, object]


def transfer_call(number: AssignedNumber) -> Json:
    """The tool that offers every destination of `number` that has a number itself."""
    return {"type": TRANSFER_CALL, "destinations": [destination_entry(each) for each in _offered(number)]}


def destination_entry(destination: Destination) -> Json:
    """A destination as `transfer_call` offers it."""
    entry: Json = {
        "type": "number",
        "number": destination.number,
        "description": destination.description,
    }
    return entry | ({"message": destination.message} if destination.message else {})


def check_availability(number: AssignedNumber, url: str | None = None) -> Json:
    """The tool that asks about one of those destinations; `url`: where it is called, if not at the webhook."""
    text = "The number of the destination, as in transfer_call."
    destination = {"type": "string", "description": text, "enum": [each.number for each in _offered(number)]}
    return _custom(
        CHECK_AVAILABILITY,
        "Find out whether somebody can take the caller, before you promise a transfer. If `available` is false, do not "
        "transfer: tell the caller what `sentence` says, and offer another way.",
        {"type": "object", "properties": {"destination": destination}, "required": ["destination"]},
        url,
    )


def list_destinations(url: str | None = None) -> Json:
    """The tool that tells of all of them at once."""
    return _custom(
        LIST_DESTINATIONS,
        "List everywhere the caller can be transferred to, and whether somebody can take them there now.",
        {"type": "object", "properties": {}},
        url,
    )


def _offered(number: AssignedNumber) -> Iterable[Destination]:
    return [each for each in number.destinations.values() if each.number]


def _custom(name: str, description: str, parameters: Json, url: str | None) -> Json:
    where = {} if url is None else {"url": url}
    return {"name": name, "description": description, "parameters": parameters, **where, "async": False}


@dataclass(frozen=True, slots=True)
class Found:
    """A `transfer_call` tool in a JSON document, and where it stands in it."""

    where: str  # "llm_config.tools[1]"; empty: it is the document itself
    tool: Mapping[str, object]


def find(document: object, where: str = "") -> Iterator[Found]:
    """Every `transfer_call` tool in an assistant's JSON, or the tool itself."""
    if isinstance(document, Mapping):
        if document.get("type") == TRANSFER_CALL:
            yield Found(where, document)
        for key, value in document.items():
            yield from find(value, f"{where}.{key}" if where else str(key))
    elif isinstance(document, list):
        for position, value in enumerate(document):
            yield from find(value, f"{where}[{position}]")


def cut(document: object, stays: Callable[[object], bool]) -> object:
    """A copy in which each `transfer_call` offers those of its destinations that stay; one that offers none is gone."""
    if isinstance(document, Mapping):
        copy = {key: cut(value, stays) for key, value in document.items()}
        entries = document.get("destinations")
        if document.get("type") == TRANSFER_CALL and isinstance(entries, list):
            copy["destinations"] = [entry for entry in entries if stays(entry)]
        return copy
    if isinstance(document, list):
        copies = [cut(value, stays) for value in document]
        return [each for each in copies if not _offers_nothing(each)]
    return document


def _offers_nothing(tool: object) -> bool:
    return isinstance(tool, Mapping) and tool.get("type") == TRANSFER_CALL and tool.get("destinations") == []
