# SPDX-License-Identifier: GPL-2.0-or-later
"""The transition tables in the headers of the machines."""

from typing import TypeAlias

Rows: TypeAlias = dict[tuple[str, str], set[str]]
"""(state, event) -> next states."""


def documented(*headers: str | None) -> Rows:
    """What the tables in these docstrings say, taken together."""
    found: Rows = {}
    states: list[str] = []
    for line in (line.split() for header in headers for line in (header or "").splitlines() if line[:4] == "    "):
        name, *cells = line
        if name == "event":
            states = cells
            continue
        for state, cell in zip(states, cells, strict=True):
            if cell != "-":
                found.setdefault((state, name), set()).update(cell.split("|"))
    return found
