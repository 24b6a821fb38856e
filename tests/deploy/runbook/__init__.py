# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of docs/runbook.md, each carried out while what its alert is about is the case."""
