# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/conformance.md names tests that exist, and leaves out no scenario that it ought to name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "conformance.md").read_text()
NAMED = re.findall(r"`((?:\w+/)?test_\w+\.py)::(test_\w+)(?:\[([\w-]+)\])?`", TABLE)
MARKED = re.compile(r"^pytestmark = .*pytest\.mark\.sip", re.MULTILINE)
SCENARIOS = sorted(path.name for path in (ROOT / "tests" / "sip").glob("test_*.py") if MARKED.search(path.read_text()))
"""Files whose tests speak SIP to a gateway: each of them is a scenario, and belongs into the table."""


def source(file: str) -> Path:
    """Where a test file of the table is."""
    if file.startswith("tests/"):
        return ROOT / file
    return ROOT / "tests" / ("" if "/" in file else "sip") / file


@cache
def names_in(file: str) -> set[str]:
    """The names of the tests in a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.parse(source(file).read_text()).body
    return {node.name for node in nodes if isinstance(node, functions) and node.name.startswith("test_")}


@pytest.mark.parametrize(("file", "test", "parameter"), NAMED)
def test_what_the_table_names_is_there(file: str, test: str, parameter: str) -> None:
    assert test in names_in(file)
    if parameter:
        assert f'id="{parameter}"' in source(file).read_text()


@pytest.mark.parametrize("file", SCENARIOS)
def test_every_scenario_is_in_the_table(file: str) -> None:
    assert names_in(file) <= {test for named, test, _ in NAMED if named == file}


def test_every_row_names_a_test() -> None:
    lines = TABLE.splitlines()
    rows = [
        line
        for line, below in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("| ") and not below.startswith("|---")
    ]
    assert len(rows) > 70
    for row in rows:
        assert "::test_" in row, row
