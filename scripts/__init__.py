# SPDX-License-Identifier: GPL-2.0-or-later
"""Chores around the gateway: setting up, locking, building. None of it is installed with the gateway."""
