# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests: which are let in and what they are answered, REFERs and subscriptions of either side."""
