# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes over the broker, from the AsyncAPI document; what is asked over HTTP, from the OpenAPI documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.report.schemas import asyncapi
from gateway.web import openapi
from gateway.web.platforms import openapi as platforms
from scripts.website.markdown import code, literal, moved, rows, table

DOCUMENT = "docs/events.md"
WORDED = ("TransferData", "EndedTransferData", "LegMediaData")
"""The data whose fields DOCUMENT has in tables."""

Schema = Mapping[str, Any]
_TYPES = {"object": "object", "number": "number", "integer": "whole number", "boolean": "true or false",
          "string": "text", "null": "null"}  # fmt: skip
EVENTS = """\
# Events and other messages

Made of the code when the site was built. What they mean, and when they come, is in [Events](../docs/events.md);
the [AsyncAPI document](../docs/schema/asyncapi.json) is made of the same.
"""
ADDRESSES = """\
# Addresses over HTTP

Made of the code when the site was built. How to use them is in [Operations](../docs/operations.md#asking-it).
"""


def events(text: str) -> str:
    """The page of topics, messages and their fields; `text` is DOCUMENT, which has words for some fields."""
    document = asyncapi()
    messages = document["components"]["messages"]
    schemas = _worded(document["components"]["schemas"], text)
    topics = []
    for operation in document["operations"].values():
        channel = document["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
        bound = operation.get("bindings", {}).get("mqtt", {})
        names = ", ".join(code(messages[key]["name"]) for key in channel["messages"])
        how = f"QoS {bound['qos']}" if "qos" in bound else ""
        topics.append([
            code(channel["address"]), "told" if operation["action"] == "send" else "taken",
            how + (", retained" if bound.get("retain") else ""), names,
        ])  # fmt: skip
    parts = [
        EVENTS,
        "## Topics\n\n" + table(["topic", "", "", "messages"], dict.fromkeys(map(tuple, topics))),
    ]
    for message in messages.values():
        about = f"{message['summary']} {code(message['contentType'])}"
        parts.append(f"## {message['name']}\n\n{about}\n\n{_fields(_payload(message), schemas)}")
    named = [name for name, schema in schemas.items() if "enum" in schema or _is_part(name, messages)]
    return "\n".join([*parts, *(_part(name, schemas) for name in sorted(named))])


def addresses() -> str:
    """The page of the addresses that the gateway has over HTTP."""
    parts = [ADDRESSES]
    listeners = {"[http]": (openapi, "openapi.json"), "[platform]": (platforms, "platform.openapi.json")}
    for title, (made, file) in listeners.items():
        document = made.document("1")
        parts.append(f"## {title}\n\nThe [OpenAPI document](../docs/schema/{file}) is made of the same.\n")
        lines = []
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if method in {"get", "post", "put", "delete"}:
                    asked = (_parameter(one, document) for one in operation.get("parameters", ()))
                    token = "yes" if operation.get("security") else ""
                    codes = ", ".join(operation["responses"])
                    lines.append(
                        [code(f"{method.upper()} {path}"), operation.get("summary", ""), ", ".join(asked), token, codes]
                    )
        parts.append(table(["address", "", "parameters", "token", "answers"], lines))
    return "\n".join(parts)


def _worded(schemas: Mapping[str, Schema], text: str) -> Mapping[str, Schema]:
    """The schemas, whose fields have the document's words where the models have none."""
    words = {
        field: moved(cells[1], DOCUMENT)
        for _, cells in rows(text, "| field | |")
        for field in re.findall(r"`(\w+)`", cells[0])
    }

    def with_words(schema: Schema) -> Schema:
        fields = schema["properties"].items()
        return {
            **schema,
            "properties": {field: {"description": words.get(field, ""), **each} for field, each in fields},
        }

    return {name: with_words(schema) if name in WORDED else schema for name, schema in schemas.items()}


def _parameter(parameter: Schema, document: Schema) -> str:
    if "$ref" in parameter:
        parameter = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
    return code(parameter["name"])


def _payload(message: Schema) -> str:
    return str(message["payload"]["$ref"].rpartition("/")[2])


def _is_part(name: str, messages: Mapping[str, Schema]) -> bool:
    return all(_payload(message) != name for message in messages.values())


def _part(name: str, schemas: Mapping[str, Schema]) -> str:
    schema = schemas[name]
    about = " ".join(str(schema.get("description", "")).split("\n\n")[0].split())
    if "enum" in schema:
        return f"### {name}\n\n{about}\n\nOne of {', '.join(code(literal(each)) for each in schema['enum'])}.\n"
    return f"### {name}\n\n{about}\n\n{_fields(name, schemas)}"


def _fields(name: str, schemas: Mapping[str, Schema]) -> str:
    schema = schemas[name]
    always = schema.get("required", ())
    lines = [
        [code(field), _type(each), "always" if field in always else "", _about(each)]
        for field, each in schema.get("properties", {}).items()
    ]
    return table(["field", "type", "", ""], lines)


def _about(schema: Schema) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _type(schema: Schema) -> str:
    return " or ".join(dict.fromkeys(_types(schema)))


def _types(schema: Schema) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield f"[{name}](#{name.lower()})"
    elif "const" in schema:
        yield code(literal(schema["const"]))
    elif "enum" in schema:
        yield from (code(literal(each)) for each in schema["enum"])
    elif options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        for option in options:
            yield from _types(option)
    elif schema.get("type") == "array":
        yield f"list of {_type(schema.get('items', {}))}"
    else:
        yield schema.get("format") or _TYPES.get(schema.get("type", ""), "anything")
