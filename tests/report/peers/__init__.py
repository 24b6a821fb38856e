# SPDX-License-Identifier: GPL-2.0-or-later
"""What gateways of a cluster tell one another."""
