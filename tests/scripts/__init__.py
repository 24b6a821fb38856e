# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the chores that set the project up."""
