# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: a company with a PBX, a caller, an assistant, and what the gateway makes of four transfers."""
