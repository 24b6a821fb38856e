# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway with faults of its own: a transfer's step fails when one extension rings, and see tests/reconciled/faulty.

`python -m tests.sip.faulty_steps run --config DIRECTORY` runs it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import app
from gateway.core.transfer import succeeding
from tests.bench import InjectedError
from tests.reconciled.faulty import EXTENSION, FaultyAgent
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from gateway.core.transfer.transfer_step import TransferStep

UNANSWERED = EXTENSION
"""Whoever calls for it by an INVITE can't be answered."""
NO_STEP = "7667"
"""Once it rings, the step of the transfer fails."""


class FaultyStepsGateway(Gateway):
    """See the module."""

    copied = False
    module = __name__


def _faulty_ring(step: TransferStep, code: int = 180) -> None:
    """Raises InjectedError where a transfer to that extension would go on."""
    destination = step.transfer.destination
    if destination is not None and destination.extension == NO_STEP:
        raise InjectedError
    _ring(step, code)


_ring = succeeding.ring

if __name__ == "__main__":
    succeeding.ring = _faulty_ring
    sys.exit(app.main(Path(sys.argv[-1]), FaultyAgent))
