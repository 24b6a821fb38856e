# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of the configuration: type, default and limits from the models, the words from docs/configuration.md.

The two are compared on the way: a key that one of them lacks, or another default, is an error.
"""

from __future__ import annotations

import html
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config import json_schema
from scripts.website.markdown import code, literal, moved, rows, table

DOCUMENT = "docs/configuration.md"
NONE: tuple[object, ...] = (None, "", [], {})
"""What the document calls `none`."""

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "[gateway]": ("GatewaySettings",),
    "[sip]": ("SipSettings",),
    "[mqtt]": ("MqttSettings",),
    "[http]": ("HttpSettings",),
    "[[http.tokens]]": ("TokenSettings",),
    "[platform]": ("PlatformSettings",),
    "[[platform.mcp_tokens]]": ("McpTokenSettings",),
    "[cluster]": ("ClusterSettings",),
    "[[webhooks]]": ("WebhookSettings",),
    "[history]": ("HistorySettings",),
    "[messages]": ("MessagesSettings",),
    "[hep]": ("HepSettings",),
    "[traces]": ("TracesSettings",),
    "[hours.<name>]": ("HoursSettings",),
    "[[numbers]]": ("NumberSettings",),
    "[[numbers.destinations]]": ("DestinationSettings",),
    "In every profile": ("TrunkProfile", "PbxProfile"),
    'kind = "trunk"': ("TrunkProfile",),
    "`[platform]` of a trunk": ("PlatformForm",),
    'kind = "pbx"': ("PbxProfile",),
    "`[queues]`": ("QueueSource",),
}
"""Each table of the document, and the models whose keys it tells of: of two the keys that both have."""
PROFILES = ("TrunkProfile", "PbxProfile")
_UNITS = (("_s", "seconds"), ("_mb", "megabytes"), ("days", "days"), ("calls_per_second", "calls a second"),
          ("max_calls", "calls"), ("max_concurrent", "calls"), ("max_waiting", "callers"), ("min_available", "agents"),
          ("penalty", ""), ("port", ""))  # fmt: skip
_TYPES = {"object": "table", "number": "number", "integer": "whole number", "boolean": "true or false"}
_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "maxLength": "characters ≤",
           "minItems": "entries ≥", "maxItems": "entries ≤"}  # fmt: skip

INTRODUCTION = f"""\
# Keys of the configuration

Made of the code when the site was built. How they go together is in [Configuration](../{DOCUMENT});
`transfer-gateway schema config` prints them as a JSON schema.
"""

Schema = dict[str, Any]


class DiffersError(Exception):
    """The document and the models do not say the same; each difference in a line."""


@dataclass(frozen=True)
class Key:
    """A key of the models."""

    name: str
    schema: Schema
    required: bool

    @property
    def options(self) -> list[Schema]:
        """What it may be, but for nothing."""
        return [one for one in self.schema.get("anyOf", [self.schema]) if one.get("type") != "null"]


def page(document: str) -> str:
    """The page. Raises DiffersError."""
    described: dict[str, dict[str, tuple[str, str]]] = {}
    for named, (names, default, text) in rows(document, "| key | default | |"):
        keys = re.findall(r"`(\w+)`", names)
        defaults = default.split(", ") if default.count(", ") == len(keys) - 1 else [default] * len(keys)
        described.setdefault(_section(named), {}).update(
            {key: (each, text) for key, each in zip(keys, defaults, strict=True)}
        )
    definitions = json_schema()["$defs"]
    faults = [f"{DOCUMENT}: no table {section}" for section in SECTIONS if section not in described]
    parts = [INTRODUCTION]
    for section, words in described.items():
        if section not in SECTIONS:
            faults.append(f"{DOCUMENT}: no model is known for {section}")
            continue
        keys_of = _keys(section, definitions)
        faults += [f"{section}: {name} is in no table of {DOCUMENT}" for name in keys_of if name not in words]
        faults += [f"{section}: {name} is no key, or that of another table" for name in words if name not in keys_of]
        lines = []
        for name, (default, text) in words.items():
            if (key := keys_of.get(name)) is None:
                continue
            if not _agrees(key, default):
                faults.append(f"{section}: the default of {name} is {_default(key)}, and {default} in {DOCUMENT}")
            lines.append(
                [code(name), _type(key, definitions), _default(key), _unit(name), _limits(key), moved(text, DOCUMENT)]
            )
        title = html.escape(section, quote=False)
        parts.append(f"## {title}\n\n" + table(["key", "type", "default", "unit", "limits", ""], lines))
    if faults:
        raise DiffersError("\n".join(faults))
    return "\n".join(parts)


def _section(named: str) -> str:
    if named.startswith("`[platform]`"):
        return "`[platform]` of a trunk"
    if named.startswith("`[queues]`"):
        return "`[queues]`"
    return named.replace("\\", "")


def _keys(section: str, definitions: Mapping[str, Schema]) -> dict[str, Key]:
    models = [definitions[name] for name in SECTIONS[section]]
    names = [name for name in models[0]["properties"] if all(name in model["properties"] for model in models[1:])]
    if SECTIONS[section][0] in PROFILES and len(models) == 1:
        names = [name for name in names if not all(name in definitions[each]["properties"] for each in PROFILES)]
    found = (Key(name, models[0]["properties"][name], name in models[0].get("required", ())) for name in names)
    # Tables of their own.
    return {key.name: key for key in found if not _is_table(key) or key.name in {"open", "weekly"}}


def _is_table(key: Key) -> bool:
    return any("Settings" in str(one) or "QueueSource" in str(one) or "PlatformForm" in str(one) for one in key.options)


def _agrees(key: Key, told: str) -> bool:
    if told == "required":
        return key.required
    if told == "none":
        return not key.required and key.schema.get("default") in NONE
    if not (found := re.fullmatch(r"`(.+)`", told)):
        return True  # in words
    return bool(not key.required and tomllib.loads(f"x = {found[1]}")["x"] == key.schema.get("default", {}))


def _default(key: Key) -> str:
    if key.required:
        return "required"
    value = key.schema.get("default")
    return "" if value is None else code(literal(value))


def _type(key: Key, definitions: Mapping[str, Schema]) -> str:
    return " or ".join(dict.fromkeys(_named(one, definitions) for one in key.options))


def _named(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if choices := schema.get("enum"):
        return ", ".join(code(literal(choice)) for choice in choices)
    if "const" in schema:
        return code(literal(schema["const"]))
    if schema["type"] == "array":
        return f"list of {_named(schema['items'], definitions)}"
    return _TYPES.get(schema["type"]) or str(schema.get("format", "text"))


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS if name.endswith(end)), "")


def _limits(key: Key) -> str:
    def said(schema: Schema) -> Iterator[str]:
        for limit, sign in _LIMITS.items():
            if limit in schema:
                yield f"{sign} {schema[limit]}"

    return ", ".join(text for one in key.options for text in said(one))
