# SPDX-License-Identifier: GPL-2.0-or-later
"""The transition tables in the headers of the machines."""

from typing import TypeAlias

Rows: TypeAlias = dict[tuple[str, str], set[str]]
"""(state, event) -> next states."""


def documented(*headers: str | None) -> Rows:
    """What the tables in these docstrings say."""
    found: Rows = {}
    for header in headers:
        lines = [line.split() for line in (header or "").splitlines() if line.startswith("    ")]
        (_, *states), *rows = lines
        for event, *cells in rows:
            for state, cell in zip(states, cells, strict=True):
                if cell != "-":
                    found[state, event] = set(cell.split("|"))
    return found
