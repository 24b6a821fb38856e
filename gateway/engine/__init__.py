# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine: feeds what happens to the core's machines, carries out their commands, and owns the timers."""

from gateway.engine.engine import Engine

__all__ = ["Engine"]
