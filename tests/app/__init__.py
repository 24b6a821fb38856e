# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of what the gateway learns from a PBX."""
