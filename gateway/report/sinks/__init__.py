# SPDX-License-Identifier: GPL-2.0-or-later
"""Where facts go: one file or package for each sink."""
