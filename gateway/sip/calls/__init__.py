# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls: their legs, how they are dialled, and what passes from one leg to the other while they last."""
