# SPDX-License-Identifier: GPL-2.0-or-later
"""Broken input of every kind for a running gateway, compiled with sanitizers: `make fuzz`."""
