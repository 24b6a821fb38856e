# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PBX says of its queues and extensions, kept as a snapshot in memory."""
