# SPDX-License-Identifier: GPL-2.0-or-later
"""`probe`: whether a caller would get through to each destination now, found out without disturbing anybody."""

from gateway.probe.probing import ProbeFinding, ProbeTarget, probe

__all__ = ["ProbeFinding", "ProbeTarget", "probe"]
