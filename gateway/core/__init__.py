# SPDX-License-Identifier: GPL-2.0-or-later
"""The decisions of the gateway, without a clock, a socket or a log: facts in, decisions out."""
