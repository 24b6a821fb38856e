# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine on a bench: what is decided is tested here, without a network, a process or a clock that runs."""

from tests.bench.bench import ASSIGNED, BEGIN, EVE, PBX, SALES, SUPPORT, TRUNK, Bench
from tests.bench.chance import Chance, InjectedError
from tests.bench.conversation import play

__all__ = ["ASSIGNED", "BEGIN", "EVE", "PBX", "SALES", "SUPPORT", "TRUNK", "Bench", "Chance", "InjectedError", "play"]
