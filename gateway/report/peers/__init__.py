# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gateways of a cluster tell one another, by retained messages at their broker."""
