# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of what is learnt over AMI from a manager interface that runs beside the source."""
