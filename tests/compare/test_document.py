# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/benchmarks.md says what was measured, where and how, and what was not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tests.compare.document import text
from tests.compare.figures import Figure
from tests.compare.parts import PARTS


def kept(*figures: Figure, **more: Any) -> dict[str, Any]:
    """What is kept of a part."""
    part = {
        "figures": [asdict(figure) for figure in figures],
        "at": "29 November 2026 15:00 UTC",
        "commit": "0123456789",
        "rounds": 5,
        "seconds": 8,
        "load": 0.04,
        "took_s": 61.4,
        "machine": "2 cores, a processor",
    }
    return {**part, **more}


def test_each_part_has_its_table_and_how_it_was_measured() -> None:
    lines = "\n".join(text({"start": kept(Figure("start to ready", "s", [1.0], [0.5]))}))
    assert "## start" in lines
    assert "| start to ready, s | 1.00 | 0.500 | 2.00 |" in lines
    assert "make bench BENCH='--parts start --rounds 5 --seconds 8'" in lines
    assert "commit 0123456789, took 61 s; load of the machine at the beginning: 0.0." in lines


def test_parts_stand_in_their_order_and_those_that_were_not_measured_are_named() -> None:
    lines = list(text({"memory": kept(), "start": kept()}))
    assert [line.strip() for line in lines if "## " in line and "# Beside" not in line] == ["## start", "## memory"]
    assert lines[-1].strip() == f"Not measured: {', '.join(name for name in PARTS if name not in ('memory', 'start'))}."


def test_a_machine_is_told_once_and_every_other_as_well() -> None:
    lines = "\n".join(text({"start": kept(), "media": kept(), "silent": kept(machine="a Raspberry Pi")}))
    assert lines.count("Measured on 2 cores, a processor.") == 1
    assert lines.count("Measured on a Raspberry Pi.") == 1


def test_how_a_rate_is_searched_stands_beside_it() -> None:
    assert "RFC 7502" in "\n".join(text({"most-transfers": kept()}))
    assert "RFC 7502" not in "\n".join(text({"start": kept()}))
