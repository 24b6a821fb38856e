# SPDX-License-Identifier: GPL-2.0-or-later
"""A SIP gateway that transfers callers from a voice assistant to the people of a company's PBX."""

__version__ = "0.1.0"
