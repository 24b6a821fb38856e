# SPDX-License-Identifier: GPL-2.0-or-later
"""A package that the quick tests reach less of than before is named, and fails the build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import coverage_floors
from scripts.coverage_floors import FLOORS, main

ROOT = Path(__file__).parents[2]


def report(directory: Path, **reached: int) -> Path:
    """A report in which 100 statements of each part are there, and so many ran; all of them where not given."""
    files = {
        f"gateway/{part}" if part.endswith(".py") else f"gateway/{part}/some.py": {
            "summary": {"covered_lines": reached.get(part, 100), "num_statements": 100}
        }
        for part in FLOORS
    }
    path = directory / "coverage.json"
    path.write_text(json.dumps({"files": files}))
    return path


def test_what_reaches_its_floor_is_fine(tmp_path: Path) -> None:
    assert main(report(tmp_path, core=FLOORS["core"], web=FLOORS["web"])) == 0


def test_what_does_not_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(report(tmp_path, core=FLOORS["core"] - 1)) == 1
    told = capsys.readouterr()
    assert told.err == "coverage: the tests without SIP reach too little of core\n"
    assert [line.split()[0] for line in told.out.splitlines() if "below" in line] == ["core"]


def test_a_floor_of_nothing_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = report(tmp_path)
    monkeypatch.setattr(coverage_floors, "FLOORS", FLOORS | {"gone": 10})
    assert main(full) == 1


def test_every_package_has_a_floor() -> None:
    packages = {path.parent.name for path in (ROOT / "gateway").glob("*/__init__.py")}
    assert packages <= set(FLOORS)
