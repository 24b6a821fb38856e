# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m scripts.coverage_floors REPORT`: whether tests without SIP reach as much of each package as they did.

REPORT is what `coverage json` writes. It counts statements that ran in the tests without SIP, broker and PBX, the quick
ones and those that are `slow`: what is decided is tested there. A floor is raised with what is reached, and lowered
with a reason.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

FLOORS = {
    "app.py": 95,
    "arguments": 97,
    "background.py": 100,
    "cli": 92,
    "config": 97,
    "core": 98,
    "engine": 97,
    "log": 95,
    "pbx": 95,
    "ports": 98,
    "probe": 78,
    "report": 83,
    "setting_up": 96,
    "sip": 73,
    "sip/text": 91,
    "web": 98,
}
"""Percent of statements, by package or module of gateway/; what is named in none counts in the whole only."""


def reached(files: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, float]:
    """The percentage of each of FLOORS, from the `files` of a report; those without a statement are left out."""
    ran, there = Counter[str](), Counter[str]()
    for name, file in files.items():
        inside = name.partition("gateway/")[2]
        for part in FLOORS:
            if inside == part or inside.startswith(f"{part}/"):
                ran[part] += file["summary"]["covered_lines"]
                there[part] += file["summary"]["num_statements"]
    return {part: 100 * ran[part] / count for part, count in there.items() if count}


def main(report: Path) -> int:
    """Print a line for each floor; the exit code."""
    found = reached(json.loads(report.read_text())["files"])
    below = [part for part, floor in FLOORS.items() if found.get(part, 0.0) < floor]
    for part, floor in FLOORS.items():
        print(f"  {part:14} {found.get(part, 0.0):5.1f} %  at least {floor} %{'  <- below' if part in below else ''}")
    if below:
        print(f"coverage: the tests without SIP reach too little of {', '.join(below)}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
