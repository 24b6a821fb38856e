# SPDX-License-Identifier: GPL-2.0-or-later
"""The AsyncAPI document is one, and names every message and every topic."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from asyncapi3.models.asyncapi import AsyncAPI3
from jsonschema import Draft202012Validator

from gateway.report.schemas import MESSAGES, asyncapi, key
from gateway.report.sinks.mqtt.listening import COMMANDS

pytestmark = pytest.mark.slow


def test_asyncapi_names_every_message_and_every_topic() -> None:
    document = asyncapi()
    for pointer in references(document):
        target: Any = document
        for part in pointer.removeprefix("#/").split("/"):
            target = target[part]
    for channel in document["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])
    reached = {name for channel in document["channels"].values() for name in channel["messages"]}
    assert reached == {key(name) for name in MESSAGES}
    operations = document["operations"].values()
    used = {part["channel"]["$ref"] for one in operations for part in (one, one.get("reply", one))}
    assert used == {f"#/channels/{name}" for name in document["channels"]}
    listened = [channel["address"] for name, channel in document["channels"].items() if name.startswith("command")]
    assert [address.rpartition("/")[2] for address in listened] == list(COMMANDS)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_asyncapi_is_what_another_reader_takes_for_it() -> None:
    AsyncAPI3.model_validate(asyncapi())


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)
