# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON that somebody sends us, read within bounds."""

from __future__ import annotations

import json

MAX_DEPTH = 32
MAX_NESTED = 500
"""Objects and arrays in one another that are read at all: a Python that goes deeper would have others choke on them."""
MAX_PARTS, MAX_COMMAS = 10_000, 50_000
"""Objects and arrays, and what stands between their values: to read more would hold everybody else up."""


class NoJsonError(ValueError):
    """It is no JSON, or none that could be sent or stored again."""


def parsed(body: bytes) -> object:
    """What the body says. Raises NoJsonError."""
    try:
        document: object = json.loads(body, parse_constant=_no_number)
        if is_deeper_than(document, MAX_NESTED):
            raise NoJsonError
        # Half a surrogate pair is JSON and no text: nothing that is made of it could be sent or stored.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise NoJsonError from None
    return document


def has_too_many_parts(body: bytes) -> bool:
    """Whether it would take long to read; those in texts count as well."""
    return body.count(b"{") + body.count(b"[") > MAX_PARTS or body.count(b",") > MAX_COMMAS


def is_deeper_than(document: object, depth: int = MAX_DEPTH) -> bool:
    """Whether more than so many objects and arrays stand in one another."""
    level = [document]
    for _ in range(depth):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
    return any(isinstance(each, dict | list) for each in level)


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
