# SPDX-License-Identifier: GPL-2.0-or-later
"""Everybody counts transfers, and all have to come to the same: `make reconciled`."""
