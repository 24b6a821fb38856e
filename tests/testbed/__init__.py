# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed shows that it works: what a test of the gateway takes for granted."""
