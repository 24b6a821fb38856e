# SPDX-License-Identifier: GPL-2.0-or-later
"""The event that the README shows, and what of an event differs from one time to the next."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.documents.blocks import ROOT, blocks

_VARIABLE = (
    (re.compile(r"[0-9A-HJKMNP-TV-Z]{26}"), "a ULID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "a time"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "a UUID"),
)


def shown() -> dict[str, Any]:
    """The `data` of the README's example."""
    [example] = [block for block in blocks(ROOT / "README.md") if block.language == "json"]
    read: dict[str, Any] = json.loads(example.text)
    return read


def alike(value: Any) -> Any:
    """A JSON value with what differs from one event to the next by its kind."""
    if isinstance(value, dict):
        return {key: alike(each) for key, each in value.items()}
    if isinstance(value, list):
        return [alike(each) for each in value]
    return next((kind for pattern, kind in _VARIABLE if isinstance(value, str) and pattern.fullmatch(value)), value)
