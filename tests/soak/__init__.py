# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers of every outcome for an hour, while whatever the gateway stands on fails in turn: `make soak`.

`stations` are the peers, `kinds` what they do, `troubles` what fails, `run` plays and counts.
"""
