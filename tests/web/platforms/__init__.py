# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of what platforms ask and tell over HTTP."""
