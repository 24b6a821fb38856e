# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine, without a network or a clock."""
