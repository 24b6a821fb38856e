# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gateway needs and how fast it is, on this machine: `make measure`."""
