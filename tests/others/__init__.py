# SPDX-License-Identifier: GPL-2.0-or-later
"""Several gateways that tell one another of themselves at their broker."""
