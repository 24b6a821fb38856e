# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes docs/schema: what programs may rely on, made of the code that sends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.report.schemas import asyncapi, json_schemas
from gateway.web import openapi
from gateway.web.platforms import openapi as platforms

DIRECTORY = Path(__file__).parents[1] / "docs" / "schema"


def documents() -> dict[str, dict[str, Any]]:
    """Each file's name and content."""
    schemas = {f"{name}.json": schema for name, schema in json_schemas().items()}
    # Of no release: or each would change it.
    http = {"openapi.json": openapi.document("1"), "platform.openapi.json": platforms.document("1")}
    return {**schemas, "asyncapi.json": asyncapi(), **http}


def text(document: dict[str, Any]) -> str:
    """A document as it is written."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write each file, and take away those that there is nothing of any more."""
    DIRECTORY.mkdir(exist_ok=True)
    made = documents()
    for name, document in made.items():
        (DIRECTORY / name).write_text(text(document))
    for path in DIRECTORY.glob("*.json"):
        if path.name not in made:
            path.unlink()


if __name__ == "__main__":
    main()
