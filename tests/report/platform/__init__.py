# SPDX-License-Identifier: GPL-2.0-or-later
"""Webhooks, against HTTP servers that are there, fail, hang and come back."""
