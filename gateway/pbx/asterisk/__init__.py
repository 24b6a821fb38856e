# SPDX-License-Identifier: GPL-2.0-or-later
"""What is Asterisk's: the state of its queues and extensions through its manager interface (AMI)."""

from gateway.pbx.asterisk.ami_source import AmiSource

__all__ = ["AmiSource"]
