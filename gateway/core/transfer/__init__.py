# SPDX-License-Identifier: GPL-2.0-or-later
"""One transfer as a pure machine: from the gate's decision to its one outcome, whatever happens to any leg."""

from gateway.core.transfer.machine import Step, join, promise, start, step
from gateway.core.transfer.state import Manner, State, Transfer

__all__ = ["Manner", "State", "Step", "Transfer", "join", "promise", "start", "step"]
