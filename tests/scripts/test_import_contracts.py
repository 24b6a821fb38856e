# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract that keeps the core pure finds what is not on its list, and nothing else."""

import grimp

from scripts.import_contracts import AllowedImportsContract


def offences(*imports: tuple[str, str]) -> list[str]:
    """What the contract says of a core.gate that imports these; each is (top-level module, the line)."""
    graph = grimp.ImportGraph()
    for name in ("core", "core.gate", "core.model"):
        graph.add_module(name)
    for imported, line in imports:
        if imported not in graph.modules:
            graph.add_module(imported, is_squashed=True)
        graph.add_import(importer="core.gate", imported=imported, line_number=1, line_contents=line)
    options = {"modules": ["core"], "allowed": ["enum", "urllib.parse"]}
    check = AllowedImportsContract("pure", {}, options).check(graph, verbose=False)
    broken: list[str] = check.metadata["broken"]
    assert check.kept is (not broken)
    return broken


def test_what_is_listed_and_what_is_inside_is_allowed() -> None:
    assert offences(("enum", "from enum import Enum"), ("core.model", "from core.model import Peer")) == []


def test_everything_else_is_named_with_its_line() -> None:
    assert offences(("asyncio", "import asyncio")) == ["core.gate may not import asyncio (line 1: import asyncio)"]


def test_a_dotted_name_allows_that_part_alone() -> None:
    assert offences(("urllib", "from urllib.parse import unquote")) == []
    assert offences(("urllib", "import urllib.request")) != []
