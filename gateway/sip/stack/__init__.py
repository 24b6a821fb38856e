# SPDX-License-Identifier: GPL-2.0-or-later
"""PJSIP itself: its settings, accounts and transports, its events, and who is let in at all."""
