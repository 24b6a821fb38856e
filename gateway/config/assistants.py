# SPDX-License-Identifier: GPL-2.0-or-later
"""Assistants that a configuration names: JSON files, checked before callers meet one that offers what is not there."""

from __future__ import annotations

import json
import json.scanner
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from gateway.config.fields import Surroundings, found_file
from gateway.core.assistant import TRANSFER_CALL, find
from gateway.core.system_error import unreadable

MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Offer:
    """A destination that an assistant's `transfer_call` offers."""

    where: str  # "llm_config.tools[1].destinations[0].number"
    line: int
    number: str


@dataclass(frozen=True, slots=True)
class Assistant:
    """An assistant, and what it offers."""

    path: Path
    document: Mapping[str, object] | None  # None: it was not read
    offers: tuple[Offer, ...] = field(default=())


class _Positions(json.JSONDecoder):
    """Notes at which character each object begins, by its identity."""

    def __init__(self) -> None:
        super().__init__()
        self.begins: dict[int, int] = {}
        inner: Any = vars(self)["parse_object"]

        def parse_object(at: tuple[str, int], *rest: Any) -> Any:
            found, end = inner(at, *rest)
            self.begins[id(found)] = at[1]
            return found, end

        self.parse_object = parse_object
        # The one in C tells nobody what it calls.
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def _assistant(name: object, info: ValidationInfo) -> Assistant:
    path = found_file(name, info)
    if isinstance(info.context, Surroundings) and not info.context.secrets:
        return Assistant(path, None)
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_BYTES:
            raise ValueError(f"{path} has {len(raw)} bytes; {MAX_BYTES} are the most")
        text = raw.decode("utf-8-sig")
        positions = _Positions()
        document = positions.decode(text)
    except OSError as error:
        raise ValueError(f"{path} {unreadable(error, os.geteuid())}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text, as JSON must be") from None
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: is not JSON: {error.msg}"
        raise ValueError(f"{path}, {problem}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None
    if not isinstance(document, dict):
        raise _mistake(f"{path} holds no JSON object, which an assistant is")
    offers = tuple(_offers(path, document, text, positions.begins))
    return Assistant(path, document, offers)


def _mistake(text: str) -> ValueError:
    """Pydantic takes no other for a mistake in what is written."""
    return ValueError(text)


def _offers(path: Path, document: object, text: str, begins: Mapping[int, int]) -> Iterator[Offer]:
    """Raises ValueError where a tool is none."""

    def line(of: object) -> int:
        return text.count("\n", 0, begins[id(of)]) + 1

    tools = list(find(document))
    if not tools:
        raise ValueError(f"{path} has no tool of type {TRANSFER_CALL}: what is open would change nothing in it")
    for found in tools:
        place = f"{found.where}.destinations" if found.where else "destinations"
        entries = found.tool.get("destinations")
        if not isinstance(entries, list):
            raise _mistake(f"{path}, line {line(found.tool)}: {place}: must be a list of destinations")
        for position, entry in enumerate(entries):
            number = entry.get("number") if isinstance(entry, dict) else None
            if not isinstance(number, str):
                where = line(entry if isinstance(entry, dict) else found.tool)
                raise _mistake(f"{path}, line {where}: {place}[{position}]: must be a destination with a number")
            yield Offer(f"{place}[{position}].number", line(entry), number)


AssistantFile = Annotated[Assistant, BeforeValidator(_assistant, json_schema_input_type=str)]
"""In the file the name of a JSON file, in the model what it holds."""
