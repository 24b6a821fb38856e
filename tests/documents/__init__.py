# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the documents: their blocks of code, and the site that is made of them."""
