# SPDX-License-Identifier: GPL-2.0-or-later
"""Chores that run outside the gateway: fetching, building, demonstrating."""
