# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells of the machines' tables are gone through: a state, what happens, and the state after it."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest.mock import patch

from gateway.core import transfer
from gateway.core.call import machine
from gateway.core.transfer import accepting, calling_back, hand_down, identifying, keeping
from gateway.core.transfer import machine as of_transfers
from tests.support.state_tables import documented

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

TRANSFERS = (of_transfers, accepting, identifying, keeping, hand_down, calling_back)
"""Where the table of transfers is."""
Cell: TypeAlias = tuple[str, str, str, str]
"""The machine, the state before, the event, the state after."""


@contextmanager
def counted() -> Iterator[Counter[Cell]]:
    """Counts them meanwhile."""
    seen: Counter[Cell] = Counter()
    of_call, of_transfer = machine.step, transfer.step

    def call_step(call: Any, event: Any) -> Any:
        after, commands = of_call(call, event)
        if commands or after != call:  # else there is a dash
            seen["call", str(call.state), type(event).__name__, str(after.state)] += 1
        return after, commands

    def transfer_step(one: Any, event: Any) -> Any:
        after, commands = of_transfer(one, event)
        if commands or after != one:
            seen["transfer", str(one.state), type(event).__name__, str(after.state)] += 1
        return after, commands

    with patch.object(machine, "step", call_step), patch.object(transfer, "step", transfer_step):
        yield seen


def told(seen: Set[Cell]) -> Iterator[str]:
    """How much of each machine's table was gone through, and what was not."""
    for name, headers in (
        ("call", (machine.__doc__,)),
        ("transfer", [each.__doc__ for each in TRANSFERS]),
    ):
        table = documented(*headers)
        cells = {(state, event, after) for (state, event), nexts in table.items() for after in nexts}
        reached = {(state, event, after) for which, state, event, after in seen if which == name}
        assert reached <= cells, f"not in the table: {sorted(reached - cells)}"
        yield f"{name}: {len(reached)} of {len(cells)} transitions of its table"
