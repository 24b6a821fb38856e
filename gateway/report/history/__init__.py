# SPDX-License-Identifier: GPL-2.0-or-later
"""The history: transfers and calls that are over, in a file of their own, to be asked through an index."""
