# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of calls, promises and sound when many times more is asked for than one gateway can take."""
