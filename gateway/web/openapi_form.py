# SPDX-License-Identifier: GPL-2.0-or-later
"""An OpenAPI 3.1 document made of the operations of a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

Part: TypeAlias = dict[str, Any]


class Nothing(BaseModel):
    """An answer without a body."""


class PlainText(BaseModel):
    """An answer that is text."""


class Capture(BaseModel):
    """An answer that is a capture file."""


class PageFile(BaseModel):
    """An answer that is a file of the page."""


class SoundFile(BaseModel):
    """A body that is a sound."""


_TEXT: Part = {"schema": {"type": "string"}}
_OTHERS: dict[type[BaseModel] | None, dict[str, Part]] = {
    None: {"text/plain": _TEXT, "application/openmetrics-text": _TEXT},
    PlainText: {"text/plain": _TEXT},
    SoundFile: {"audio/wav": {"schema": {}}},
    Capture: {"application/vnd.tcpdump.pcap": {"schema": {}}},
    PageFile: dict.fromkeys(("text/html", "text/css", "text/javascript", "image/svg+xml"), _TEXT),
}


Answers: TypeAlias = Mapping[int, tuple[type[BaseModel] | None, str]]
"""By status: what is answered, None for text; and when."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and answers."""

    name: str
    words: str
    answers: Answers
    parameters: tuple[Part, ...] = ()
    body: type[BaseModel] | None = None
    body_is_required: bool = True
    guarded: bool = field(default=False)
    proved_by: tuple[str, ...] = ()
    """Names of schemes, each of which is enough; where it is `guarded` all that there are are needed."""


def written(
    operations: Mapping[tuple[str, str], Operation],
    *,
    title: str,
    version: str,
    description: str,
    schemes: Mapping[str, Part],
    of_all: Answers | None = None,
) -> Part:
    """The document; `operations` by method and path. What is guarded needs all of `schemes`, by their names."""
    everywhere = of_all or {}
    models: set[type[BaseModel]] = {
        *(model for model, _ in everywhere.values() if model),
        *(model for each in operations.values() for model, _ in each.answers.values() if model),
    } - {Nothing, *_OTHERS}
    taken = {each.body for each in operations.values() if each.body and each.body not in _OTHERS}
    chosen: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "serialization") for model in models),
        *((model, "validation") for model in taken),
    ]
    chosen.sort(key=lambda pair: pair[0].__name__)
    schemas, definitions = models_json_schema(chosen, ref_template="#/components/schemas/{model}")
    by_model = {pair[0]: part for pair, part in schemas.items()}
    paths: dict[str, Part] = {}
    for (method, path), operation in operations.items():
        part = _operation(operation, by_model, everywhere)
        if operation.guarded:
            part["security"] = [{name: [] for name in schemes}]
        elif operation.proved_by:
            part["security"] = [{name: []} for name in operation.proved_by]
        paths.setdefault(path, {})[method] = part
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": description,
            "license": {"name": "GPL-2.0-or-later", "identifier": "GPL-2.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": definitions["$defs"], "securitySchemes": dict(schemes)},
    }


def _operation(operation: Operation, schemas: Mapping[Any, Part], of_all: Answers) -> Part:
    made: Part = {
        "operationId": operation.name,
        "summary": operation.words,
        "responses": {
            str(status): {
                "description": words,
                **({"content": _content(model, schemas)} if model is not Nothing else {}),
            }
            for status, (model, words) in sorted({**of_all, **operation.answers}.items())
        },
    }
    if operation.parameters:
        made["parameters"] = list(operation.parameters)
    if operation.body is not None:
        made["requestBody"] = {"required": operation.body_is_required, "content": _content(operation.body, schemas)}
    return made


def _content(model: type[BaseModel] | None, schemas: Mapping[Any, Part]) -> Part:
    return _OTHERS.get(model) or {"application/json": {"schema": schemas[model]}}
