# SPDX-License-Identifier: GPL-2.0-or-later
"""The page that people look at: its files, and what a browser may do with them."""
