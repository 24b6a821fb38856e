# SPDX-License-Identifier: GPL-2.0-or-later
"""What is Asterisk's: the state of its queues and extensions through its manager interface (AMI)."""
