# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/conformance.md says which tests keep which promise: each row has a test, each scenario with real SIP a row."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from scripts import conformance

TABLE = conformance.TABLE.read_text()
MARKED = re.compile(r"^pytestmark = .*pytest\.mark\.sip", re.MULTILINE)
SCENARIOS = [path for path in sorted(Path(__file__).parent.glob("test_*.py")) if MARKED.search(path.read_text())]
"""Files whose tests speak SIP to a gateway: each of them is a scenario, and belongs into the table."""

SMALL = """\
| row | rule | kept by | source |
|---|---|---|---|
| 1.1 | a \\| b | whoever | RFC |
| 1.2 | c | | RFC |
"""


@pytest.mark.slow
def test_the_table_is_written_and_each_row_is_kept() -> None:
    found = conformance.keepers()
    assert not conformance.faults(TABLE, found)
    assert conformance.written(TABLE, found) == TABLE, "make format writes it"
    assert len(conformance.rows(TABLE)) > 300


@pytest.mark.slow
@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_every_scenario_is_in_the_table(file: Path) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(file.read_text())
    decorators = conformance.shared(tree)
    tests = [node for node in tree.body if isinstance(node, functions) and node.name.startswith("test_")]
    assert not [node.name for node in tests if not list(conformance.marks(node, decorators))]


def test_files_are_named_shortly_and_counted() -> None:
    found = {"1.1": Counter({"exchange": 2, "report/mqtt": 1}), "1.2": Counter({"tests/cli": 1})}
    lines = conformance.written(SMALL, found).splitlines()
    assert lines[2:] == ["| 1.1 | a \\| b | exchange (2), report/mqtt | RFC |", "| 1.2 | c | tests/cli | RFC |"]


def test_what_does_not_fit_is_told() -> None:
    found = {"1.1": Counter({"exchange": 1}), "9.9": Counter({"web/server": 1})}
    assert conformance.faults(SMALL + SMALL, found) == [
        "row 1.1 stands twice",
        "row 1.2 stands twice",
        "no test keeps row 1.2",
        "no test keeps row 1.2",
        "web/server: there is no row 9.9",
    ]


def test_markers_of_parameters_of_wrapped_tests_and_of_shared_decorators_count(tmp_path: Path) -> None:
    (tmp_path / "sip").mkdir()
    (tmp_path / "sip" / "test_x.py").write_text(
        '@pytest.mark.keeps("1.1", "1.2")\n'
        '@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.keeps("1.3"))])\n'
        "def test_one(x): ...\n"
        'test_two = pytest.mark.keeps("1.1")(Machine)\n'
        'both = pytest.mark.keeps("1.4")\n'
        "@both\ndef test_three(): ...\n"
        "@both\nasync def test_four():\n    pytest.mark.keeps('1.5')\n"
    )
    assert conformance.keepers(tmp_path) == {"1.1": {"x": 2}, "1.2": {"x": 1}, "1.3": {"x": 1}, "1.4": {"x": 2}}
